import type { Command } from 'commander';
import { reading } from '../database.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { printable } from '../text.ts';

interface Flags {
  raw?: boolean;
  base64?: boolean;
}

/** `thermocline get <db> <key>` */
export function addGet(program: Command, output: Output): void {
  program
    .command('get')
    .description('print the value of a key')
    .argument('<db>', 'folder of the database')
    .argument('<key>')
    .option('--raw', 'the bytes as they are, with nothing escaped and no line feed after them')
    .option('--base64', 'the bytes in base64')
    .action(async (location: string, key: string, flags: Flags) => {
      const value = await reading(location, (db) => db.get(Buffer.from(key)));
      if (value === undefined) throw new CliError(`there is no key '${key}' in ${location}`);
      if (flags.raw) await output.write(value);
      else await output.line(flags.base64 ? value.toString('base64') : printable(value));
    });
}
