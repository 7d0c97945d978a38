// Which records an iterator yields: every kind of bound, forwards and backwards, limits and seeks, over several shards.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import { type Database, type IteratorOptions, open } from '../lib/index.ts';
import { afterSeek, type Entry, select } from './helpers/model.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('iterator: ranges');
const space = new Workspace();
test.after(() => space.clean());

const bytes = (text: string) => Buffer.from(text, 'latin1');
/** In order. Empty, zero bytes, 0xff bytes, prefixes of each other. */
const KEYS = ['', '\x00', '\x00\x00', 'a', 'a\x00', 'aa', 'ab', 'b', '\xfe\xff', '\xff', '\xff\x00', '\xff\xff'].map(
  bytes,
);
const RECORDS: Entry<string>[] = KEYS.map((key, i) => [key, `value ${i}`]);
/** Bounds: every key, and what lies between them. */
const BOUNDS = [...KEYS, ...['\x00\x01', '`', 'a\xff', 'abc', 'c', '\xff\xff\x00'].map(bytes)];

type Db = Database<Buffer, string>;
let db: Db;
/** Records in tables and in memory, deleted ones among them. */
test.before(async () => {
  db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'utf8', shards: 5 }));
  const gone = ['\x00a', 'aaa', 'zz', '\xff\xff\xff'].map(bytes);
  for (const key of gone) await db.put(key, 'gone');
  for (const [key, value] of RECORDS.slice(0, 7)) await db.put(key, value);
  await db.flush();
  for (const key of gone) await db.delete(key);
  for (const [key, value] of RECORDS.slice(5)) await db.put(key, value);
});

async function read(options: IteratorOptions<Buffer, string>): Promise<Entry<string>[]> {
  const iterator = db.iterator(options);
  const records = await iterator.nextMany(100);
  await iterator.close();
  return records;
}

async function agrees(options: IteratorOptions<Buffer, string>): Promise<void> {
  assert.deepEqual(await read(options), select(RECORDS, options as IteratorOptions<Buffer, never>), inspect(options));
}

test('without options yields everything in the order of the bytes', async () => {
  assert.deepEqual(await read({}), RECORDS);
});

test('with one bound yields what that bound covers', async () => {
  for (const bound of BOUNDS) {
    for (const name of ['gt', 'gte', 'lt', 'lte', 'prefix'] as const) {
      for (const reverse of [false, true]) await agrees({ [name]: bound, reverse });
    }
  }
});

test('with two bounds yields what both cover, nothing if they cross', async () => {
  for (const low of BOUNDS) {
    for (const high of BOUNDS) {
      await agrees({ gt: low, lte: high });
      await agrees({ gte: low, lt: high, reverse: true });
    }
  }
});

test('with all bounds and a prefix yields what all of them cover', async () => {
  await agrees({ gt: bytes(''), gte: bytes('a'), lt: bytes('b'), lte: bytes('ab'), prefix: bytes('a') });
  await agrees({ gt: bytes('a'), gte: bytes('a'), lt: bytes('b'), lte: bytes('b') });
  await agrees({ gte: bytes('b'), prefix: bytes('a') });
  await agrees({ lt: bytes('aa'), prefix: bytes('a'), reverse: true });
  await agrees({ prefix: bytes('\xff\xff'), gt: bytes('\xff\xff') });
  await agrees({ prefix: bytes('') });
});

test('with a limit yields that many, from the end in reverse', async () => {
  for (const limit of [0, 1, 2, 11, 12, 13, 1_000_000, -1, Number.POSITIVE_INFINITY]) {
    const options = { limit: limit === Number.POSITIVE_INFINITY ? -1 : limit };
    assert.deepEqual(await read({ limit }), select(RECORDS, options));
    assert.deepEqual(await read({ limit, reverse: true }), select(RECORDS, { ...options, reverse: true }));
    await agrees({ ...options, gte: bytes('a'), lt: bytes('\xff') });
  }
});

test('keys and values yield one side of the same walk', async () => {
  for (const options of [
    {},
    { reverse: true, limit: 5 },
    { prefix: bytes('\xff') },
    { gt: bytes('a'), lte: bytes('b') },
  ]) {
    const expected = select(RECORDS, options);
    const keys: Buffer[] = [];
    for await (const key of db.keys(options)) keys.push(key);
    const values: string[] = [];
    for await (const value of db.values(options)) values.push(value);
    assert.deepEqual(keys, expected.map(([key]) => key)); // biome-ignore format: one line each
    assert.deepEqual(
      values,
      expected.map(([, value]) => value),
    );
  }
});

