import type { Command } from 'commander';
import type { TiersReport } from '../../index.ts';
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
      const head = ['tier', 'on disk', 'records', 'ratio', 'written', 'per TB and month', 'per month', 'folder'];
      await output.write(formatTable({ head, rows: rows(report), right: [1, 2, 3, 4, 5, 6] }, true));
      const { perMonth, allHotPerMonth, saved } = report.cost;
      await output.line(
        `${money(perMonth)} a month; all hot ${money(allHotPerMonth)}; saved ${(saved * 100).toFixed(1)}%`,
      );
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

function rows({ tiers }: TiersReport): string[][] {
  return tiers.map((tier) => [
    tier.tier,
    formatBytes(tier.bytes),
    formatCount(tier.records),
    tier.compressionRatio.toFixed(2),
    tier.writeAmplification === 0 ? '-' : `${tier.writeAmplification.toFixed(1)}x`,
    String(tier.costPerTB),
    money(tier.costPerMonth),
    tier.path,
  ]);
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

function plainRows({ tiers, cost, moves }: TiersReport): string[][] {
  const each = tiers.flatMap((tier) =>
    Object.entries(tier)
      .filter(([, value]) => typeof value !== 'object')
      .map(([name, value]) => [`${tier.tier}.${name}`, String(value)]),
  );
  const moved = Object.entries(moves).flatMap(([cause, { last, ...counts }]) => [
    ...Object.entries(counts).map(([name, value]) => [`moves.${cause}.${name}`, String(value)]),
    [`moves.${cause}.last`, last?.toISOString() ?? ''],
  ]);
  return [...each, ...moved, ...Object.entries(cost).map(([name, value]) => [`cost.${name}`, String(value)])];
}
