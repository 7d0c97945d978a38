// Writes until it is killed, and reports through its standard output what was acknowledged:
//
//   a <writer> <g>   operation g was applied and logged, and so was every earlier one that reports nothing else
//   t <n>            the transaction that made the counter n was committed
//
// Several writers share each thread and write at once; every thread is one `writer` of crash-operations.ts, whose
// operations are issued in order and not awaited one by one.

import { isMainThread, workerData } from 'node:worker_threads';
import { type BatchOperation, open } from '../../../lib/index.ts';
import { Random } from '../random.ts';
import { startWorker } from '../thread.ts';
import { type CrashOperation, crashOperation } from './crash-operations.ts';
import { programArgument } from './program.ts';
import { report } from './report.ts';

export interface CrashWriter {
  location: string;
  seed: number;
  /** Where each thread goes on: operations before were written by earlier lives. */
  starts: number[];
  /** Concurrent callers in each thread. */
  callers: number;
  /** Milliseconds of a group window, 0 mostly. */
  window: number;
  /** With colder tiers, and records on the move between them all the time. */
  tiered: boolean;
}

const args: CrashWriter = isMainThread ? programArgument<CrashWriter>() : workerData.args;
const writer: number = isMainThread ? 0 : workerData.writer;

if (isMainThread) {
  for (let other = 1; other < args.starts.length; other++) {
    startWorker('../pipeline/crash-writer.ts', { args, writer: other });
  }
}

const db = await open(args.location, {
  valueEncoding: 'utf8',
  group: { window: args.window },
  ...(args.tiered ? { tiers: { hot: { capacity: '512KB' }, warm: { capacity: '8MB' }, cold: {} } } : {}),
  // Small, so that flushes, new logs and compactions happen all the time.
  memory: { writeBuffer: '1MB', hotCache: '1MB', blockCache: '1MB' },
});

function write({ kind, durability, writes }: CrashOperation): Promise<unknown> {
  const [first] = writes;
  if (kind === 'put' && first !== undefined && 'put' in first) return db.put(first.put, first.value, { durability });
  if (kind === 'delete' && first !== undefined && 'del' in first) return db.delete(first.del, { durability });
  if (kind === 'range' && first !== undefined && 'delRange' in first) {
    return db.deleteRange({ gte: first.delRange[0], lt: first.delRange[1] });
  }
  if (kind === 'steps') {
    const batch = db.beginBatch({ durability });
    for (const each of writes) {
      if ('put' in each) batch.put(each.put, each.value);
      else if ('del' in each) batch.delete(each.del);
      else batch.deleteRange({ gte: each.delRange[0], lt: each.delRange[1] });
    }
    return batch.commit();
  }
  const operations: BatchOperation<string, string>[] = [];
  for (const each of writes) {
    if ('put' in each) operations.push({ type: 'put', key: each.put, value: each.value });
    else if ('del' in each) operations.push({ type: 'del', key: each.del });
  }
  return kind === 'commit' ? db.commit(operations).durable : db.batch(operations, { durability });
}

let next = args.starts[writer] ?? 0;
async function caller(): Promise<void> {
  for (;;) {
    const g = next++;
    await write(crashOperation(args.seed, writer, g));
    report(`a ${writer} ${g}`);
  }
}

/** Each commit makes the counter one larger and leaves a record of its own. */
async function counting(durability: 'wal' | 'fsync'): Promise<void> {
  for (;;) {
    const n = await db.transaction(
      async (tx) => {
        const made = Number((await tx.get('counter')) ?? 0) + 1;
        tx.put('counter', `${made}`);
        tx.put(`count/${made}`, `${writer}`);
        return made;
      },
      { durability, retries: 1000 },
    );
    report(`t ${n}`);
  }
}

const random = new Random(args.seed + writer);
async function maintaining(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 20 + random.below(200)));
    if (random.below(3) > 0) await db.flush();
    else await db.compact();
  }
}

async function moving(): Promise<void> {
  const tiers = ['hot', 'warm', 'cold'] as const;
  for (;;) {
    const from = random.below(3);
    const to = (from + 1 + random.below(2)) % 3;
    const odd = random.below(2) === 1;
    await db.tiers.migrate({
      from: tiers[from] as (typeof tiers)[number],
      to: tiers[to] as (typeof tiers)[number],
      ...(random.below(2) === 1 ? {} : { filter: (key) => (key.charCodeAt(key.length - 1) & 1) === Number(odd) }),
    });
    await new Promise((resolve) => setTimeout(resolve, random.below(20)));
  }
}

// Unhandled failures end the process with their stack, which the test shows.
void Promise.all([
  ...Array.from({ length: args.callers }, caller),
  counting('wal'),
  counting('fsync'),
  ...(writer === 0 ? [maintaining()] : []),
  ...(writer === 0 && args.tiered ? [moving()] : []),
]);
