// A worker thread with a database of its own object: workerData = { task, location, id, count }

import { parentPort, workerData } from 'node:worker_threads';
import { assign, open } from '../../../lib/index.ts';

interface Job {
  task: 'write' | 'scan' | 'count' | 'mix' | 'objects' | 'figures';
  location: string;
  id: number;
  count: number;
}
const { task, location, id, count } = workerData as Job;
const db = await open(location, { valueEncoding: 'utf8' });
const say = (message: unknown) => parentPort?.postMessage(message);
const key = (i: number) => `${id}/${String(i).padStart(7, '0')}`;

async function scan(): Promise<number> {
  let records = 0;
  for await (const _ of db.iterator()) records++;
  return records;
}

if (task === 'write') {
  // Says how far it has got, so that others know what was acknowledged.
  for (let i = 0; i < count; ) {
    const puts: Promise<void>[] = [];
    for (let j = 0; j < 100 && i < count; j++) puts.push(db.put(key(i), `${id}:${i++}`));
    await Promise.all(puts);
    say(i);
  }
} else if (task === 'scan') {
  for (let i = 0; i < count; i++) say(await scan());
} else if (task === 'count') {
  say(await scan());
} else if (task === 'objects') {
  // Makes native objects without a pause, so that an end from outside falls amid that.
  const snapshot = await db.snapshot();
  for (let i = 0; ; i++) {
    for (let j = 0; j < 300; j++) {
      db.iterator({ limit: 1, snapshot });
      void db.snapshot();
      db.getSync(key(j));
      void db.getMany([key(j)], { snapshot });
      if (j % 50 === 0) db.stats();
    }
    if (i === 0) say('running');
    await new Promise(setImmediate);
  }
} else if (task === 'figures') {
  // Never lets go of its thread: an end from outside falls amid the reading of an argument, of which the largest takes longest.
  const topic = await db.topics.open('t');
  const consumer = topic.consumer({ group: 'g' });
  const partitions = Array.from({ length: 200_000 }, (_, i) => i);
  const positions = Array.from({ length: 4 }, (_, partition) => ({ partition, offset: 1 }));
  const messages = positions.map(({ partition }) => ({ topic, partition, value: 'm' }));
  say('running');
  for (let i = 0; ; i++) {
    assign(['a'], partitions);
    db.slowOperations();
    db.stats();
    void consumer.commit(positions).catch(() => {});
    void db.batch([{ type: 'put', key: key(i), value: 'x' }], { messages }).catch(() => {});
  }
} else if (task === 'mix') {
  // Everything at once, never waiting for anything, until it is ended from outside.
  for (let i = 0; ; i++) {
    for (let j = 0; j < 50; j++) {
      void db.put(key(i * 50 + j), 'x'.repeat(200)).catch(() => {});
      void db.get(key(j)).catch(() => {});
      void db.getMany([key(j), key(j + 1), 'none']).catch(() => {});
    }
    void db.batch([{ type: 'put', key: `${id}/a${i}`, value: '1' }, { type: 'put', key: `${id}/b${i}`, value: '1' }]).catch(() => {}); // biome-ignore format: one line
    void db
      .iterator({ limit: 500 })
      .nextMany(500)
      .catch(() => {});
    void (await db.snapshot()).getMany([key(0)]).catch(() => {});
    if (i % 7 === 0) void db.flush().catch(() => {});
    if (i % 5 === 0)
      void db
        .iterator()
        .next()
        .catch(() => {});
    if (i === 3) say('running');
    await new Promise(setImmediate);
  }
}
if (task !== 'write' || id % 2 === 0) await db.close(); // the others leave it to the end of their environment
