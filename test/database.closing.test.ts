// close() with work in flight: what was begun ends as it should, what comes later is refused, nothing hangs or is lost.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { ThermoclineError } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { type Random, RUNS, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: closing');
const space = new Workspace();
test.after(() => space.clean());

const keyOf = (i: number) => `key${String(i).padStart(6, '0')}`;

async function everything(db: TextDatabase): Promise<Map<string, string>> {
  return new Map(await db.iterator().nextMany(1e6));
}

/** Ended as it should, or by ERR_CLOSED. */
async function endedOrRefused<T>(promise: Promise<T>): Promise<T | 'refused'> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof ThermoclineError && error.code === 'ERR_CLOSED') return 'refused';
    throw error;
  }
}

test('every write that was called before close() is written', async () => {
  const db = await space.open({ shards: 4 });
  const writes: Promise<unknown>[] = [];
  for (let i = 0; i < 5000; i++) writes.push(db.put(keyOf(i), String(i)));
  for (let i = 0; i < 100; i++) {
    writes.push(
      db.batch([
        { type: 'put', key: `batch${i}/1`, value: 'b' },
        { type: 'put', key: `batch${i}/2`, value: 'b' },
      ]),
    );
  }
  writes.push(db.putMany([['many', 'm']]), db.delete(keyOf(7)), db.deleteRange({ gte: keyOf(100), lt: keyOf(200) }));
  writes.push(db.put('last', 'of the turn'));
  const closing = db.close();
  const late = db.put('late', 'refused');
  await rejects(late, 'ERR_CLOSED');
  await Promise.all(writes);
  await closing;
  const found = await everything(await space.open({}, db.location));
  assert.equal(found.size, 5000 + 200 + 1 + 1 - 1 - 100);
  assert.equal(found.get('last'), 'of the turn');
  assert.equal(found.get('late'), undefined);
  assert.equal(found.get(keyOf(4999)), '4999');
});

test('every point read that was called before close() is answered', async () => {
  for (const hotCache of ['64MB', 0]) {
    const db = await space.open({ shards: 4, memory: { hotCache } });
    await db.putMany(Array.from({ length: 2000 }, (_, i) => [keyOf(i), String(i)]));
    await db.flush();
    const snapshot = await db.snapshot();
    const gets = Array.from({ length: 3000 }, (_, i) => db.get(keyOf(i)));
    const many = db.getMany(Array.from({ length: 3000 }, (_, i) => keyOf(i)));
    const has = db.hasMany([keyOf(0), 'none']);
    const old = snapshot.getMany([keyOf(1), 'none']);
    const size = db.approximateSize();
    const closing = db.close();
    const expected = Array.from({ length: 3000 }, (_, i) => (i < 2000 ? String(i) : undefined));
    assert.deepEqual(await Promise.all(gets), expected);
    assert.deepEqual(await many, expected);
    assert.deepEqual(await has, [true, false]);
    assert.deepEqual(await old, ['1', undefined]);
    assert.ok((await size) > 0);
    await closing;
  }
});

test('flush and compact that were called before close() end before it', async () => {
  const db = await space.open({ shards: 8 });
  for (let i = 0; i < 3; i++) {
    await db.putMany(Array.from({ length: 3000 }, (_, j) => [keyOf(j), 'x'.repeat(300)]));
    await db.flush();
  }
  const order: string[] = [];
  const flushed = db.flush().then(() => order.push('flush'));
  const compacted = db.compact().then(() => order.push('compact'));
  const closed = db.close().then(() => order.push('close'));
  await Promise.all([flushed, compacted, closed]);
  assert.equal(order.at(-1), 'close');
  assert.equal(order.length, 3);
});

test('iterators that wait for records end in what they asked for or in ERR_CLOSED, never in a cut walk', async () => {
  for (let round = 0; round < 20; round++) {
    const db = await space.open({ shards: 8 });
    await db.putMany(Array.from({ length: 500 }, (_, i) => [keyOf(i), String(i)]));
    const walks = Array.from({ length: 20 }, () => endedOrRefused(db.iterator().nextMany(1000)));
    for (let i = 0; i < round; i++) await new Promise(setImmediate);
    const closing = db.close();
    for (const walk of await Promise.all(walks)) assert.ok(walk === 'refused' || walk.length === 500);
    await closing;
  }
});

