import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { assign, type Consumer, type Topic } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('topics: consumers');
const space = new Workspace();
test.after(() => space.clean());

async function topicOf(partitions = 1): Promise<Topic<string>> {
  const db = await space.open();
  return db.topics.create('t', { partitions });
}

async function values(consumer: Consumer<string>, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) {
    const batch = await consumer.next();
    if (batch === undefined) break;
    all.push(...batch.values());
  }
  return all;
}

test('a consumer reads what is there and then waits for more', async () => {
  const topic = await topicOf();
  await topic.append([{ value: 'a' }, { value: 'b' }]);
  const consumer = topic.consumer();
  assert.deepEqual(await values(consumer, 2), ['a', 'b']);
  const pending = consumer.next();
  const first = await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))]);
  assert.equal(first, 'waits');
  await topic.append({ value: 'c' });
  assert.deepEqual(
    [...((await pending) ?? [])].map(({ value, offset }) => [value, offset]),
    [['c', 2]],
  );
  await consumer.close();
  assert.equal(await consumer.next(), undefined);
});

test('a group whose offsets lie behind the end of the log, as a loss of power leaves them, misses nothing that comes', async () => {
  const topic = await topicOf();
  await topic.append([{ value: 'a' }, { value: 'b' }]);
  const before = topic.consumer({ group: 'g' });
  await before.commit([{ partition: 0, offset: 100 }]);
  await before.close();
  const consumer = topic.consumer({ group: 'g' });
  const pending = consumer.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await topic.append({ value: 'c' });
  const first = await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, 5000, 'waits'))]);
  assert.notEqual(first, 'waits');
  assert.deepEqual(
    [...((await pending) ?? [])].map(({ value, offset }) => [value, offset]),
    [['c', 2]],
  );
  await consumer.commit();
  assert.deepEqual(await consumer.committed(), new Map([[0, 3]]));
  await consumer.close();
});

test('a consumer that waits ends when it, its topic or its database is closed', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  const first = topic.consumer();
  const pending = first.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await first.close();
  assert.equal(await pending, undefined);

  await db.topics.create('gone');
  const second = (await db.topics.open('gone')).consumer();
  const deleted = second.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await db.topics.delete('gone');
  await rejects(deleted, 'ERR_NOT_FOUND', /was deleted/);

  const third = topic.consumer({ group: 'g' });
  const closed = third.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await db.close();
  assert.equal(await closed, undefined);
});

test('partitions take turns', async () => {
  const topic = await topicOf(3);
  for (let i = 0; i < 9; i++) await topic.append({ value: `${i}` }, { partition: i % 3 });
  const consumer = topic.consumer({ maxBytes: 1 });
  const partitions: number[] = [];
  for (let i = 0; i < 9; i++) partitions.push((await consumer.next())?.partition as number);
  assert.deepEqual(partitions, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
  await consumer.close();
});

test('a group goes on where it committed, over reopenings too', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const topic = await db.topics.create('t');
  for (let i = 0; i < 10; i++) await topic.append({ value: `${i}` });
  const consumer = topic.consumer({ group: 'g', maxBytes: 1 });
  assert.deepEqual(await values(consumer, 3), ['0', '1', '2']);
  await consumer.commit();
  assert.deepEqual(await values(consumer, 2), ['3', '4']);
  await consumer.close();
  assert.deepEqual(await topic.consumer({ group: 'other' }).committed(), new Map());
  await db.close();

  const again = await space.open({}, location);
  const resumed = (await again.topics.open('t')).consumer({ group: 'g', maxBytes: 1 });
  assert.deepEqual(await resumed.committed(), new Map([[0, 3]]));
  assert.deepEqual(await values(resumed, 2), ['3', '4']);
  await resumed.commit([{ partition: 0, offset: 9 }], { durability: 'fsync' });
  await resumed.close();
  const third = (await again.topics.open('t')).consumer({ group: 'g' });
  assert.deepEqual(await values(third, 1), ['9']);
  await rejects((await again.topics.open('t')).consumer().commit(), 'ERR_INVALID_ARGUMENT', /without a group/);
});

test('autoCommit commits what was done when more is asked for, and at the end', async () => {
  const topic = await topicOf();
  for (let i = 0; i < 5; i++) await topic.append({ value: `${i}` });
  const seen: string[] = [];
  for await (const batch of topic.consumer({ group: 'g', autoCommit: true, maxBytes: 1 })) {
    seen.push(...batch.values());
    if (seen.length === 3) break;
  }
  const next = topic.consumer({ group: 'g', autoCommit: true });
  assert.deepEqual(await values(next, 2), ['3', '4']);
  await next.close();
  assert.deepEqual(await topic.consumer({ group: 'g' }).committed(), new Map([[0, 5]]));
});

test('a topic that was created anew begins anew for its groups', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t');
  await topic.append({ value: 'old' });
  const consumer = topic.consumer({ group: 'g' });
  await values(consumer, 1);
  await consumer.commit();
  await consumer.close();
  await db.topics.delete('t');
  const fresh = await db.topics.create('t');
  await fresh.append({ value: 'new' });
  assert.deepEqual(await values(fresh.consumer({ group: 'g' }), 1), ['new']);
});