test('seek continues at the key or the next one, in both directions, within the bounds', async () => {
  const ranges = [
    {},
    { gte: bytes('a'), lt: bytes('\xff') },
    { prefix: bytes('a') },
    { gt: bytes('\x00'), lte: bytes('ab') },
  ];
  for (const range of ranges) {
    for (const reverse of [false, true]) {
      const iterator = db.iterator({ ...range, reverse });
      const walk = select(RECORDS, { ...range, reverse });
      for (const target of BOUNDS) {
        iterator.seek(target);
        assert.deepEqual(
          await iterator.nextMany(100),
          afterSeek(walk, target, reverse),
          inspect({ range, reverse, target }),
        );
      }
      await iterator.close();
    }
  }
});

test('seek goes back as well as forth, from any place of the walk', async () => {
  const iterator = db.iterator();
  assert.deepEqual(await iterator.nextMany(4), RECORDS.slice(0, 4));
  iterator.seek(bytes('b'));
  assert.deepEqual(await iterator.next(), RECORDS[7]);
  iterator.seek(bytes('a'));
  iterator.seek(bytes(''));
  assert.deepEqual(await iterator.next(), RECORDS[0]);
  assert.deepEqual(await iterator.nextMany(100), RECORDS.slice(1));
  assert.equal(await iterator.next(), undefined);
  iterator.seek(bytes('\xff\xff'));
  assert.deepEqual(await iterator.next(), RECORDS[11]);
  assert.equal(await iterator.next(), undefined);
  await iterator.close();
});

test('a limit counts what was yielded, across seeks', async () => {
  const iterator = db.iterator({ limit: 5 });
  assert.deepEqual(await iterator.next(), RECORDS[0]);
  iterator.seek(bytes('a'));
  assert.deepEqual(await iterator.nextMany(2), RECORDS.slice(3, 5));
  iterator.seek(bytes(''));
  assert.deepEqual(await iterator.nextMany(100), RECORDS.slice(0, 2));
  iterator.seek(bytes(''));
  assert.equal(await iterator.next(), undefined);
  await iterator.close();
});

test('nextMany gives as many as asked, fewer only at the end, then none', async () => {
  for (const count of [1, 3, 5, 12, 13]) {
    const iterator = db.iterator();
    for (let at = 0; at < RECORDS.length; at += count) {
      assert.deepEqual(await iterator.nextMany(count), RECORDS.slice(at, at + count));
    }
    assert.deepEqual(await iterator.nextMany(count), []);
    await iterator.close();
  }
});

test('next and nextMany take turns on one walk', async () => {
  const iterator = db.iterator();
  const found = [await iterator.next(), ...(await iterator.nextMany(4)), await iterator.next()];
  for await (const record of iterator) found.push(record);
  assert.deepEqual(found, RECORDS);
});

test('a walk over an empty range, and over an empty database, ends at once', async () => {
  const empty = space.adopt(await open(space.folder(), { keyEncoding: 'buffer' }));
  for (const iterator of [
    db.iterator({ gt: bytes('b'), lt: bytes('b') }),
    db.iterator({ limit: 0 }),
    empty.iterator(),
  ]) {
    assert.equal(await iterator.next(), undefined);
    assert.deepEqual(await iterator.nextMany(10), []);
    iterator.seek(bytes('a'));
    assert.equal(await iterator.next(), undefined);
    await iterator.close();
  }
});

test('what is written after the call is invisible to the walk', async () => {
  const other = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'utf8' }));
  await other.put(bytes('b'), 'before');
  await other.put(bytes('d'), 'before');
  const iterator = other.iterator();
  await other.put(bytes('a'), 'after');
  await other.put(bytes('b'), 'after');
  await other.delete(bytes('d'));
  assert.deepEqual(await iterator.nextMany(10), [[bytes('b'), 'before'], [bytes('d'), 'before']]); // biome-ignore format: one line
  await iterator.close();
  assert.deepEqual(await other.iterator().nextMany(10), [[bytes('a'), 'after'], [bytes('b'), 'after']]); // biome-ignore format: one line
});

test.run();
