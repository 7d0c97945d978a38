import { Option } from 'commander';
import type { Durability, OpenOptions } from '../index.ts';

/** The levels that a database knows. */
export const durabilities: readonly Durability[] = ['none', 'wal', 'fsync'];

/** `--durability`, as every command that writes has it. */
export function durabilityOption(): Option {
  const meaning = "what a write survives: wal the program's end, fsync a power cut; none only for a new database";
  return new Option('--durability <level>', meaning).choices(durabilities);
}

/** What `open` is told about durability: nothing, unless the flag is given. */
export function durabilityOf(flags: { durability?: Durability }): Pick<OpenOptions, 'durability'> {
  return flags.durability === undefined ? {} : { durability: flags.durability };
}
