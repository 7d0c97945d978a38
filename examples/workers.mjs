// Worker threads on one database: each opens the same folder, and all share one engine, its cache included.
// Run it from a checkout that is built: node examples/workers.mjs [folder]
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { open } from 'thermocline';

/** Primes of a range, which is work enough for a thread of its own. */
function primes(from, to) {
  const found = [];
  for (let n = Math.max(2, from); n < to; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) found.push(n);
  }
  return found;
}

const key = (n) => `prime/${String(n).padStart(8, '0')}`;

if (isMainThread) {
  const location = process.argv[2] ?? 'workers-db';
  const db = await open(location, { valueEncoding: 'utf8' });
  const ended = [0, 1, 2, 3].map((i) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { location, from: i * 5000, to: (i + 1) * 5000 },
    });
    return new Promise((resolve, reject) => worker.on('error', reject).on('exit', resolve));
  });
  await Promise.all(ended);
  const all = await db.keys({ prefix: 'prime/' }).nextMany(10_000);
  console.log('primes below 20,000:', all.length);
  console.log('the last:', all.at(-1), 'found in thread', db.getSync(all.at(-1)));
  await db.close();
} else {
  const { location, from, to } = workerData;
  const db = await open(location, { valueEncoding: 'utf8' });
  await db.batch(primes(from, to).map((n) => ({ type: 'put', key: key(n), value: String(from / 5000 + 1) })));
  await db.close();
}
