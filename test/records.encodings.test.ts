// Encodings of keys and values: utf8, buffer, json, and codecs of the program's own.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Codec, type Database, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('records: encodings');
const space = new Workspace();
test.after(() => space.clean());

type Json = Database<string, unknown>;
const json = async (location = space.folder()): Promise<Json> =>
  space.adopt(await open(location, { valueEncoding: 'json' }));

test('keys are strings and values Buffers unless told otherwise', async () => {
  const db = space.adopt(await open(space.folder()));
  await db.put('k', Buffer.from([0, 255]));
  assert.deepEqual(await db.get('k'), Buffer.from([0, 255]));
  await rejects(
    () => db.put(Buffer.from('k') as never, Buffer.alloc(0)),
    'ERR_INVALID_ARGUMENT',
    /keyEncoding 'buffer'/,
  );
  await rejects(() => db.put('k', 'text' as never), 'ERR_INVALID_ARGUMENT', /valueEncoding 'utf8'/);
});

test('the same records show as each encoding has them', async () => {
  const location = space.folder();
  const binary = space.adopt(await open(location, { keyEncoding: 'buffer', valueEncoding: 'buffer' }));
  await binary.put(Buffer.from('clé'), Buffer.from('{"a":[1,"é"]}'));
  const text = await space.open({}, location);
  const parsed = await json(location);
  const mixed = space.adopt(await open(location, { keyEncoding: 'buffer', valueEncoding: 'json' }));
  assert.equal(await text.get('clé'), '{"a":[1,"é"]}');
  assert.deepEqual(await parsed.get('clé'), { a: [1, 'é'] });
  assert.deepEqual(await mixed.iterator().nextMany(2), [[Buffer.from('clé'), { a: [1, 'é'] }]]);
  await parsed.put('b', null);
  assert.deepEqual(await binary.get(Buffer.from('b')), Buffer.from('null'));
});

test('json keeps what JSON can hold', async () => {
  const db = await json();
  const values = [null, true, false, 0, -1.5, 1e300, '', 'é😀\u0000', [], {}, [[1], { a: null }], { b: { c: [true] } }];
  await db.putMany(values.map((value, i) => [`k${i}`, value]));
  const keys = values.map((_, i) => `k${i}`);
  assert.deepEqual(await db.getMany(keys), values);
  assert.deepEqual(keys.map((key) => db.getSync(key)), values); // biome-ignore format: one line
  assert.deepEqual(await Promise.all(keys.map((key) => db.get(key))), values);
  const byKey = new Map(await db.iterator().nextMany(100));
  assert.deepEqual(keys.map((key) => byKey.get(key)), values); // biome-ignore format: one line
  await db.put('date', new Date(0));
  assert.equal(await db.get('date'), '1970-01-01T00:00:00.000Z');
  await db.put('unpaired', '\ud800');
  assert.equal(await db.get('unpaired'), '\ud800', 'JSON escapes what UTF-8 cannot hold');
});

test('json refuses what JSON cannot hold, and nothing is written', async () => {
  const db = await json();
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const throwing = {
    toJSON() {
      throw new Error('not now');
    },
  };
  for (const value of [undefined, () => 1, Symbol('s'), 1n, { a: 1n }, cycle, throwing, { toJSON: () => undefined }]) {
    await rejects(() => db.put('k', value), 'ERR_INVALID_ARGUMENT', /JSON/);
    await rejects(() => db.batch([{ type: 'put', key: 'k', value }]), 'ERR_INVALID_ARGUMENT', /JSON/);
    await rejects(() => db.putMany([['k', value]]), 'ERR_INVALID_ARGUMENT', /JSON/);
  }
  assert.equal(await db.keys().next(), undefined);
});

test('a stored value that is not JSON is reported by every read as damage, and the others are still read', async () => {
  const location = space.folder();
  const text = await space.open({}, location);
  await text.putMany([['a', '1'], ['b', '{"cut'], ['c', '3']]); // biome-ignore format: one line
  await text.close();
  const db = await json(location);
  for (const hot of [false, true]) {
    if (hot) await db.hasMany(['a', 'b', 'c']);
    await rejects(() => db.get('b'), 'ERR_CORRUPTION', /JSON/);
    await rejects(() => db.getMany(['a', 'b']), 'ERR_CORRUPTION', /JSON/);
    assert.throws(() => db.getSync('b'), { name: 'ThermoclineError', code: 'ERR_CORRUPTION' });
    const [a, b, c] = await Promise.allSettled(['a', 'b', 'c'].map((key) => db.get(key)));
    assert.deepEqual([a?.status, b?.status, c?.status], ['fulfilled', 'rejected', 'fulfilled']);
    const iterator = db.iterator();
    assert.deepEqual(await iterator.next(), ['a', 1]);
    await rejects(() => iterator.next(), 'ERR_CORRUPTION', /JSON/);
    assert.deepEqual(await iterator.next(), ['c', 3]);
    await iterator.close();
  }
});

/** Stores a date as eight bytes. */
const dates: Codec<Date> = {
  encode(date) {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(date.getTime());
    return bytes;
  },
  decode: (bytes) => new Date(bytes.readDoubleLE()),
};

test('a codec of the program encodes and decodes in every method', async () => {
  const db = space.adopt(await open(space.folder(), { valueEncoding: dates }));
  const all = [new Date(1), new Date(2), new Date(3)];
  await db.put('a', all[0] as Date);
  await db.batch([{ type: 'put', key: 'b', value: all[1] as Date }]);
  await db.putMany([['c', all[2] as Date]]);
  assert.deepEqual(db.getSync('a'), all[0]);
  assert.deepEqual(await db.get('b'), all[1]);
  assert.deepEqual(await db.getMany(['c', 'x', 'a']), [all[2], undefined, all[0]]);
  assert.deepEqual(await db.values().nextMany(9), all);
  assert.deepEqual(await (await db.snapshot()).get('a'), all[0]);
  assert.deepEqual(await db.keys().nextMany(9), ['a', 'b', 'c']);
});

