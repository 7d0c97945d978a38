// Keys and values of every size that a boundary in the code could treat differently, through every way in and out.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Database, open } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { Random } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('records: sizes');
const space = new Workspace();
test.after(() => space.clean());

type Db = Database<string, Buffer>;
const KIB = 1024;
const MIB = 1024 * KIB;
const MAX_KEY = 64 * KIB;

// Varint lengths, the standalone limit of 16 KiB, slabs and arenas of 64 KiB, packs of 64 KiB.
const VALUE_SIZES = [0, 1, 2, 7, 24, 25, 100, 127, 128, 4096, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 32 * KIB];
VALUE_SIZES.push(64 * KIB - 8, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB + 1, MIB, 2 * MIB + 3);
const random = new Random(7);
/** Bytes that tell size and place apart. */
function filled(size: number): Buffer {
  const pattern = random.bytes(251);
  const value = Buffer.alloc(size);
  for (let at = 0; at < size; at += pattern.length) pattern.copy(value, at);
  return value;
}

/** assert.deepEqual on megabytes is slow, and its message unreadable. */
function same(actual: Uint8Array | undefined, expected: Buffer, what: string): void {
  assert.ok(actual instanceof Buffer, `${what}: ${typeof actual}`);
  assert.equal(actual.length, expected.length, what);
  assert.ok(expected.equals(actual), `${what}: other bytes`);
}

async function comesBack(db: Db, records: [string, Buffer][], when: string): Promise<void> {
  for (const [key, value] of records) {
    const what = `${value.length} bytes ${when}`;
    same(db.getSync(key), value, `getSync of ${what}`);
    same(await db.get(key), value, `get of ${what}`);
    same((await db.getMany([key]))[0], value, `getMany of ${what}`);
    same(db.getSync(key), value, `getSync again of ${what}`);
    assert.equal(await db.has(key), true, what);
  }
  const keys = records.map(([key]) => key);
  for (const [i, value] of (await db.getMany(keys)).entries())
    same(value, records[i]?.[1] as Buffer, `getMany, ${when}`);
  for (const [i, value] of (await Promise.all(keys.map((key) => db.get(key)))).entries()) {
    same(value, records[i]?.[1] as Buffer, `gets of one turn, ${when}`);
  }
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  let at = 0;
  for await (const [key, value] of db.iterator()) {
    assert.equal(key, sorted[at]?.[0]);
    same(value, sorted[at]?.[1] as Buffer, `iterator, ${when}`);
    at++;
  }
  assert.equal(at, records.length);
  const reversed = await db.values({ reverse: true }).nextMany(records.length + 1);
  assert.equal(reversed.length, records.length);
  for (const value of reversed) same(value, sorted[--at]?.[1] as Buffer, `reverse values, ${when}`);
}

const WAYS: [string, (db: Db, records: [string, Buffer][]) => Promise<unknown>][] = [
  ['put', (db, records) => Promise.all(records.map(([key, value]) => db.put(key, value)))],
  ['batch', (db, records) => db.batch(records.map(([key, value]) => ({ type: 'put', key, value })))],
  ['putMany', (db, records) => db.putMany(records)],
];

for (const [name, write] of WAYS) {
  test(`values of every size written by ${name} come back by every read, from memory, tables and after reopening`, async () => {
    for (const hotCache of ['64MB', 0, '300KB']) {
      const location = space.folder();
      const options = { memory: { hotCache } };
      let db = space.adopt(await open(location, options));
      const records = VALUE_SIZES.map((size): [string, Buffer] => [`size ${size}`, filled(size)]);
      await write(db, records);
      await comesBack(db, records, `with a hot cache of ${hotCache}`);
      await db.flush();
      await comesBack(db, records, 'flushed');
      await db.close();
      db = space.adopt(await open(location, options));
      await comesBack(db, records, 'reopened');
      await db.close();
    }
  });
}

test('a value that changes its size is read in its new size by all reads', async () => {
  const db = space.adopt(await open(space.folder()));
  for (const size of [0, 100, 20 * KIB, 1, 200 * KIB, 16 * KIB, 0, MIB, 50]) {
    const value = filled(size);
    await db.put('k', value);
    same(db.getSync('k'), value, 'getSync');
    same(await db.get('k'), value, 'get');
    same((await db.getMany(['k']))[0], value, 'getMany');
    same((await db.iterator().next())?.[1], value, 'iterator');
  }
});

test('a value of 64 MiB goes in and out by every way', async () => {
  const location = space.folder();
  let db = space.adopt(await open(location, { shards: 2 }));
  const [first, second] = [filled(64 * MIB), filled(64 * MIB)];
  await db.put('a', first);
  same(db.getSync('a'), first, 'getSync');
  await db.batch([
    { type: 'put', key: 'b', value: second },
    { type: 'put', key: 'small', value: Buffer.from('x') },
    { type: 'del', key: 'absent' },
  ]);
  const [a, small, b] = await db.getMany(['a', 'small', 'b']);
  same(a, first, 'getMany');
  same(small, Buffer.from('x'), 'beside it');
  same(b, second, 'getMany');
  await db.close();
  db = space.adopt(await open(location));
  same(await db.get('b'), second, 'get after reopening');
  const records = await db.iterator().nextMany(9);
  assert.deepEqual(records.map(([key]) => key), ['a', 'b', 'small']); // biome-ignore format: one line
  same(records[0]?.[1], first, 'iterator');
  assert.equal(await db.putMany([['a', second]]), 1);
  same(await db.get('a'), second, 'after putMany');
  await db.close();
});

