import { Option } from 'commander';
import type { OpenOptions } from '../index.ts';

/** When a write counts as done. */
export type Durability = NonNullable<OpenOptions['durability']>;

/** The levels the database knows. */
export const durabilities: readonly Durability[] = ['wal'];

/** `--durability`, as every command that writes has it. */
export function durabilityOption(): Option {
  return new Option('--durability <level>', 'what a write has survived when it is done').choices(durabilities);
}

/** What `open` is told about durability: nothing, unless the flag is given. */
export function durabilityOf(flags: { durability?: Durability }): Pick<OpenOptions, 'durability'> {
  return flags.durability === undefined ? {} : { durability: flags.durability };
}
