import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type Durability, destroy } from '../../index.ts';
import { parseSize } from '../../size.ts';
import { durabilityOption } from '../durability.ts';
import { CliError, usageError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { wholeNumber } from '../range.ts';
import { startStatusLine } from '../status-line.ts';
import { INITIAL } from '../stress/accounts.ts';
import { Model } from '../stress/model.ts';
import { Keys } from '../stress/record.ts';
import { hasState, loadState, removeState, type StressShape, stateFile } from '../stress/state.ts';
import { type StressPlan, type StressStatus, Supervisor } from '../stress/supervisor.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, formatSeconds, plural } from '../text.ts';

interface Flags {
  duration: number;
  crashEvery: number;
  records?: number;
  valueSize?: number;
  workers?: number;
  shards?: number;
  durability?: Durability;
  config?: string;
  seed: number;
  maxMemory: number;
  maxFiles: number;
  keep?: boolean;
}

/** Milliseconds in which something must have been written or read. */
const PATIENCE = 120_000;

/** `thermocline stress <db>` */
export function addStress(program: Command, output: Output): void {
  program
    .command('stress')
    .description('load a database of its own for a long time, kill the process again and again, and check every record')
    .argument('<db>', 'folder of the database: a new one, or one that a stress test has kept')
    .option('--duration <time>', 'such as 60s, 30m or 24h', duration, 60)
    .option('--crash-every <seconds>', 'mean time between kills (SIGKILL); 0 for none', wholeNumber(0, 86_400), 5)
    .option('--records <count>', 'keys of the database (100000)', wholeNumber(1000, 50_000_000))
    .option('--value-size <bytes>', 'mean size of values (200)', wholeNumber(0, 1_000_000))
    .option('--workers <count>', 'how many work at the same time (8)', wholeNumber(2, 100))
    .option('--shards <count>', 'shards of a new database', wholeNumber(1, 256))
    .addOption(durabilityOption())
    .option('--config <file>', 'options file for opening the database')
    .option('--seed <number>', 'of the random choices', wholeNumber(0, 2 ** 32 - 1), Date.now() % 2 ** 32)
    .option('--max-memory <size>', 'memory of the process above which the test fails', size, parseSize('2GB', 'size'))
    .option('--max-files <count>', 'open files above which the test fails', wholeNumber(16, 1_000_000), 4096)
    .option('--keep', 'keep the database and the file of what it must hold, to go on another time')
    .addHelpText('after', help)
    .action((location: string, flags: Flags) => run(location, flags, output));
}

const help = `
Every value carries its key, its version and a checksum. The process that works tells another one of every write before
it is made and when it is acknowledged, so that after a kill it is known what must be there, what may, and what must not.
It reads all the time; after every kill it opens the database and reads all of it. Exit code 1 on any mismatch.

Examples:
  thermocline stress /tmp/stress.db
  thermocline stress /tmp/stress.db --duration 24h --crash-every 60 --records 5000000
  thermocline stress /tmp/stress.db --crash-every 0 --config thermocline.json`;

/** A time such as `90`, `60s`, `30m` or `24h`, in seconds. */
function duration(text: string): number {
  const match = /^(\d+)(s|m|h)?$/.exec(text);
  const seconds =
    match === null ? 0 : Number(match[1]) * { s: 1, m: 60, h: 3600 }[(match[2] ?? 's') as 's' | 'm' | 'h'];
  if (seconds < 1 || seconds > 7 * 86_400) throw new InvalidArgumentError('Give a time such as 60s, 30m or 24h.');
  return seconds;
}

function size(text: string): number {
  try {
    return parseSize(text, 'a size');
  } catch {
    throw new InvalidArgumentError("Give a size such as '2GB'.");
  }
}

async function run(location: string, flags: Flags, output: Output): Promise<void> {
  const state = stateFile(location);
  const { shape, model, resumed } = subject(location, state, flags);
  const plan = planOf(location, state, shape, flags);
  const interrupt = catchInterrupts();
  const line = startStatusLine();
  const supervisor = new Supervisor(plan, model);
  const ticking = setInterval(() => line.show(statusText(supervisor.status, plan)), 500);
  let status: StressStatus;
  try {
    status = await supervisor.run(interrupt.signal);
  } finally {
    clearInterval(ticking);
    line.stop();
    interrupt.dispose();
  }
  await output.write(summary(status, plan, output.isTerminal));
  if (status.problems.length > 0) {
    for (const problem of status.problems) await output.line(`mismatch: ${problem}`);
    const kept = `the database is kept in ${location}, what it must hold in ${state}, the seed was ${plan.seed}`;
    throw new CliError(`${plural(status.problems.length, 'mismatch')}; ${kept}`.replace('mismatchs', 'mismatches'));
  }
  if (!flags.keep && !resumed) {
    await destroy(location);
    removeState(state);
  }
  if (status.interrupted) throw new CliError('interrupted; no mismatch so far', { exitCode: interruptedExitCode });
}

/** What is to be worked on: what an earlier test has kept, or something new. */
function subject(
  location: string,
  state: string,
  flags: Flags,
): { shape: StressShape; model: Model; resumed: boolean } {
  if (hasState(state)) {
    if ((flags.records ?? flags.workers ?? flags.valueSize ?? flags.shards) !== undefined) {
      throw usageError(
        `${state} says what this database is; leave out --records, --workers, --value-size and --shards`,
      );
    }
    return { ...loadState(state), resumed: true };
  }
  if (existsSync(location)) {
    throw usageError(`${location} exists and no stress test has kept it; name a folder that does not exist`);
  }
  const { records = 100_000, workers = 8, valueSize = 200 } = flags;
  const shape = { records, workers, valueSize, accounts: workers * INITIAL };
  return { shape, model: new Model(new Keys(workers, records).count), resumed: false };
}

function planOf(location: string, state: string, shape: StressShape, flags: Flags): StressPlan {
  const options: Record<string, unknown> = {};
  if (flags.config !== undefined) options.config = resolve(flags.config);
  if (flags.shards !== undefined) options.shards = flags.shards;
  const durability = flags.durability ?? durabilityInFile(flags.config);
  if (durability !== undefined) options.durability = durability;
  if (durability === 'none' && flags.crashEvery > 0) {
    throw usageError('without a log a kill may lose what was acknowledged; say --crash-every 0');
  }
  const { duration: seconds, crashEvery, seed, maxMemory, maxFiles } = flags;
  const limits = { maxMemory, maxFiles, patience: PATIENCE };
  return { location: resolve(location), state, shape, options, seconds, crashEvery, seed, ...limits };
}

function durabilityInFile(file: string | undefined): unknown {
  if (file === undefined) return undefined;
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { durability?: unknown }).durability;
  } catch {
    return undefined; // `open` says what is wrong with the file
  }
}

