// Text: what goes in comes out code unit by code unit, in the order of its bytes, and what UTF-8 cannot hold is refused.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('records: unicode');
const space = new Workspace();
test.after(() => space.clean());

const TEXTS = [
  '',
  '\u0000',
  '\u0000\u0000a',
  'a\u0000b',
  ' ',
  'A',
  'ABC',
  'plain ASCII, longer than the twenty-four and the sixty-four bytes up to which text is copied in a loop of its own',
  '\u007f',
  '\u0080',
  'é',
  'e\u0301', // looks the same, is another key
  'ß',
  '\u07ff',
  '\u0800',
  '中文',
  '한국어',
  'עברית',
  'ไทย',
  '\ud7ff',
  '\ue000',
  '\ufeff', // a byte order mark is a character like any other
  '\ufeffBOM first',
  'BOM\ufefflater',
  '\ufffd',
  '\uffff',
  '\u{10000}',
  '😀',
  '👩‍👩‍👧‍👦',
  '\u{10ffff}',
  `${'x'.repeat(63)}é`, // the fast path for short text ends within it
  `${'x'.repeat(62)}😀`,
  'é'.repeat(200),
  '😀'.repeat(5000),
];
const sorted = [...TEXTS].sort((a, b) => Buffer.from(a).compare(Buffer.from(b)));
/** Half of a surrogate pair, and ways to come by one. */
const LONE = [
  '\ud800',
  '\udfff',
  'a\ud83d',
  '\ude00b',
  '\ude00\ud83d',
  `${'long '.repeat(50)}\udbff`,
  '😀'.slice(0, 1),
];
const REFUSED = /lone surrogate/;

async function filled(): Promise<TextDatabase> {
  const db = await space.open({ shards: 7 });
  await db.putMany(TEXTS.map((text) => [text, `value of ${text}`]));
  return db;
}

test('keys of every kind of character come back as they were, and are told apart', async () => {
  const db = await filled();
  const values = TEXTS.map((text) => `value of ${text}`);
  for (const flushed of [false, true]) {
    if (flushed) await db.flush();
    assert.deepEqual(await db.getMany(TEXTS), values);
    assert.deepEqual(await Promise.all(TEXTS.map((text) => db.get(text))), values);
    assert.deepEqual(TEXTS.map((text) => db.getSync(text)), values); // biome-ignore format: one line
    assert.deepEqual(await db.hasMany([...TEXTS, 'e', '\u0301', '👩']), [
      ...TEXTS.map(() => true),
      false,
      false,
      false,
    ]);
  }
});

test('values of every kind of character come back as they were', async () => {
  const db = await space.open();
  await db.putMany(TEXTS.map((text, i) => [String(i).padStart(2, '0'), text]));
  for (const hot of [true, false]) {
    const reader = hot ? db : await space.open({ memory: { hotCache: 0 } }, db.location);
    assert.deepEqual(await reader.values().nextMany(100), TEXTS);
    for (const [i, text] of TEXTS.entries()) {
      assert.equal(reader.getSync(String(i).padStart(2, '0')), text);
      assert.equal(await reader.get(String(i).padStart(2, '0')), text);
    }
    if (hot) await db.close();
  }
});

test('keys are in the order of their bytes, which is that of code points and not of UTF-16', async () => {
  const db = await filled();
  assert.deepEqual(await db.keys().nextMany(100), sorted);
  assert.deepEqual(await db.keys({ reverse: true }).nextMany(100), [...sorted].reverse());
  assert.ok(sorted.indexOf('😀') > sorted.indexOf('\uffff'), 'in UTF-16 it would come before');
  // A chunk whose keys are all ASCII is decoded in another way than one with others in it.
  assert.deepEqual(await db.keys({ gte: 'A', lte: 'ABC' }).nextMany(9), ['A', 'ABC']);
  assert.deepEqual(await db.iterator({ lt: '\u0080' }).nextMany(2), [['', 'value of '], ['\u0000', 'value of \u0000']]); // biome-ignore format: one line
});

