// Ends worker threads amid everything they do, again and again, while the main thread goes on: terminate.ts <location> <rounds>

import type { Worker } from 'node:worker_threads';
import { open } from '../../../lib/index.ts';
import { startWorker } from '../thread.ts';

const [location, rounds] = process.argv.slice(2) as [string, string];
const db = await open(location, { valueEncoding: 'utf8', shards: 4, changes: true, slowOperations: {} });
await db.topics.create('t', { partitions: 4 });

function worker(task: string, id: number): Worker {
  return startWorker('worker.ts', { task, location, id, count: 1e9 });
}
function message(from: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    from.once('message', resolve).once('error', reject);
  });
}

let written = 0;
let going = true;
async function goOn(): Promise<void> {
  while (going) {
    await db.put(`main/${written}`, String(written));
    if ((await db.get(`main/${written}`)) !== String(written)) throw new Error(`main/${written} is not there`);
    written++;
    await new Promise(setImmediate);
  }
}
const main = goOn();

for (let round = 0; round < Number(rounds); round++) {
  const workers = [
    worker('write', 10 + round),
    worker('mix', 1000 + round),
    worker('scan', 0),
    worker('objects', 0),
    worker('figures', 1),
  ];
  await Promise.all(workers.map(message));
  for (let i = 0; i < round * 3; i++) await new Promise(setImmediate);
  // One that is still loading, or opening, as well.
  const young = worker('mix', 2000 + round);
  if (round % 2 === 1) await new Promise((resolve) => young.once('online', resolve));
  const before = written;
  await Promise.all([...workers, young].map((each) => each.terminate()));
  while (written < before + 10) await new Promise(setImmediate);
}
const busy = Array.from({ length: 6 }, (_, id) => worker('figures', id));
await Promise.all(
  busy.map(async (each, i) => {
    await message(each);
    await new Promise((resolve) => setTimeout(resolve, 20 + 7 * i));
    await each.terminate();
  }),
);
going = false;
await main;
for (let i = 0; i < written; i++) if (db.getSync(`main/${i}`) !== String(i)) throw new Error(`main/${i} is lost`);
await db.close();
console.log('done');