function statusText(status: StressStatus, plan: StressPlan): string {
  return [
    `${formatSeconds(status.seconds)} of ${formatSeconds(plan.seconds)}`,
    `round ${status.round}`,
    `${formatCount(status.written)} written`,
    `${formatCount(status.read)} read`,
    `${plural(status.crashes, 'kill')}`,
    `${formatBytes(status.memory)}`,
    `${plural(status.files, 'file')}`,
    `${formatCount(status.problems.length)} wrong`,
  ].join(' · ');
}

function summary(status: StressStatus, plan: StressPlan, terminal: boolean): string {
  const figures: [string, number, (n: number) => string][] = [
    ['seconds', status.seconds, formatSeconds],
    ['written', status.written, formatCount],
    ['read', status.read, formatCount],
    ['kills', status.crashes, formatCount],
    ['whole_checks', status.checks, formatCount],
    ['records_checked', status.checkedRecords, formatCount],
    ['peak_memory', status.peakMemory, formatBytes],
    ['peak_files', status.peakFiles, formatCount],
    ['mismatches', status.problems.length, formatCount],
    ['seed', plan.seed, String],
  ];
  const calls = Object.entries(status.calls).map(([call, n]): [string, number, (n: number) => string] => {
    return [`calls.${call}`, n, formatCount];
  });
  const rows = [...figures.slice(0, 3), ...calls, ...figures.slice(3)];
  if (!terminal) return formatTabs(rows.map(([name, n]) => [name, String(Math.round(n * 1000) / 1000)]));
  return formatTable({ rows: rows.map(([name, n, format]) => [name.replace('_', ' '), format(n)]), right: [1] }, true);
}
