// Writes as fast as it can, notes in a file what was acknowledged, and waits to be killed:
// crash-writer.ts <location> <round> <file>. One line each: kind, writer, number.

import { openSync, writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { open } from '../../../lib/index.ts';
import { startWorker } from '../thread.ts';

const args = (isMainThread ? process.argv.slice(2) : workerData.args) as [string, string, string];
const [location, round, file] = args;
const writer = `${round}.${isMainThread ? 'main' : 'worker'}`;
if (isMainThread) startWorker('crash-writer.ts', { args });

// Small buffers, so that tables are written and logs are switched all the time.
const db = await open(location, { valueEncoding: 'utf8', shards: 4, memory: { writeBuffer: '1MB' } });

const notes = openSync(file, 'a');

/** At once and whole: a line that was appended survives the kill. */
function acknowledged(kind: string, number: number): void {
  writeSync(notes, `${kind} ${writer} ${number}\n`);
}

async function puts(): Promise<void> {
  for (let n = 0; ; n++) {
    const all: Promise<void>[] = [];
    for (let i = 0; i < 20; i++) all.push(db.put(`put/${writer}/${n}/${i}`, `${n}`.padEnd(200, '.')));
    await Promise.all(all);
    acknowledged('put', n);
  }
}

/** Ten batches in flight; each writes seven keys, which have to be there together. */
async function batches(): Promise<void> {
  let next = 0;
  const one = async () => {
    for (;;) {
      const n = next++;
      const operations = Array.from({ length: 7 }, (_, i) => ({
        type: 'put' as const,
        key: `batch/${writer}/${n}/${i}`,
        value: `${n}`.padEnd(i * 100, '.'),
      }));
      await db.batch([...operations, { type: 'put', key: `latest/${writer}`, value: String(n) }]);
      acknowledged('batch', n);
    }
  };
  await Promise.all(Array.from({ length: 10 }, one));
}

async function versions(): Promise<void> {
  for (let n = 0; ; n++) {
    await db.put(`version/${writer}`, String(n));
    acknowledged('version', n);
  }
}

async function deletions(): Promise<void> {
  for (let n = 0; ; n++) {
    await db.put(`deleted/${writer}/${n}`, 'x');
    await (n % 2 === 0 ? db.delete(`deleted/${writer}/${n}`) : db.deleteRange({ prefix: `deleted/${writer}/${n}` }));
    acknowledged('deletion', n);
  }
}

await Promise.all([puts(), batches(), versions(), deletions()]);
