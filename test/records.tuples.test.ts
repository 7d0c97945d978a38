// Composite keys: the bytes of tuples compare as the tuples do, and give them back.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { open, type Tuple, type TupleElement, tuples } from '../lib/index.ts';
import { decodeTuple, encodeTuple } from '../lib/tuples.ts';
import { check, rejects } from './helpers/expect.ts';
import { RUNS } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('records: tuples');
const space = new Workspace();
test.after(() => space.clean());

const RANK = ['null', 'false', 'true', 'number', 'bigint', 'date', 'string', 'bytes', 'tuple'];

function kind(element: TupleElement): string {
  if (element === null) return 'null';
  if (typeof element === 'boolean') return String(element);
  if (element instanceof Date) return 'date';
  if (element instanceof Uint8Array) return 'bytes';
  return typeof element === 'object' ? 'tuple' : typeof element;
}

/** The documented order, said in another way than the encoding does. */
function compare(a: TupleElement, b: TupleElement): number {
  const rank = RANK.indexOf(kind(a)) - RANK.indexOf(kind(b));
  if (rank !== 0) return Math.sign(rank);
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compare(a[i] as TupleElement, b[i] as TupleElement);
      if (order !== 0) return order;
    }
    return Math.sign(a.length - b.length);
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (typeof a === 'string' && typeof b === 'string') {
    const [left, right] = [[...a], [...b]];
    for (let i = 0; i < Math.min(left.length, right.length); i++) {
      const order = (left[i]?.codePointAt(0) as number) - (right[i]?.codePointAt(0) as number);
      if (order !== 0) return Math.sign(order);
    }
    return Math.sign(left.length - right.length);
  }
  const [x, y] = [a, b] as [number, number];
  return x < y ? -1 : x > y ? 1 : 0;
}

const text = fc.string({ unit: fc.oneof(fc.constantFrom('\0', '\x01', '\x02', 'a', '\uffff', '😀'), fc.string({ minLength: 1, maxLength: 1, unit: 'binary' })), maxLength: 6 }).filter((s) => (s as unknown as { isWellFormed(): boolean }).isWellFormed()); // biome-ignore format: one line
const element: fc.Arbitrary<TupleElement> = fc.letrec<{ element: TupleElement }>((tie) => ({
  element: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<TupleElement>(null, true, false, 0, 1, -1, 0.5, 2 ** 53, Infinity, -Infinity, 5e-324, '', 0n),
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.bigInt(),
    fc.bigInt({ min: -300n, max: 300n }),
    fc.date({ noInvalidDate: true }),
    text,
    fc.uint8Array({ maxLength: 5 }),
    fc.uint8Array({ maxLength: 5, max: 2 }),
    fc.array(tie('element'), { maxLength: 3 }),
  ),
})).element;
const tuple = fc.array(element, { maxLength: 4 });
/** Two that have much in common, so that the differences lie deep. */
const pair = fc.oneof(
  fc.tuple(tuple, tuple),
  fc.tuple(tuple, tuple, tuple).map(([head, a, b]): [TupleElement[], TupleElement[]] => [
    [...head, ...a],
    [...head, ...b],
  ]),
);

const plain = (tuple: Tuple): unknown =>
  tuple.map((element) => {
    if (Array.isArray(element)) return plain(element);
    if (element instanceof Uint8Array) return Buffer.from(element);
    return element === 0 ? 0 : element;
  });

test('the order of the bytes is the order of the tuples', () => {
  fc.assert(
    fc.property(pair, ([a, b]) => {
      assert.equal(Buffer.compare(encodeTuple(a), encodeTuple(b)), compare(a, b));
    }),
    { numRuns: 5000 * RUNS },
  );
});

test('what was encoded is decoded, with its types', () => {
  fc.assert(
    fc.property(tuple, (tuple) => {
      assert.deepStrictEqual(plain(decodeTuple(encodeTuple(tuple))), plain(tuple));
    }),
    { numRuns: 2000 * RUNS },
  );
});

test('one encoded tuple begins with another only if the tuple does', () => {
  fc.assert(
    fc.property(pair, ([a, b]) => {
      const [x, y] = [encodeTuple(a), encodeTuple(b)];
      const begins = a.length <= b.length && compare(a, b.slice(0, a.length)) === 0;
      assert.equal(y.subarray(0, x.length).equals(x), begins);
    }),
    { numRuns: 3000 * RUNS },
  );
});

