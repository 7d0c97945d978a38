// Messages that are committed together with records.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { ThermoclineError, type Topic } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('topics: outbox');
const space = new Workspace();
test.after(() => space.clean());

const code = (expected: string) => (error: unknown) => error instanceof ThermoclineError && error.code === expected;

/** So many messages, of all partitions, as they arrive. */
async function arrived(topic: Topic<string, string>, count: number) {
  const consumer = topic.consumer();
  const messages: { partition: number; key: string | undefined; value: string; offset: number }[] = [];
  while (messages.length < count) for (const message of (await consumer.next()) ?? []) messages.push(message);
  await consumer.close();
  assert.equal(messages.length, count);
  return messages;
}

test('the messages of a batch arrive once it is written, in the order of the commits', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  for (let i = 0; i < 50; i++) {
    await db.batch([{ type: 'put', key: `k${i}`, value: '' }], {
      messages: [
        { topic, value: `${i}a`, key: `k${i}`, id: 'i', headers: { h: 'x' }, timestamp: 1000 + i },
        { topic, value: `${i}b` },
      ],
    });
  }
  const messages = await arrived(topic, 100);
  assert.deepEqual(
    messages.map(({ value }) => value),
    Array.from({ length: 100 }, (_, n) => `${n >> 1}${'ab'[n & 1]}`),
  );
  const [first] = await topic.read({ offset: 0 });
  assert.deepEqual(
    [first?.key, first?.id, first?.timestamp, first?.headers],
    ['k0', 'i', 1000, { h: Buffer.from('x') }],
  );
  await db.close();
});

test('messages go where an append would have put them: by partition, by key, or the next one', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t', { partitions: 3 });
  const keyed = await topic.append({ key: 'user/7', value: 'before' });
  await db.batch([], { messages: [{ topic, key: 'user/7', value: 'keyed' }] });
  await db.batch([], { messages: [{ topic, partition: 2, key: 'user/7', value: 'fixed' }] });
  for (let i = 0; i < 3; i++) await db.batch([], { messages: [{ topic, value: 'turn' }] });
  const messages = await arrived(topic, 6);
  const placeOf = (value: string) => messages.filter((each) => each.value === value).map((each) => each.partition);
  assert.deepEqual(placeOf('keyed'), [keyed.partition]);
  assert.deepEqual(placeOf('fixed'), [2]);
  assert.deepEqual(placeOf('turn').sort(), [0, 1, 2]);
  await db.close();
});

test('one commit can send to several topics, and to a topic opened twice', async () => {
  const db = await space.open();
  const one = await db.topics.create('one');
  const json = await db.topics.open('one', { valueEncoding: 'json' });
  const two = await db.topics.create('two', { compression: 'lz4' });
  await db.batch([{ type: 'put', key: 'k', value: '' }], {
    messages: [
      { topic: one, value: 'text' },
      { topic: two, value: 'x'.repeat(1000) },
      { topic: json, value: { a: 1 } },
    ],
  });
  assert.deepEqual((await arrived(one, 2)).map(({ value }) => value).sort(), ['text', '{"a":1}']);
  assert.equal((await arrived(two, 1))[0]?.value, 'x'.repeat(1000));
  await db.close();
});

test('commits, batches built step by step and transactions send too', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  await db.commit([], { messages: [{ topic, value: 'commit' }] }).durable;
  const batch = db.beginBatch().put('a', '1').send({ topic, value: 'kept' });
  const savepoint = batch.savepoint();
  batch.put('b', '1').send({ topic, value: 'undone' });
  await batch.rollbackTo(savepoint).send({ topic, value: 'late' }).commit();
  await db.transaction(async (tx) => {
    const old = await tx.get('a');
    tx.put('a', '2');
    tx.send({ topic, value: `was ${old}` });
  });
  await db.batch([{ type: 'put', key: 'c', value: '', if: { absent: true } }], {
    messages: [{ topic, value: 'condition' }],
  });
  assert.deepEqual(
    (await arrived(topic, 5)).map(({ value }) => value),
    ['commit', 'kept', 'late', 'was 1', 'condition'],
  );
  await db.close();
});

test('what is not committed sends nothing', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  await db.put('taken', '');
  const messages = [{ topic, value: 'never' }];
  await assert.rejects(
    db.batch([{ type: 'put', key: 'taken', value: '', if: { absent: true } }], { messages }),
    code('ERR_CONDITION'),
  );
  db.beginBatch().send({ topic, value: 'never' }).rollback();
  await assert.rejects(
    db.transaction(async (tx) => {
      tx.send({ topic, value: 'never' });
      throw new Error('no');
    }),
    /no/,
  );
  let attempts = 0;
  await db.transaction(async (tx) => {
    await tx.get('counter');
    tx.send({ topic, value: `attempt ${++attempts}` });
    tx.put('counter', '');
    if (attempts === 1) await db.put('counter', 'conflict');
  });
  assert.deepEqual(
    (await arrived(topic, 1)).map(({ value }) => value),
    ['attempt 2'],
  );
  await db.close();
});

test('what the database had no time to send is there when it is open again', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const topic = await db.topics.create('t');
  const writes: Promise<void>[] = [];
  for (let i = 0; i < 200; i++) writes.push(db.batch([], { messages: [{ topic, value: String(i) }] }));
  await Promise.all([...writes, db.close()]);
  const again = await space.open({}, location);
  const messages = await (await again.topics.open('t')).read({ maxBytes: '10MB' });
  assert.deepEqual(
    [...messages].map(({ value }) => value),
    Array.from({ length: 200 }, (_, i) => String(i)),
  );
  await again.close();
});

test('a topic that is deleted takes its messages with it, and others go on', async () => {
  const db = await space.open();
  const gone = await db.topics.create('gone');
  const topic = await db.topics.create('t');
  await db.topics.delete('gone');
  await db.topics.create('gone');
  await db.batch([], { messages: [{ topic: gone, value: 'lost' }] });
  await db.batch([], { messages: [{ topic, value: 'there' }] });
  assert.equal((await arrived(topic, 1))[0]?.value, 'there');
  assert.equal((await db.topics.open('gone')).stats().messages, 0);
  while (db.topics.stats().waitingCommits > 0) await delay(5);
  await db.close();
});

test('what cannot be sent is refused, and nothing is written', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  const other = await space.open();
  const foreign = await other.topics.create('t');
  const put = [{ type: 'put' as const, key: 'k', value: '' }];
  const bad: unknown[] = [
    {},
    [{}],
    [{ topic: 't', value: '' }],
    [{ topic, value: 1 }],
    [{ topic, value: '', partition: -1 }],
    [{ topic, value: '', partition: 1 }],
    [{ topic, value: '', producer: {} }],
    [{ topic: foreign, value: '' }],
  ];
  for (const messages of bad) {
    await assert.rejects(db.batch(put, { messages: messages as never }), code('ERR_INVALID_ARGUMENT'));
  }
  assert.equal(await db.has('k'), false);
  await other.close();
  await db.close();
  const none = await space.open({ durability: 'none' });
  const its = await none.topics.create('t');
  await assert.rejects(none.batch(put, { messages: [{ topic: its, value: '' }] }), code('ERR_INVALID_ARGUMENT'));
  await none.close();
});

test.run();