test('where to begin: the earliest, the latest, a time, a place', async () => {
  const topic = await topicOf();
  for (let i = 0; i < 5; i++) await topic.append({ value: `${i}`, timestamp: 100 * i });
  assert.deepEqual(await values(topic.consumer({ from: { timestamp: 250 } }), 2), ['3', '4']);
  const latest = topic.consumer({ from: 'latest' });
  const pending = latest.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await topic.append({ value: 'new' });
  assert.deepEqual(
    [...((await pending) ?? [])].map(({ value }) => value),
    ['new'],
  );
  latest.seek(0, 3);
  assert.deepEqual(await values(latest, 3), ['3', '4', 'new']);
  latest.seek(0, { timestamp: 150 });
  assert.equal((await latest.next())?.firstOffset, 2);
  await latest.close();
});

test('a paused partition is not read; resuming wakes who waits; lag counts what is left', async () => {
  const topic = await topicOf(2);
  const consumer = topic.consumer();
  await topic.append({ value: 'a' }, { partition: 0 });
  await topic.append({ value: 'b' }, { partition: 1 });
  assert.deepEqual((await values(consumer, 2)).sort(), ['a', 'b']);
  consumer.pause([0]);
  await topic.append([{ value: 'c' }, { value: 'd' }], { partition: 0 });
  await topic.append({ value: 'e' }, { partition: 1 });
  assert.deepEqual(await values(consumer, 1), ['e']);
  assert.equal(consumer.lag(), 2);
  const pending = consumer.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  consumer.resume();
  assert.deepEqual(
    [...((await pending) ?? [])].map(({ value }) => value),
    ['c', 'd'],
  );
  assert.equal(consumer.lag(), 0);
  assert.equal(consumer.position(0), 3);
  await consumer.close();
});

test('consumers of a group share the partitions, and each message is read by one of them', async () => {
  const topic = await topicOf(6);
  const seen: string[] = [];
  const read = async (consumer: Consumer<string>) => {
    for await (const batch of consumer) {
      seen.push(...batch.values());
      await consumer.commit();
    }
  };
  const consumers = [topic.consumer({ group: 'g' })];
  const loops = [read(consumers[0] as Consumer<string>)];
  let sent = 0;
  const send = async (count: number) => {
    for (let i = 0; i < count; i++) await topic.append({ key: `k${sent % 50}`, value: `${sent++}` });
  };
  const all = async () => {
    while (seen.length < sent) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const counts = () => consumers.map(({ assignment }) => assignment.length).sort();
  const settled = async (expected: number[]) => {
    while (counts().join() !== expected.join()) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  await send(200);
  await all();
  for (let i = 0; i < 2; i++) {
    const consumer = topic.consumer({ group: 'g' });
    consumers.push(consumer);
    loops.push(read(consumer));
    await send(100);
  }
  await settled([2, 2, 2]);
  await send(200);
  await all();
  await consumers.shift()?.close();
  await settled([3, 3]);
  await topic.configure({ partitions: 8 });
  await settled([4, 4]);
  await send(200);
  await all();
  for (const consumer of consumers) await consumer.close();
  await Promise.all(loops);
  assert.equal(seen.length, sent);
  assert.deepEqual(
    seen.map(Number).sort((a, b) => a - b),
    Array.from({ length: sent }, (_, i) => i),
  );
});

test('damage where a log ends is told to a consumer, which would wait there for ever', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  await (await db.topics.create('t')).append({ value: 'whole' });
  await db.close();
  const file = path.join(location, 'topics/t/0/00000000000000000000.log');
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(100, 1)]));
  const damaged = await space.open({}, location);
  const topic = await damaged.topics.open('t');
  await rejects(topic.append({ value: 'more' }), 'ERR_CORRUPTION', /takes|damaged at byte/);
  const consumer = topic.consumer();
  assert.deepEqual(await values(consumer, 1), ['whole']);
  await rejects(consumer.next(), 'ERR_CORRUPTION', /where offset 1 should begin/);
  await consumer.close();
  await damaged.close();
  const repairing = await space.open({}, location);
  assert.equal((await repairing.topics.repair('t')).cutBytes, 100);
  assert.equal((await (await repairing.topics.open('t')).append({ value: 'more' })).offset, 1);
});

test('assign is balanced and moves as few partitions as possible', () => {
  assert.deepEqual(assign(['b', 'a'], [0, 1, 2]), { a: [0, 1], b: [2] });
  assert.deepEqual(assign(['a', 'b', 'c'], [0, 1, 2, 3, 4, 5], { a: [0, 1, 2], b: [3, 4, 5] }), {
    a: [0, 1],
    b: [3, 4],
    c: [2, 5],
  });
  assert.deepEqual(assign(['a'], [0, 1], { a: [1], gone: [0] }), { a: [0, 1] });
  assert.deepEqual(assign([], [0, 1]), {});
});

test.run();
