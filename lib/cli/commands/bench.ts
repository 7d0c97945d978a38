import { mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { parseSize } from '../../size.ts';
import { type Device, measureDevice } from '../bench/device.ts';
import { type Result, type Share, sharesOf } from '../bench/shares.ts';
import type { Trial } from '../bench/trial.ts';
import { runTrial } from '../bench/trials.ts';
import { CliError, usageError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import { note, type Output } from '../output.ts';
import { wholeNumber } from '../range.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, formatSeconds } from '../text.ts';
import { packageVersion } from '../version.ts';

interface Flags {
  disk: string;
  records: number;
  valueSize: number;
  seconds: number;
  fileSize: string;
  json?: boolean;
}

/** Reads always outstanding, for the disk and for the store. */
const DEPTHS = [1, 4, 16, 64];
const WRITERS = [1, 16, 256];

/** `thermocline bench --disk <path>` */
export function addBench(program: Command, output: Output): void {
  program
    .command('bench')
    .description('measure a disk, then the store on it, and print the one as a share of the other')
    .requiredOption('--disk <path>', 'a folder on the disk; what is written there is removed again')
    .option('--records <count>', 'records to load', wholeNumber(1000, 1_000_000_000), 500_000)
    .option('--value-size <bytes>', 'of each value', wholeNumber(1, 1 << 20), 1000)
    .option('--seconds <count>', 'for each figure', wholeNumber(1, 600), 2)
    .option('--file-size <size>', "of the file that the disk is measured with, such as '4GB'", '1GB')
    .option('--json', 'everything measured, as one JSON object')
    .addHelpText('after', help)
    .action((flags: Flags) => run(flags, output));
}

const help = `
The disk is measured with fio where that is installed, past the page cache. The data of the store should be larger than
the memory of the disk's own cache; each trial is a process of its own, and reads begin with nothing in memory.

Example:
  thermocline bench --disk /mnt/nvme --records 5000000 --file-size 8GB`;

async function run(flags: Flags, output: Output): Promise<void> {
  const parent = resolve(flags.disk);
  const found = await stat(parent).catch(() => undefined);
  if (found?.isDirectory() !== true) throw usageError(`--disk takes a folder, and ${parent} is none`);
  let fileBytes: number;
  try {
    fileBytes = parseSize(flags.fileSize, '--file-size');
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
  const interrupt = catchInterrupts();
  const folder = await mkdtemp(join(parent, '.thermocline-bench-')).catch((error: Error) => {
    throw new CliError(`cannot write in ${parent}: ${error.message}`, { cause: error });
  });
  try {
    await measure(flags, folder, fileBytes, interrupt.signal, output);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    throw new CliError('interrupted; what was written is removed', { exitCode: interruptedExitCode });
  } finally {
    await rm(folder, { recursive: true, force: true });
    interrupt.dispose();
  }
}

async function measure(flags: Flags, folder: string, fileBytes: number, signal: AbortSignal, output: Output) {
  const { seconds, records, valueSize } = flags;
  note(`measuring the disk (about ${Math.round((3 + DEPTHS.length) * seconds)} s)`);
  const device = await measureDevice({ folder, fileBytes, seconds, depths: DEPTHS }, signal);
  signal.throwIfAborted();

  const location = join(folder, 'data');
  const common = { records, valueSize, seconds, part: 0 };
  const trials: Trial[] = [
    ...WRITERS.map((width): Trial => ({ kind: 'durable', location: join(folder, `log-${width}`), width, ...common })),
    { kind: 'load', location, width: 1, ...common },
    ...DEPTHS.map((width, part): Trial => ({ kind: 'read', location, width, ...common, part })),
    { kind: 'scan', location, width: 1, ...common },
  ];
  const results: Result[] = [];
  for (const trial of trials) {
    note(`[${results.length + 1}/${trials.length}] ${trial.kind}${trial.width > 1 ? `, ${trial.width} at once` : ''}`);
    results.push({ trial, figures: await runTrial(trial, signal) });
    if (trial.kind === 'durable') await rm(trial.location, { recursive: true, force: true });
  }
  const shares = sharesOf(device, results);
  if (flags.json) {
    const machine = { cpu: os.cpus()[0]?.model.trim(), cores: os.cpus().length, memoryBytes: os.totalmem() };
    const system = `${os.type()} ${os.release()} ${os.arch()}`;
    const about = { thermocline: packageVersion(), node: process.version, system, machine, date: new Date() };
    const figures = results.map(({ trial: { location: _, ...trial }, figures }) => ({ ...trial, figures }));
    return output.line(JSON.stringify({ ...about, disk: device, trials: figures, shares }, undefined, 2));
  }
  await output.write(report(device, shares, results, output.isTerminal));
}

function rate(value: number, unit: Share['unit']): string {
  return unit === 'bytes/s' ? `${formatBytes(value)}/s` : `${formatCount(value)} ${unit}`;
}

function report(device: Device, shares: readonly Share[], results: readonly Result[], terminal: boolean): string {
  if (!terminal) {
    const rows = shares.map(({ what, store, disk, unit, share }) => {
      return [what.trim(), String(Math.round(store)), String(Math.round(disk)), unit, share.toFixed(4)];
    });
    return formatTabs(rows);
  }
  const { fsyncP50Seconds: p50, fsyncP99Seconds: p99 } = device;
  const disk = [
    ['measured by', `${device.source}${device.direct ? '' : ' (the page cache took part: no O_DIRECT here)'}`],
    [
      'fdatasync of 4 KiB',
      `${formatCount(device.fsyncsPerSecond)}/s, P50 ${formatSeconds(p50)}, P99 ${formatSeconds(p99)}`,
    ],
    ...device.randomReads.map(({ depth, readsPerSecond, p99Seconds }) => [
      `random reads of 4 KiB, depth ${depth}`,
      `${formatCount(readsPerSecond)}/s, P99 ${formatSeconds(p99Seconds)}`,
    ]),
    ['sequential writes', `${formatBytes(device.writeBytesPerSecond)}/s`],
    ['sequential reads', `${formatBytes(device.readBytesPerSecond)}/s`],
  ];
  const rows = shares.map(({ what, store, disk: limit, unit, share, note: text }) => {
    const shown = share < 2 ? `${(share * 100).toFixed(0)}%` : `${share.toFixed(1)}x`;
    return [what, rate(store, unit), rate(limit, unit === 'writes/s' ? 'syncs/s' : unit), shown, text];
  });
  const tableBytes = results.find(({ trial }) => trial.kind === 'load')?.figures.tableBytes ?? 0;
  return (
    `The disk\n${formatTable({ rows: disk }, true)}\nThe store (its tables take ${formatBytes(tableBytes)})\n` +
    formatTable({ head: ['', 'store', 'disk', 'share', ''], rows, right: [1, 2, 3] }, true)
  );
}
