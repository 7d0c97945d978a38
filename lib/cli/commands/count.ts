import type { Command } from 'commander';
import { reading } from '../database.ts';
import type { Output } from '../output.ts';
import { addRangeOptions, type RangeFlags, toRange } from '../range.ts';

/** `thermocline count <db>` */
export function addCount(program: Command, output: Output): void {
  const command = program
    .command('count')
    .description('count the records by reading their keys')
    .argument('<db>', 'folder of the database');
  addRangeOptions(command).action(async (location: string, flags: RangeFlags) => {
    const count = await reading(location, async (db) => {
      const keys = db.keys(toRange(flags));
      let found = 0;
      for (let page = await keys.nextMany(10_000); page.length > 0; page = await keys.nextMany(10_000)) {
        found += page.length;
      }
      await keys.close();
      return found;
    });
    await output.line(String(count));
  });
}
