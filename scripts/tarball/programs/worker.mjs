// One database, the main thread and two workers.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { open } from 'thermocline';

const db = await open('./worker-db', { valueEncoding: 'utf8' });
if (isMainThread) {
  const ended = ['a', 'b'].map((name) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: name });
    return new Promise((resolve, reject) => worker.on('error', reject).on('exit', resolve));
  });
  const codes = await Promise.all(ended);
  const keys = await db.keys().nextMany(1000);
  console.log(JSON.stringify(codes), keys.length, await db.get('b/99'));
} else {
  await db.batch(
    Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: `${workerData}/${i}`, value: `${workerData}${i}` })),
  );
}
await db.close();
