// db.topics.from(db.changes()): a topic that holds every change once.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { changeCodec, ThermoclineError } from '../lib/index.ts';
import { Replay, recordsOf } from './helpers/replay.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('changes: topic');
const space = new Workspace();
test.after(() => space.clean());

test('a topic is filled with the changes, each once, across reopenings', async () => {
  const location = space.folder();
  for (let life = 0; life < 4; life++) {
    const db = await space.open({ changes: true }, location);
    const log = await db.topics.from(db.changes({ since: 0 }), { topic: 'audit' });
    for (let i = 0; i < 50; i++) {
      await db.batch([
        { type: 'put', key: `k${i}`, value: `${life}`, ...(i % 5 === 0 ? { ttl: 1e9 } : {}) },
        { type: 'del', key: `k${i - 1}` },
      ]);
      if (i === 25) await db.deleteRange({ lt: 'k2' });
    }
    // Not all of it is there yet when the database closes.
    if (life % 2 === 0) await delay(20);
    await db.close();
    await log.done;
  }
  const db = await space.open({}, location);
  const log = await db.topics.from(db.changes());
  assert.equal(log.topic.name, 'changes', 'the default name');
  await log.close();
  const audit = await db.topics.from(db.changes(), { topic: 'audit' });
  const end = db.changes().sequence;
  await db.put('last', '');
  const replay = new Replay<string>();
  const consumer = audit.topic.consumer();
  while (replay.sequence <= end) for (const { value } of (await consumer.next()) ?? []) replay.apply(value);
  await consumer.close();
  assert.equal(replay.changes, 4 * 51 + 1);
  assert.deepEqual(replay.sorted(), await recordsOf(db));
  await audit.close();
  const read = await db.topics.open('audit', { valueEncoding: changeCodec({ valueEncoding: 'utf8' }) });
  const [first] = (await read.read({ offset: 0 })).values();
  const operation = first?.operations[0];
  assert.ok(operation?.type === 'put' && operation.value === '0' && operation.expires !== undefined);
  await db.close();
});

test('a topic that was left behind for too long says that there is a gap', async () => {
  const location = space.folder();
  const db = await space.open({ changes: { ms: 1 } }, location);
  const log = await db.topics.from(db.changes({ since: 0 }));
  await db.put('a', '');
  while (log.sequence === 0) await delay(5);
  await log.close();
  for (let i = 0; i < 4; i++) {
    await db.put(`k${i}`, '');
    await delay(1100);
    await db.flush();
  }
  await assert.rejects(
    (await db.topics.from(db.changes())).done,
    (error) => error instanceof ThermoclineError && error.code === 'ERR_GAP',
  );
  await db.close();
});

test('the codec gives back what it was given, and refuses damaged bytes', () => {
  const codec = changeCodec({ valueEncoding: 'json' });
  const change = {
    sequence: 2 ** 50,
    id: 300,
    operations: [
      { type: 'put' as const, shard: 0, key: '', value: null },
      { type: 'put' as const, shard: 255, key: 'ключ', value: { a: ['x'.repeat(500)] }, expires: 2 ** 47 },
      { type: 'delete' as const, shard: 7, key: 'k' },
      { type: 'deleteRange' as const, gte: Buffer.from([]), lt: Buffer.from([255, 0]) },
      { type: 'deleteRange' as const, gte: Buffer.from('a') },
    ],
  };
  const bytes = Buffer.from(codec.encode(change));
  assert.deepEqual(codec.decode(Buffer.from(bytes)), change);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => codec.decode(Buffer.from(bytes.subarray(0, length))), ThermoclineError, `${length} bytes`);
  }
  const newer = Buffer.from(bytes);
  newer[0] = 2;
  assert.throws(() => codec.decode(newer), /ERR_FORMAT_VERSION|version 2/);
});

test.run();
