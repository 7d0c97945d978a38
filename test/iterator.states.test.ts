// Every public method of DatabaseIterator in every state: walking, ended, closed, and with its database closed.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Codec, DatabaseIterator, open } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('iterator: states');
const space = new Workspace();
test.after(() => space.clean());

type Walk = DatabaseIterator<string, string>;
const COUNT = 100;
const key = (i: number) => `key${String(i).padStart(3, '0')}`;

async function fresh(): Promise<TextDatabase> {
  const db = await space.open();
  await db.putMany(Array.from({ length: COUNT }, (_, i) => [key(i), String(i)]));
  return db;
}

/** All ways to ask a walk for more; each rejects once there is nothing to walk over. */
async function refuses(iterator: Walk): Promise<void> {
  await rejects(() => iterator.next(), 'ERR_CLOSED');
  await rejects(() => iterator.nextMany(3), 'ERR_CLOSED');
  throws(() => iterator.seek('key'), 'ERR_CLOSED');
  await rejects(() => iterator[Symbol.asyncIterator]().next(), 'ERR_CLOSED');
  await rejects(() => iterator.next(), 'ERR_CLOSED');
}

test('a closed iterator rejects with ERR_CLOSED, whatever it had read before', async () => {
  const db = await fresh();
  const ways: ((iterator: Walk) => Promise<unknown>)[] = [
    async () => {},
    (iterator) => iterator.next(),
    (iterator) => iterator.nextMany(COUNT - 1),
    (iterator) => iterator.nextMany(COUNT + 1),
  ];
  for (const way of ways) {
    const iterator = db.iterator();
    await way(iterator);
    await iterator.close();
    await refuses(iterator);
  }
});

test('an iterator rejects with ERR_CLOSED from the close() of its database on, whatever it had read before', async () => {
  for (const way of ['untouched', 'records in hand', 'ended']) {
    const db = await fresh();
    const iterator = db.iterator();
    if (way === 'records in hand') assert.deepEqual(await iterator.next(), [key(0), '0']);
    if (way === 'ended') assert.equal((await iterator.nextMany(COUNT + 1)).length, COUNT);
    const closing = db.close();
    await refuses(iterator);
    await closing;
    await refuses(iterator);
  }
});

test('a for await loop over a database that is closed meanwhile ends in ERR_CLOSED', async () => {
  const db = await fresh();
  let seen = 0;
  await rejects(async () => {
    for await (const _ of db.iterator()) if (++seen === 5) await db.close();
  }, 'ERR_CLOSED');
  assert.equal(seen, 5);
});

test('close may be called again, before and after the database closes', async () => {
  const db = await fresh();
  const [first, second] = [db.iterator(), db.iterator()];
  await first.next();
  await second.next();
  await Promise.all([first.close(), first.close(), first[Symbol.asyncDispose]()]);
  await first.close();
  await db.close();
  await second.close();
  await second[Symbol.asyncDispose]();
});

test('close while a call waits rejects that call or lets it end', async () => {
  const db = await fresh();
  for (let round = 0; round < 50; round++) {
    const iterator = db.iterator();
    const waiting = iterator.next();
    const closed = iterator.close();
    const outcome = await waiting.then(
      (record) => record?.[0],
      (error) => error.code,
    );
    assert.ok(outcome === key(0) || outcome === 'ERR_CLOSED', outcome);
    await closed;
  }
});

test('an ended walk stays ended, and a seek revives it', async () => {
  const db = await fresh();
  const iterator = db.iterator({ gte: key(97) });
  assert.equal((await iterator.nextMany(10)).length, 3);
  for (let round = 0; round < 3; round++) {
    assert.equal(await iterator.next(), undefined);
    assert.deepEqual(await iterator.nextMany(5), []);
  }
  iterator.seek(key(98));
  assert.deepEqual(await iterator.next(), [key(98), '98']);
  await iterator.close();
});

