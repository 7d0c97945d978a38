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
  // Calls whose arguments or answers are objects, without a pause: an end from outside falls amid reading them.
  const topic = await db.topics.open('t');
  const feed = db.changes({ since: 0 });
  const consumer = topic.consumer({ group: String(id) });
  const positions = Array.from({ length: 200 }, (_, partition) => ({ partition, offset: partition }));
  const messages = Array.from({ length: 50 }, (_, partition) => ({ topic, partition: partition % 4, value: 'm' }));
  const ignore = () => {};
  void feed.nextMany().catch(ignore);
  void consumer.next().catch(ignore);
  for (let i = 0; ; i++) {
    for (let j = 0; j < 20; j++) {
      db.stats();
      db.slowOperations({ clear: true });
      assign(['a', 'b', 'c'], [0, 1, 2, 3, 4, 5, 6, 7]);
      db.topics.stats();
      topic.stats();
      db.changes().end();
      void db.metrics().catch(ignore);
      void db.shards.list().catch(ignore);
      void db.tiers.report().catch(ignore);
      void db.batch([{ type: 'put', key: key(j), value: 'x' }], { messages }).catch(ignore);
      void topic.append({ value: 'm' }).catch(ignore);
      void topic.read({ partition: j % 4 }).catch(ignore);
    }
    if (i === 0) say('running');
    await consumer.commit(positions).catch(ignore);
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
