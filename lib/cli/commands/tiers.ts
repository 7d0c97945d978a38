import type { Command } from 'commander';
import type { TierLifetime, TiersReport } from '../../index.ts';
import { reading } from '../database.ts';
import type { Output } from '../output.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount } from '../text.ts';

/** `thermocline tiers <db>` */
export function addTiers(program: Command, output: Output): void {
  program
    .command('tiers')
    .description('print what each tier holds and costs')
    .argument('<db>', 'folder of the database')
    .option('--json', 'the whole report as one JSON object')
    .action(async (location: string, flags: { json?: boolean }) => {
      const report = await reading(location, (db) => db.tiers.report());
      if (flags.json) return output.line(JSON.stringify(report, undefined, 2));
      if (!output.isTerminal) return output.write(formatTabs(plainRows(report)));
      const columns = ['on disk', 'records', 'ratio', 'reads', 'moved in', 'moved out', 'written'];
      const head = ['tier', ...columns, 'per TB and month', 'per month', 'folder'];
      await output.write(formatTable({ head, rows: rows(report), right: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, true));
      const { memory, absent, writeAmplification } = report.lifetime;
      await output.line(
        `${percent(memory.hitShare)} of reads answered by the hot cache, ${formatCount(absent)} found nothing; ` +
          `written ${writeAmplification.toFixed(1)}x`,
      );
      const { perMonth, allHotPerMonth, saved } = report.cost;
      await output.line(`${money(perMonth)} a month; all hot ${money(allHotPerMonth)}; saved ${percent(saved)}`);
      const moved = moveRows(report);
      if (moved.length === 0) return;
      const causes = ['moved by', 'records', 'bytes', 'markers', 'copies dropped', 'tables compacted', 'last'];
      await output.line('');
      await output.write(formatTable({ head: causes, rows: moved, right: [1, 2, 3, 4, 5] }, true));
    });
}

function money(amount: number): string {
  return amount === 0 ? '0' : amount.toPrecision(3);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** The counters are those of the database's life: the command has only just opened it. */
function rows({ tiers, lifetime }: TiersReport): string[][] {
  return tiers.map((tier) => {
    const { hits, hitShare, movedIn, movedOut, writeAmplification } = lifetime.tiers[tier.tier] as TierLifetime;
    return [
      tier.tier,
      formatBytes(tier.bytes),
      formatCount(tier.records),
      tier.compressionRatio.toFixed(2),
      hits === 0 ? '-' : percent(hitShare),
      formatBytes(movedIn.bytes),
      formatBytes(movedOut.bytes),
      writeAmplification === 0 ? '-' : `${writeAmplification.toFixed(1)}x`,
      String(tier.costPerTB),
      money(tier.costPerMonth),
      tier.path,
    ];
  });
}

function moveRows({ moves }: TiersReport): string[][] {
  return Object.entries(moves)
    .filter(([, { last }]) => last !== undefined)
    .map(([cause, { records, bytes, markers, copies, tables, last }]) => [
      cause,
      formatCount(records),
      formatBytes(bytes),
      formatCount(markers),
      formatCount(copies),
      formatCount(tables),
      last?.toISOString().slice(0, 19).replace('T', ' ') ?? '-',
    ]);
}

function plainRows({ tiers, cost, moves, lifetime }: TiersReport): string[][] {
  const each = tiers.flatMap((tier) =>
    Object.entries(tier)
      .filter(([, value]) => typeof value !== 'object')
      .map(([name, value]) => [`${tier.tier}.${name}`, String(value)]),
  );
  return [...each, ...flat('lifetime', lifetime), ...flat('moves', moves), ...flat('cost', cost)];
}

/** Every figure in an object by its path. */
function flat(name: string, value: unknown): string[][] {
  if (value instanceof Date) return [[name, value.toISOString()]];
  if (typeof value !== 'object' || value === null) return [[name, value === undefined ? '' : String(value)]];
  return Object.entries(value).flatMap(([member, inner]) => flat(`${name}.${member}`, inner));
}