test('what decode is given belongs to the program', async () => {
  const keeping: Codec<Buffer> = { encode: (value) => value, decode: (bytes) => bytes };
  const db = space.adopt(await open(space.folder(), { valueEncoding: keeping }));
  const values = Array.from({ length: 200 }, (_, i) => Buffer.alloc(i * 7, i));
  await db.putMany(values.map((value, i) => [`k${i}`, value]));
  const kept = values.map((_, i) => db.getSync(`k${i}`));
  const again = await Promise.all(values.map((_, i) => db.get(`k${i}`)));
  assert.deepEqual(kept, values);
  assert.deepEqual(again, values);
});

test('a codec may give text, which is stored as UTF-8', async () => {
  const shouting: Codec<string> = { encode: (value) => value.toUpperCase(), decode: (bytes) => bytes.toString() };
  const db = space.adopt(await open(space.folder(), { valueEncoding: shouting }));
  await db.put('k', 'straße');
  assert.equal(db.getSync('k'), 'STRASSE');
  await rejects(() => db.put('k', '\ud800'), 'ERR_INVALID_ARGUMENT', /lone surrogate/);
  assert.equal(db.getSync('k'), 'STRASSE');
});

test('what a codec throws comes out as it is, and the writes around it are whole', async () => {
  const failure = new TypeError('cannot encode this');
  const moody: Codec<string> = {
    encode(value) {
      if (value === 'bad') throw failure;
      return value;
    },
    decode(bytes) {
      const text = bytes.toString();
      if (text === 'unreadable') throw failure;
      return text;
    },
  };
  const db = space.adopt(await open(space.folder(), { valueEncoding: moody }));
  const [first, bad, last] = [db.put('a', '1'), db.put('b', 'bad'), db.put('c', '3')];
  await assert.rejects(bad, failure);
  await Promise.all([first, last]);
  const operations = ['4', 'bad'].map((value) => ({ type: 'put' as const, key: 'd', value }));
  await assert.rejects(db.batch(operations), failure);
  await assert.rejects(db.putMany([['e', 'bad']]), failure);
  assert.deepEqual(await db.iterator().nextMany(9), [['a', '1'], ['c', '3']]); // biome-ignore format: one line

  await db.put('b', 'unreadable');
  for (const hot of [false, true]) {
    if (hot) await db.hasMany(['a', 'b', 'c']);
    assert.throws(() => db.getSync('b'), failure);
    await assert.rejects(db.get('b'), failure);
    await assert.rejects(db.getMany(['a', 'b']), failure);
    const [a, c] = await Promise.all([db.get('a'), db.get('c'), assert.rejects(db.get('b'), failure)]);
    assert.deepEqual([a, c], ['1', '3']);
  }
});

test('a codec that returns neither bytes nor text is refused', async () => {
  for (const result of [undefined, null, 7, {}, [1, 2], new ArrayBuffer(3), new Float64Array(1)]) {
    const wrong: Codec<string> = { encode: () => result as never, decode: (bytes) => bytes.toString() };
    const db = space.adopt(await open(space.folder(), { valueEncoding: wrong }));
    await rejects(() => db.put('k', 'v'), 'ERR_INVALID_ARGUMENT', /codec's encode returned/);
    assert.equal(await db.has('k'), false);
    await db.close();
  }
});

test('a codec may use the database while it encodes or decodes', async () => {
  let db: Database<string, string>;
  const nested: Promise<unknown>[] = [];
  const curious: Codec<string> = {
    encode(value) {
      if (value === 'nested') {
        nested.push(db.batch([{ type: 'put', key: 'inner batch', value: 'i' }]));
        nested.push(db.deleteRange({ prefix: 'no such' }), db.put('inner put', 'p'), db.getMany(['a']));
        nested.push(db.putMany([['inner many', 'm']]));
      }
      return value;
    },
    decode(bytes) {
      const before = bytes.toString();
      if (before === 'nested') {
        db.getSync('a');
        void db.get('a');
      }
      assert.equal(bytes.toString(), before, 'the bytes changed while they were being decoded');
      return before;
    },
  };
  db = space.adopt(await open(space.folder(), { valueEncoding: curious }));
  await db.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: key === 'b' ? 'nested' : `outer ${key}` })));
  await db.put('d', 'nested');
  await Promise.all(nested);
  const expected: [string, string][] = [
    ['a', 'outer a'],
    ['b', 'nested'],
    ['c', 'outer c'],
    ['d', 'nested'],
    ['inner batch', 'i'],
    ['inner many', 'm'],
    ['inner put', 'p'],
  ];
  assert.deepEqual(await db.iterator().nextMany(99), expected);
  for (let round = 0; round < 2; round++) {
    for (const [key, value] of expected) assert.equal(db.getSync(key), value);
    for (const [key, value] of expected) assert.equal(await db.get(key), value);
  }
});

test('encodings that do not exist are refused by open', async () => {
  for (const keyEncoding of ['json', 'utf-8', '', null, 7, dates]) {
    await rejects(
      () => open(space.folder(), { keyEncoding: keyEncoding as never }),
      'ERR_INVALID_ARGUMENT',
      /keyEncoding/,
    );
  }
  for (const valueEncoding of ['binary', '', null, 7, {}, { encode: dates.encode }, { decode: dates.decode }]) {
    await rejects(() => open(space.folder(), { valueEncoding: valueEncoding as never }), 'ERR_INVALID_ARGUMENT', /valueEncoding/); // biome-ignore format: one line
  }
});

test.run();
