import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type BackupInfo, restore, type VerifyCount, type VerifyReport, verifyBackups } from '../../index.ts';
import { reading, writing } from '../database.ts';
import { CliError } from '../errors.ts';
import { interruptible, job } from '../job.ts';
import type { Output } from '../output.ts';
import { wholeNumber } from '../range.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, plural } from '../text.ts';

/** `thermocline backup`, `restore` and `verify` */
export function addBackup(program: Command, output: Output): void {
  program
    .command('backup')
    .description(
      'add a backup of a database to a folder of backups; tables that are there already are not copied again',
    )
    .argument('<db>', 'folder of the database')
    .argument('<dir>', 'folder of the backups')
    .option('--keep <count>', 'delete all but the newest so many', wholeNumber(1, 1_000_000))
    .action(async (location: string, dir: string, { keep }: { keep?: number }) => {
      const options = keep === undefined ? {} : { keep };
      const info = await interruptible((signal) =>
        writing(location, { createIfMissing: false }, (db) => db.backup(dir, { ...options, signal })),
      );
      await output.write(table([info], output.isTerminal));
      if (info.warning !== undefined) process.stderr.write(`warning: ${info.warning}\n`);
    });
  program
    .command('restore')
    .description('make a database of a backup, after every checksum of it was compared')
    .argument('<dir>', 'folder of the backups')
    .argument('<db>', 'folder of the new database: missing or empty')
    .option('--id <number>', 'which backup; otherwise the latest', wholeNumber(1, 2 ** 32 - 1))
    .option('--warm <folder>', 'where the warm tier comes to; otherwise a folder of the database')
    .option('--cold <folder>', 'where the cold tier comes to; likewise')
    .action((dir: string, location: string, { id, warm, cold }: { id?: number; warm?: string; cold?: string }) => {
      const tiers = {
        ...(warm === undefined ? {} : { warm: { path: resolve(warm) } }),
        ...(cold === undefined ? {} : { cold: { path: resolve(cold) } }),
      };
      return interruptible((signal) => restore(dir, location, { tiers, signal, ...(id === undefined ? {} : { id }) }));
    });
  program
    .command('verify')
    .description('read all of a database, or of a folder of backups, and report damage; changes nothing')
    .argument('<folder>', 'a database or a folder of backups')
    .action((folder: string) => verify(folder, output));
}

async function verify(folder: string, output: Output): Promise<void> {
  let problems: readonly string[];
  let count: number;
  if (existsSync(join(folder, 'hot', 'meta'))) {
    const found = await verifyBackups(folder);
    await output.write(table(found.backups, output.isTerminal));
    problems = found.problems;
    count = problems.length;
  } else {
    const report = await job((options) => reading(folder, (db) => db.verify(options)));
    await output.write(output.isTerminal ? readable(report) : forPrograms(report));
    problems = report.problems;
    count = report.problemCount;
  }
  for (const problem of problems) await output.line(`problem: ${problem}`);
  if (count > 0) throw new CliError(`${folder} is damaged: ${plural(count, 'problem')}`, { code: 'ERR_CORRUPTION' });
}

const FIGURES = ['records', 'markers', 'expired', 'cleanCopies', 'bytes', 'tableBytes', 'estimatedRecords'] as const;

/** For people. */
function readable({ tables, tableBytes, records, shadowed, problemCount, counts }: VerifyReport): string {
  const rows = [
    ['tables', formatCount(tables)],
    ['table bytes', formatBytes(tableBytes)],
    ['records', formatCount(records)],
    ['shadowed', formatCount(shadowed)],
    ['problems', formatCount(problemCount)],
  ];
  const head = ['shard', 'in', 'records', 'markers', 'expired', 'copies', 'bytes', 'on disk', 'estimate'];
  const figures = counts.map((count) => [
    String(count.shard),
    placeOf(count),
    ...FIGURES.map((name) => (/bytes/i.test(name) ? formatBytes : formatCount)(count[name])),
  ]);
  const right = head.map((_, i) => i).filter((i) => i !== 1);
  return `${formatTable({ rows, right: [1] }, true)}\n${formatTable({ head, rows: figures, right }, true)}`;
}

/** For programs: the figures of the whole by name, then those of each shard in each tier. */
function forPrograms({ tables, tableBytes, records, shadowed, problemCount, counts }: VerifyReport): string {
  return formatTabs([
    ['tables', String(tables)],
    ['table_bytes', String(tableBytes)],
    ['records', String(records)],
    ['shadowed', String(shadowed)],
    ['problems', String(problemCount)],
    ...counts.map((count) => [
      'shard',
      String(count.shard),
      placeOf(count),
      ...FIGURES.map((name) => String(count[name])),
    ]),
  ]);
}

function placeOf({ tier, frozen }: VerifyCount): string {
  return frozen ? `archive/${tier}` : tier;
}

function table(backups: readonly BackupInfo[], terminal: boolean): string {
  if (!terminal) {
    return formatTabs(
      backups.map(({ id, created, bytes, files }) => [String(id), created.toISOString(), String(bytes), String(files)]),
    );
  }
  const rows = backups.map(({ id, created, bytes, files }) => {
    return [String(id), created.toISOString().slice(0, 19).replace('T', ' '), formatBytes(bytes), formatCount(files)];
  });
  return formatTable({ head: ['backup', 'created', 'bytes', 'files'], rows, right: [0, 2, 3] }, true);
}
