import type { Command } from 'commander';
import { writing } from '../database.ts';
import type { Output } from '../output.ts';
import { plural } from '../text.ts';

/** `thermocline del <db> <key...>` */
export function addDel(program: Command, output: Output): void {
  program
    .command('del')
    .description('delete keys, all of them or none, and print how many there were')
    .argument('<db>', 'folder of the database')
    .argument('<key...>')
    .action(async (location: string, names: string[]) => {
      const keys = [...new Set(names)].map((name) => Buffer.from(name));
      const deleted = await writing(location, { createIfMissing: false }, async (db) => {
        // The database is this process's alone, so what is here now is what the batch deletes.
        const present = await db.hasMany(keys);
        await db.batch(keys.map((key) => ({ type: 'del', key })));
        return present.filter(Boolean).length;
      });
      await output.line(output.isTerminal ? `${plural(deleted, 'key')} deleted` : String(deleted));
    });
}
