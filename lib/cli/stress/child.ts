// The process that works on the database and may be killed at any time: child.js, started by supervisor.ts.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, open } from '../../index.ts';
import { INITIAL, openAccounts } from './accounts.ts';
import { checkAll } from './check.ts';
import { Journal } from './journal.ts';
import { type LoadContext, LoadWorker } from './load.ts';
import type { Assignment, Report } from './messages.ts';
import { Keys, Random } from './record.ts';
import { loadState } from './state.ts';

/** The pipe to the journal's reader. */
const JOURNAL_FD = 4;

const calls: Record<string, number> = {};
let written = 0;
let read = 0;
let stopping = false;

function report(message: Report): void {
  process.send?.(message);
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

function reportCounts(): void {
  const counts = { written, read, calls, memory: process.memoryUsage.rss(), files: openFiles() };
  report({ kind: 'counts', counts });
}

/** Flushes, compactions and figures at odd times, beside the load. */
async function keepHouse(db: Database<string, Buffer>, keys: Keys, random: Random): Promise<void> {
  while (!stopping) {
    await sleep(200 + random.below(3000));
    if (stopping) return;
    const worker = random.below(keys.workers);
    if (random.below(3) > 0) await db.flush();
    else await db.compact({ prefix: keys.name(worker * keys.perWorker).slice(0, 5) });
    db.stats();
    await db.approximateSize();
  }
}

async function work({ location, state, options, seed, checkOnly }: Assignment): Promise<void> {
  const { shape, model } = loadState(state);
  const journal = new Journal(JOURNAL_FD);
  const keys = new Keys(shape.workers, shape.records);
  const db = await open(location, { ...options, valueEncoding: 'buffer' });

  const check = async () => {
    const started = performance.now();
    const result = await checkAll(db, model, keys, shape);
    for (const text of result.problems) report({ kind: 'problem', text });
    if (result.problems.length > 0) return false;
    model.settle(result.versions);
    journal.settle(result.versions);
    report({ kind: 'checked', records: result.records, seconds: (performance.now() - started) / 1000 });
    return true;
  };

  let whole = await check();
  if (whole && !checkOnly) {
    await openAccounts(db, shape.workers);
    let group = 0;
    const context: LoadContext = {
      db,
      model,
      journal,
      keys,
      valueSize: shape.valueSize,
      hasLog: options.durability !== 'none',
      accounts: shape.workers,
      accountTotal: shape.workers * INITIAL,
      count(call, wrote, had) {
        calls[call] = (calls[call] ?? 0) + 1;
        written += wrote;
        read += had;
      },
      problem(text) {
        report({ kind: 'problem', text });
        stopping = true;
      },
      stopping: () => stopping,
      nextGroup: () => ++group,
    };
    const workers = Array.from({ length: shape.workers }, (_, i) => new LoadWorker(context, i, seed));
    await Promise.all([...workers.map((worker) => worker.run()), keepHouse(db, keys, new Random(seed))]);
    journal.flush();
    whole = await check();
  }
  if (whole && checkOnly) {
    const { problems } = await db.verify();
    for (const text of problems) report({ kind: 'problem', text });
    whole = problems.length === 0;
  }
  await db.close();
  reportCounts();
  if (whole) report({ kind: 'closed' });
}

// The one that watches answers Ctrl-C, which the terminal sends to both.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
const orphaned = () => process.exit(1);
process.on('disconnect', orphaned);
const ticking = setInterval(reportCounts, 250);
process.once('message', (assignment: Assignment) => {
  process.on('message', () => {
    stopping = true;
  });
  work(assignment)
    .catch((error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      stopping = true; // the workers that are still well
      report({ kind: 'problem', text: `the database failed: ${text.split('\n').slice(0, 3).join(' ')}` });
    })
    .finally(() => {
      clearInterval(ticking);
      process.off('disconnect', orphaned);
      process.disconnect?.();
    });
});
