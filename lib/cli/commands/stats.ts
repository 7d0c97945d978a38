import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { Stats } from '../../index.ts';
import { formatStats } from '../../metrics/format.ts';
import { reading } from '../database.ts';
import { CliError } from '../errors.ts';
import { catchInterrupts } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatCount } from '../text.ts';

interface StatsFlags {
  json?: boolean;
  watch?: number | true;
  token?: string;
}

const LONGEST_WAIT_MS = 10_000;

/** `thermocline stats <db>` */
export function addStats(program: Command, output: Output): void {
  program
    .command('stats')
    .description('print what the database takes on disk and in memory, and what a program that serves it does with it')
    .argument('<db>', "folder of the database, or the address of a live page ('thermocline serve', db.serve())")
    .option('--json', 'everything the engine counts, as one JSON object')
    .option('--watch [seconds]', 'again and again, every second or so many, until interrupted', wholeSeconds)
    .option('--token <token>', 'of the live page (default: THERMOCLINE_TOKEN)')
    .action(async (location: string, flags: StatsFlags) => {
      const page = /^https?:\/\//.test(location);
      const read = page ? () => fetchStats(location, flags.token ?? process.env.THERMOCLINE_TOKEN) : undefined;
      const show = (stats: Stats) => print(output, stats, flags.json === true, page);
      if (flags.watch === undefined) {
        return show(read === undefined ? await reading(location, async (db) => db.stats()) : await read());
      }
      const seconds = flags.watch === true ? 1 : flags.watch;
      if (read !== undefined) return watch(output, seconds, read, show);
      return reading(location, (db) => watch(output, seconds, async () => db.stats(), show));
    });
}

function wholeSeconds(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('Give whole seconds, at least 1.');
  return Number(text);
}

async function watch(
  output: Output,
  seconds: number,
  read: () => Promise<Stats>,
  show: (stats: Stats) => Promise<void>,
): Promise<void> {
  const interrupt = catchInterrupts();
  try {
    while (!interrupt.signal.aborted && !output.closed) {
      const stats = await read();
      if (output.isTerminal) await output.write('\x1b[H\x1b[2J');
      await show(stats);
      await sleep(seconds * 1000, undefined, { signal: interrupt.signal }).catch(() => undefined);
    }
  } finally {
    interrupt.dispose();
  }
}

async function fetchStats(address: string, token: string | undefined): Promise<Stats> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(new URL('/stats', address), { headers, signal: AbortSignal.timeout(LONGEST_WAIT_MS) });
  } catch (cause) {
    throw new CliError(`there is no live page at ${address}: ${String((cause as Error).cause ?? cause)}`, { cause });
  }
  if (response.status === 401) throw new CliError(`the page at ${address} wants a token: give --token`);
  if (!response.ok) throw new CliError(`the page at ${address} answers ${response.status}`);
  return (await response.json()) as Stats;
}

async function print(output: Output, stats: Stats, json: boolean, page: boolean): Promise<void> {
  if (json) return output.line(JSON.stringify(stats, undefined, output.isTerminal ? 2 : undefined));
  if (page) return output.write(formatStats(stats));
  // Operations and latencies are those of this process, which has done nothing.
  const { shards, disk, memory } = stats;
  const rows = flatten({ shards, disk, memory });
  const grouped = () => rows.map(([name = '', figure]) => [name, formatCount(Number(figure))]);
  await output.write(output.isTerminal ? formatTable({ rows: grouped(), right: [1] }, true) : formatTabs(rows));
}

/** Nested figures as rows of a dotted name and a value. */
export function flatten(value: unknown, name = ''): string[][] {
  if (typeof value !== 'object' || value === null) return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, name === '' ? key : `${name}.${key}`));
}
