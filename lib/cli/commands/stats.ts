import type { Command } from 'commander';
import { reading } from '../database.ts';
import type { Output } from '../output.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatCount } from '../text.ts';

/** `thermocline stats <db>` */
export function addStats(program: Command, output: Output): void {
  program
    .command('stats')
    .description('print what the database takes on disk and in memory')
    .argument('<db>', 'folder of the database')
    .option('--json', 'everything the engine counts, as one JSON object')
    .action(async (location: string, flags: { json?: boolean }) => {
      const stats = await reading(location, async (db) => db.stats());
      if (flags.json) return output.line(JSON.stringify(stats, undefined, 2));
      // Operations and latencies are those of this process, which has done nothing.
      const { shards, disk, memory } = stats;
      const rows = flatten({ shards, disk, memory });
      const grouped = () => rows.map(([name = '', figure]) => [name, formatCount(Number(figure))]);
      await output.write(output.isTerminal ? formatTable({ rows: grouped(), right: [1] }, true) : formatTabs(rows));
    });
}

/** Nested figures as rows of a dotted name and a value. */
export function flatten(value: unknown, name = ''): string[][] {
  if (typeof value !== 'object' || value === null) return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, name === '' ? key : `${name}.${key}`));
}