test('bounds and seeks take every kind of character', async () => {
  const db = await filled();
  for (const [i, text] of sorted.entries()) {
    assert.deepEqual(await db.keys({ gte: text, limit: 2 }).nextMany(9), sorted.slice(i, i + 2));
    assert.deepEqual(
      await db.keys({ lt: text, reverse: true, limit: 1 }).nextMany(9),
      sorted.slice(Math.max(0, i - 1), i),
    );
    assert.deepEqual(await db.keys({ prefix: text }).nextMany(100), sorted.filter((other) => other.startsWith(text))); // biome-ignore format: one line
    const iterator = db.keys();
    iterator.seek(text);
    assert.equal(await iterator.next(), text);
    await iterator.close();
  }
});

test('keys with a lone surrogate are refused by every method, and nothing is written', async () => {
  const db = await space.open();
  for (const text of LONE) {
    await rejects(() => db.get(text), 'ERR_INVALID_ARGUMENT', REFUSED);
    throws(() => db.getSync(text), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.getMany(['a', text]), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.has(text), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.hasMany([text]), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.put(text, 'v'), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.delete(text), 'ERR_INVALID_ARGUMENT', REFUSED);
    const batch = [
      { type: 'put' as const, key: 'a', value: 'v' },
      { type: 'del' as const, key: text },
    ];
    await rejects(() => db.batch(batch), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.putMany([[text, 'v']]), 'ERR_INVALID_ARGUMENT', REFUSED);
  }
  assert.equal(await db.iterator().next(), undefined);
});

test('values with a lone surrogate are refused by every method, and nothing is written', async () => {
  const db = await space.open();
  for (const text of LONE) {
    await rejects(() => db.put('k', text), 'ERR_INVALID_ARGUMENT', REFUSED);
    await rejects(() => db.putMany([['k', text]]), 'ERR_INVALID_ARGUMENT', REFUSED);
    const batch = [
      { type: 'put' as const, key: 'a', value: 'v' },
      { type: 'put' as const, key: 'k', value: text },
    ];
    await rejects(() => db.batch(batch), 'ERR_INVALID_ARGUMENT', REFUSED);
  }
  assert.equal(await db.iterator().next(), undefined);
});

test('bounds and seeks with a lone surrogate are refused', async () => {
  const db = await filled();
  const iterator = db.iterator();
  for (const text of LONE) {
    for (const name of ['gt', 'gte', 'lt', 'lte', 'prefix']) {
      throws(() => db.iterator({ [name]: text }), 'ERR_INVALID_ARGUMENT', REFUSED);
      await rejects(() => db.deleteRange({ [name]: text }), 'ERR_INVALID_ARGUMENT', REFUSED);
      await rejects(() => db.approximateSize({ [name]: text }), 'ERR_INVALID_ARGUMENT', REFUSED);
      await rejects(() => db.compact({ [name]: text }), 'ERR_INVALID_ARGUMENT', REFUSED);
    }
    throws(() => iterator.seek(text), 'ERR_INVALID_ARGUMENT', REFUSED);
  }
  assert.equal((await iterator.nextMany(100)).length, TEXTS.length);
  await iterator.close();
});

test('a refused write in the middle of a turn leaves the others of that turn whole', async () => {
  const db = await space.open();
  const first = db.put('first', '1');
  const refused = db.put(`${'x'.repeat(100)}\ud800`, '2');
  const refusedValue = db.put('key', `${'y'.repeat(100)}\ud800`);
  const refusedDelete = db.delete('\udc00');
  const last = db.put('last', '3');
  for (const promise of [refused, refusedValue, refusedDelete]) await rejects(promise, 'ERR_INVALID_ARGUMENT', REFUSED);
  await Promise.all([first, last]);
  assert.deepEqual(await db.iterator().nextMany(9), [['first', '1'], ['last', '3']]); // biome-ignore format: one line
});

test('a batch that is refused leaves nothing behind for the next one', async () => {
  const db = await space.open();
  const operations = [
    { type: 'put' as const, key: 'a', value: '1' },
    { type: 'put' as const, key: '\ud800', value: '2' },
  ];
  await rejects(() => db.batch(operations), 'ERR_INVALID_ARGUMENT', REFUSED);
  await db.batch([{ type: 'put', key: 'b', value: '3' }]);
  await rejects(() => db.getMany(['a', '\ud800']), 'ERR_INVALID_ARGUMENT', REFUSED);
  assert.deepEqual(await db.getMany(['b']), ['3']);
  assert.deepEqual(await db.iterator().nextMany(9), [['b', '3']]);
});

test.run();