test('a batch far larger than a group of the committer is written whole', async () => {
  const db = space.adopt(await open(space.folder(), { valueEncoding: 'utf8' }));
  const operations = Array.from({ length: 30_000 }, (_, i) => ({
    type: 'put' as const,
    key: `key${i}`,
    value: `${i} `.repeat(40),
  }));
  await db.batch(operations);
  let count = 0;
  for await (const [key, value] of db.iterator()) {
    const i = Number(key.slice(3));
    if (value !== `${i} `.repeat(40)) assert.fail(`${key} has another value`);
    count++;
  }
  assert.equal(count, operations.length);
});

test('a value over 1 GiB is refused, by put, batch and putMany, and what was written with it stays out', async () => {
  const db = space.adopt(await open(space.folder()));
  const huge = Buffer.alloc(1024 * MIB + 1); // never touched, so it takes no memory
  await rejects(() => db.put('k', huge), 'ERR_INVALID_ARGUMENT', /1073741825 bytes; at most 1073741824/);
  const operations = [
    { type: 'put' as const, key: 'a', value: Buffer.from('1') },
    { type: 'put' as const, key: 'k', value: huge },
  ];
  await rejects(() => db.batch(operations), 'ERR_INVALID_ARGUMENT', /value/);
  await rejects(() => db.putMany([['k', huge]]), 'ERR_INVALID_ARGUMENT', /value/);
  await db.put('b', Buffer.from('2'));
  assert.deepEqual(await db.keys().nextMany(9), ['b']);
});

const KEY_SIZES = [0, 1, 7, 8, 9, 23, 24, 25, 63, 64, 65, 127, 128, 1000, 16_383, 16_384, MAX_KEY - 1, MAX_KEY];

test('keys of every size up to 65,536 bytes, as bytes and as text', async () => {
  const location = space.folder();
  for (const encoding of ['buffer', 'utf8'] as const) {
    const db = space.adopt(await open(location, { keyEncoding: encoding, valueEncoding: 'utf8' })) as Database<
      never,
      string
    >;
    const show = (key: Buffer) => (encoding === 'buffer' ? key : key.toString()) as never;
    const keys = KEY_SIZES.map((size) => show(Buffer.alloc(size, 'k')));
    await Promise.all(keys.map((key, i) => db.put(key, `value ${KEY_SIZES[i]}`)));
    for (const again of [false, true]) {
      for (const [i, key] of keys.entries()) {
        assert.equal(db.getSync(key), `value ${KEY_SIZES[i]}`);
        assert.equal(await db.get(key), `value ${KEY_SIZES[i]}`);
        assert.equal(await db.has(key), true);
        const iterator = db.iterator({ gte: key, lte: key });
        assert.deepEqual(await iterator.nextMany(2), [[key, `value ${KEY_SIZES[i]}`]]);
        await iterator.close();
      }
      assert.deepEqual(await db.getMany(keys), KEY_SIZES.map((size) => `value ${size}`)); // biome-ignore format: one line
      assert.deepEqual(await db.keys().nextMany(100), keys);
      assert.deepEqual(await db.keys({ reverse: true, gt: keys[3] as never }).nextMany(100), keys.slice(4).reverse());
      if (!again) await db.flush();
    }
    await db.batch(keys.map((key) => ({ type: 'del', key })));
    assert.deepEqual(await db.keys().nextMany(100), []);
    await db.close();
  }
});

test('a key of 65,537 bytes is refused everywhere, whichever way its bytes are counted', async () => {
  const text = space.adopt(await open(space.folder(), { valueEncoding: 'utf8' }));
  const binary = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'utf8' }));
  const message = /the key has 6553[78] bytes; at most 65536/;
  const check = async <K>(db: Database<K, string>, key: K) => {
    await rejects(() => db.get(key), 'ERR_INVALID_ARGUMENT', message);
    throws(() => db.getSync(key), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.getMany([key]), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.has(key), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.hasMany([key]), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.put(key, 'v'), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.delete(key), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.batch([{ type: 'put', key, value: 'v' }]), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.batch([{ type: 'del', key }]), 'ERR_INVALID_ARGUMENT', message);
    await rejects(() => db.putMany([[key, 'v']]), 'ERR_INVALID_ARGUMENT', message);
    assert.equal(await db.iterator().next(), undefined);
  };
  await check(text, 'k'.repeat(MAX_KEY + 1));
  await check(text, `${'é'.repeat(MAX_KEY / 2)}k`); // half as many characters
  await check(text, '😀'.repeat(MAX_KEY / 4).concat('é'));
  await check(binary, Buffer.alloc(MAX_KEY + 1));
});

test('bounds may be as long as the longest key, exclusive ones too', async () => {
  const db = space.adopt(await open(space.folder(), { valueEncoding: 'utf8' }));
  const longest = 'k'.repeat(MAX_KEY);
  const all = ['a', 'k'.repeat(MAX_KEY - 1), longest, 'l'];
  await db.putMany(all.map((key) => [key, 'v']));
  assert.deepEqual(await db.keys({ gt: longest }).nextMany(9), ['l']);
  assert.deepEqual(await db.keys({ lte: longest }).nextMany(9), all.slice(0, 3));
  assert.deepEqual(await db.keys({ prefix: longest }).nextMany(9), [longest]);
  await db.deleteRange({ gt: longest });
  assert.deepEqual(await db.keys().nextMany(9), all.slice(0, 3));
  await db.deleteRange({ gte: longest, lte: longest });
  assert.deepEqual(await db.keys().nextMany(9), all.slice(0, 2));
});

test.run();