test('putMany from a source that is still going is refused from close() on, and what it wrote is a prefix', async () => {
  const db = await space.open();
  let given = 0;
  async function* source(): AsyncGenerator<[string, string]> {
    for (; ; given++) {
      if (given === 20_000) void db.close();
      if (given % 1000 === 0) await new Promise(setImmediate);
      yield [keyOf(given), 'x'.repeat(50)];
    }
  }
  await rejects(() => db.putMany(source()), 'ERR_CLOSED');
  await db.close();
  const keys = [...(await everything(await space.open({}, db.location))).keys()];
  assert.ok(keys.length > 0 && keys.length <= given + 1, `${keys.length} of ${given}`);
  assert.equal(keys.at(-1), keyOf(keys.length - 1), 'without a gap');
});

test('closing one of two objects leaves the work of the other alone', async () => {
  const first = await space.open();
  const second = await space.open({}, first.location);
  const mine = Promise.all(Array.from({ length: 2000 }, (_, i) => first.put(`first${i}`, 'x')));
  const others = Promise.all(Array.from({ length: 2000 }, (_, i) => second.put(`second${i}`, 'y')));
  const iterator = second.iterator();
  const snapshot = await second.snapshot();
  const closing = first.close();
  await Promise.all([mine, others, closing]);
  assert.deepEqual(await iterator.nextMany(10), []);
  assert.equal(await snapshot.get('second0'), await snapshot.get('second0'));
  assert.equal((await everything(second)).size, 4000);
  await second.put('after', 'z');
  assert.equal(await second.get('after'), 'z');
});

/** A little of everything, none of it awaited. Gives what is known to be written once the promises have settled. */
function burst(db: TextDatabase, random: Random, round: number) {
  const writes: { keys: string[]; value: string; ended: Promise<unknown> }[] = [];
  const others: Promise<unknown>[] = [];
  for (let i = 0; i < 200; i++) {
    const keys = [`${round}/${i}/a`, `${round}/${i}/b`];
    const value = String(random.below(1e9));
    const choice = random.below(7);
    if (choice === 0)
      writes.push({ keys: keys.slice(0, 1), value, ended: endedOrRefused(db.put(keys[0] as string, value)) });
    else if (choice === 1) {
      const batch = keys.map((key) => ({ type: 'put' as const, key, value }));
      writes.push({ keys, value, ended: endedOrRefused(db.batch(batch)) });
    } else if (choice === 2) {
      writes.push({ keys, value, ended: endedOrRefused(db.putMany(keys.map((key) => [key, value]))) });
    } else if (choice === 3) others.push(endedOrRefused(db.get(keys[0] as string)));
    else if (choice === 4) others.push(endedOrRefused(db.getMany(keys)));
    else if (choice === 5) others.push(endedOrRefused(db.iterator({ limit: 50 }).nextMany(50)));
    else if (i % 40 === 0) others.push(endedOrRefused(db.flush()));
  }
  return { writes, others };
}

test('random work that is closed at random moments settles, and what it acknowledged is there', () =>
  seeded(async (random) => {
    const location = space.folder();
    const expected = new Map<string, string>();
    for (let round = 0; round < 12 * RUNS; round++) {
      const db = await space.open({ shards: 4, memory: { hotCache: '100KB' } }, location);
      const bursts = [burst(db, random, 3 * round)];
      for (let i = random.below(6); i > 0; i--) await new Promise(setImmediate);
      bursts.push(burst(db, random, 3 * round + 1));
      const closing = db.close();
      assert.equal(db.status, 'closing');
      const late = endedOrRefused(db.put(`late${round}`, 'x'));
      for (const { writes, others } of bursts) {
        await Promise.all(others);
        for (const { keys, value, ended } of writes) {
          // Called before close(), so accepted.
          assert.notEqual(await ended, 'refused');
          for (const key of keys) expected.set(key, value);
        }
      }
      assert.equal(await late, 'refused');
      await closing;
    }
    const found = await everything(await space.open({}, location));
    assert.deepEqual(found, new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))));
  }));

test('reopening again and again neither loses nor gathers anything', async () => {
  const location = space.folder();
  for (let round = 0; round < 15; round++) {
    const db = await space.open({ shards: 4 }, location);
    assert.equal((await db.keys().nextMany(1000)).length, round * 10);
    for (let i = 0; i < 10; i++) void db.put(`${round}/${i}`, 'x');
    await db.close();
  }
});

test.run();