test('long bigints keep their order', () => {
  const lengths = [1, 125, 126, 127, 128, 255, 256, 257, 1000];
  const positive = lengths.map((bytes) => 1n << BigInt(8 * bytes - 1));
  const ordered = [...positive.map((value) => -value).reverse(), 0n, ...positive];
  const bytes = ordered.map((value) => encodeTuple([value]));
  for (let i = 1; i < bytes.length; i++) assert.equal(Buffer.compare(bytes[i - 1] as Buffer, bytes[i] as Buffer), -1);
  assert.deepEqual(bytes.map((each) => decodeTuple(each)[0]), ordered); // biome-ignore format: one line
});

test('what has no place in the order is refused', () => {
  let deep: Tuple = [];
  for (let i = 0; i < 66; i++) deep = [deep];
  const wrong = [['\ud800'], ['a\udc00b'], [NaN], [new Date(NaN)], [undefined], [{}], [() => 1], [Symbol('s')], [[1, [NaN]]], 'text', null, {}, deep, ['x'.repeat(70_000)], [1n << 600_000n]]; // biome-ignore format: one line
  for (const tuple of wrong) {
    assert.throws(
      () => encodeTuple(tuple),
      (error) => {
        check(error as Error, 'ERR_INVALID_ARGUMENT');
        return true;
      },
    );
  }
  assert.deepEqual(encodeTuple([-0]), encodeTuple([0]));
});

test('bytes that are no tuple are reported as damage, whatever they are', () => {
  const attempt = (bytes: Uint8Array) => {
    try {
      decodeTuple(bytes);
    } catch (error) {
      check(error as Error, 'ERR_CORRUPTION');
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), attempt), { numRuns: 3000 * RUNS });
  assert.throws(() => decodeTuple(Buffer.from('plain')), { code: 'ERR_CORRUPTION' });
  assert.throws(() => decodeTuple(encodeTuple(['abc']).subarray(0, 3)), { code: 'ERR_CORRUPTION' });
});

test('a database of tuples walks ranges, prefixes and seeks with beginnings of tuples', async () => {
  type Key = readonly [customer: string, at: Date, line: number];
  const location = space.folder();
  const db = space.adopt(await open(location, { keyEncoding: tuples<Key>(), valueEncoding: 'json', shards: 3 }));
  const day = (n: number) => new Date(Date.UTC(2026, 0, n));
  const keys: Key[] = ['kari', 'kari\0', 'karin', 'ola'].flatMap((who) =>
    [1, 2, 3].flatMap((n) => [-1, 0, 10].map((line): Key => [who, day(n), line])),
  );
  await db.putMany(keys.map((key, i): [Key, unknown] => [key, i]));
  assert.deepEqual(await db.keys().nextMany(100), keys);
  assert.deepEqual(
    await db.keys({ prefix: ['kari'] }).nextMany(100),
    keys.filter(([who]) => who === 'kari'),
  );
  assert.deepEqual(
    await db.keys({ prefix: ['kari', day(2)], reverse: true }).nextMany(100),
    keys.filter(([who, at]) => who === 'kari' && at.getTime() === day(2).getTime()).reverse(),
  );
  assert.deepEqual(await db.keys({ gte: ['karin', day(3)], lt: ['ola', day(1), 0] }).nextMany(100), [
    ['karin', day(3), -1],
    ['karin', day(3), 0],
    ['karin', day(3), 10],
    ['ola', day(1), -1],
  ]);
  const walk = db.iterator();
  walk.seek(['karin']);
  assert.deepEqual(await walk.next(), [['karin', day(1), -1], 18]);
  assert.equal(await db.get(['ola', day(3), 10]), 35);
  assert.equal(db.getSync(['ola', day(3), 11]), undefined);
  await db.deleteRange({ prefix: ['ola'] });
  assert.equal((await db.keys().nextMany(100)).length, 27);
  await rejects(() => db.get([Number.NaN] as never), 'ERR_INVALID_ARGUMENT', /NaN/);
  await db.close();
  const other = space.adopt(await open(location));
  await other.put('plain text', Buffer.alloc(0));
  await other.close();
  const again = space.adopt(await open(location, { keyEncoding: tuples() }));
  await rejects(() => again.keys({ reverse: true }).nextMany(1), 'ERR_CORRUPTION', /no tuple/);
});

test.run();