test('for await closes the iterator at the end, on break and on throw', async () => {
  const db = await fresh();
  const [ended, broken, thrown] = [db.iterator(), db.iterator(), db.iterator()];
  let seen = 0;
  for await (const [name] of ended) assert.equal(name, key(seen++));
  assert.equal(seen, COUNT);
  for await (const [name] of broken) if (name === key(3)) break;
  const failure = new Error('in the loop');
  await assert.rejects(async () => {
    for await (const [name] of thrown) if (name === key(4)) throw failure;
  }, failure);
  for (const iterator of [ended, broken, thrown]) await rejects(() => iterator.next(), 'ERR_CLOSED');
});

test('a standard iterator says done again and again, and return() ends it early', async () => {
  const db = await fresh();
  const whole = db.iterator({ limit: 2 })[Symbol.asyncIterator]();
  assert.equal(whole[Symbol.asyncIterator](), whole);
  assert.deepEqual(await whole.next(), { done: false, value: [key(0), '0'] });
  assert.deepEqual(await whole.next(), { done: false, value: [key(1), '1'] });
  for (let round = 0; round < 3; round++) assert.deepEqual(await whole.next(), { done: true, value: undefined });
  const cut = db.iterator()[Symbol.asyncIterator]();
  await cut.next();
  assert.deepEqual(await cut.return?.(), { done: true, value: undefined });
  assert.deepEqual(await cut.next(), { done: true, value: undefined });
});

test('overlapping calls are served in the order of the calls', async () => {
  const db = await fresh();
  const iterator = db.iterator();
  const calls = [iterator.next(), iterator.nextMany(3), iterator.next(), iterator.nextMany(40), iterator.next()];
  const rest = iterator.nextMany(1000);
  const after = [iterator.next(), iterator.nextMany(2)];
  const expected = Array.from({ length: COUNT }, (_, i) => [key(i), String(i)]);
  assert.deepEqual((await Promise.all(calls)).flatMap((found) => (Array.isArray(found?.[0]) ? found : [found])), expected.slice(0, 46)); // biome-ignore format: one line
  assert.deepEqual(await rest, expected.slice(46));
  assert.deepEqual(await Promise.all(after), [undefined, []]);
  await iterator.close();
});

test('seek while a call is pending is refused, and the call ends as it would have', async () => {
  const db = await fresh();
  const iterator = db.iterator();
  const pending = iterator.next();
  throws(() => iterator.seek(key(50)), 'ERR_INVALID_ARGUMENT', /pending/);
  assert.deepEqual(await pending, [key(0), '0']);
  iterator.seek(key(50));
  assert.deepEqual(await iterator.next(), [key(50), '50']);
  await iterator.close();
});

test('nextMany takes whole numbers from 1', async () => {
  const db = await fresh();
  const iterator = db.iterator();
  for (const count of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', undefined, null, {}]) {
    await rejects(() => iterator.nextMany(count as number), 'ERR_INVALID_ARGUMENT', /nextMany/);
  }
  assert.deepEqual(await iterator.nextMany(1), [[key(0), '0']]);
  await iterator.close();
});

test('a value that does not decode rejects its call; the records around it can be read', async () => {
  const db = await fresh();
  await db.close();
  const picky: Codec<string> = {
    encode: (value) => value,
    decode: (bytes) => {
      const text = bytes.toString();
      if (text === '1') throw new RangeError('not this one');
      return text;
    },
  };
  const again = space.adopt(await open(db.location, { valueEncoding: picky }));
  const iterator = again.iterator();
  assert.deepEqual(await iterator.next(), [key(0), '0']);
  // Calling must not throw: the failure belongs to the promise.
  const second = iterator.next();
  await assert.rejects(second, new RangeError('not this one'));
  assert.deepEqual(await iterator.next(), [key(2), '2']);
  await iterator.close();

  const steps = again.iterator()[Symbol.asyncIterator]();
  await steps.next();
  await assert.rejects(steps.next(), RangeError);
  await assert.rejects(async () => {
    for await (const _ of again.values({ limit: 3 }));
  }, RangeError);
});

test('iterators are instances of the exported class', async () => {
  const db = await fresh();
  assert.ok(db.iterator() instanceof DatabaseIterator);
  assert.ok(db.keys() instanceof DatabaseIterator);
  assert.ok((await db.snapshot()).iterator() instanceof DatabaseIterator);
});

test.run();
