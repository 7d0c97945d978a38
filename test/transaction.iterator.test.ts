// Iterators of transactions: the stored records merged with the transaction's own writes, against a sorted map.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { RUNS, SEED } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('transaction: iterator');
const space = new Workspace();
test.after(() => space.clean());

interface Range {
  gt?: Buffer;
  gte?: Buffer;
  lt?: Buffer;
  lte?: Buffer;
  prefix?: Buffer;
}

const EDGES = [0, 1, 0x61, 0x7f, 0x80, 0xfe, 0xff];
/** Few and related, so that own writes meet stored records and bounds meet keys. */
const key = fc.array(fc.constantFrom(...EDGES), { maxLength: 3 }).map((bytes) => Buffer.from(bytes));
const range: fc.Arbitrary<Range> = fc.oneof(
  fc.constant({}),
  fc.record({ gte: key }),
  fc.record({ lt: key }),
  fc.record({ prefix: key }),
  fc.record({ gt: key, gte: key, lt: key, lte: key, prefix: key }, { requiredKeys: [] }),
);
const own = fc.array(fc.tuple(key, fc.boolean()), { maxLength: 14 });

function selected(model: Map<string, string>, { gt, gte, lt, lte, prefix }: Range): [Buffer, string][] {
  return [...model]
    .map(([id, value]): [Buffer, string] => [Buffer.from(id, 'latin1'), value])
    .filter(
      ([k]) =>
        (gt === undefined || k.compare(gt) > 0) &&
        (gte === undefined || k.compare(gte) >= 0) &&
        (lt === undefined || k.compare(lt) < 0) &&
        (lte === undefined || k.compare(lte) <= 0) &&
        (prefix === undefined || k.subarray(0, prefix.length).equals(prefix)),
    )
    .sort(([a], [b]) => a.compare(b));
}

test('any range, in both directions and with any limit, shows the stored records under the own writes', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'utf8', shards: 3 }));
  let merged = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(key, { maxLength: 20 }),
      own,
      fc.array(fc.tuple(range, fc.boolean(), fc.constantFrom(-1, 0, 1, 2, 5, Number.POSITIVE_INFINITY)), {
        minLength: 1,
        maxLength: 6,
      }),
      async (stored, writes, walks) => {
        await db.deleteRange({});
        await db.putMany(stored.map((k) => [k, 'stored']));
        const model = new Map(stored.map((k) => [k.toString('latin1'), 'stored']));
        await db.transaction(async (tx) => {
          for (const [i, [k, present]] of writes.entries()) {
            if (present) {
              tx.put(k, `own ${i}`);
              model.set(k.toString('latin1'), `own ${i}`);
            } else {
              tx.delete(k);
              model.delete(k.toString('latin1'));
            }
          }
          for (const [bounds, reverse, limit] of walks) {
            const expected = selected(model, bounds);
            if (reverse) expected.reverse();
            const found: [Buffer, string][] = [];
            for await (const entry of tx.iterator({ ...bounds, reverse, limit })) found.push(entry);
            assert.deepEqual(found, limit < 0 ? expected : expected.slice(0, limit));
            if (found.some(([, value]) => value === 'stored') && found.some(([, value]) => value !== 'stored'))
              merged++;
          }
        });
        // What the transaction showed is what it has written.
        assert.deepEqual(await db.iterator().nextMany(1000), selected(model, {}));
      },
    ),
    { numRuns: 300 * RUNS, seed: SEED, endOnFailure: true },
  );
  assert.ok(merged > 50, `only ${merged} walks had both kinds`);
});

test('shows the own writes up to its first step, and none that come after', async () => {
  const db = await space.open();
  await db.putMany([
    ['b', 'stored'],
    ['d', 'stored'],
  ]);
  await db.transaction(async (tx) => {
    tx.put('a', 'own');
    const walk = tx.iterator();
    assert.deepEqual((await walk.next()).value, ['a', 'own']);
    tx.put('c', 'late');
    tx.delete('d');
    assert.deepEqual((await walk.next()).value, ['b', 'stored']);
    assert.deepEqual((await walk.next()).value, ['d', 'stored']);
    assert.equal((await walk.next()).done, true);
    const keys: string[] = [];
    for await (const [k] of tx.iterator()) keys.push(k);
    assert.deepEqual(keys, ['a', 'b', 'c']);
  });
});

test('many records on both sides come out whole and in order', async () => {
  const db = await space.open({ shards: 4 });
  const k = (i: number) => String(i).padStart(6, '0');
  await db.putMany(Array.from({ length: 5000 }, (_, i) => [k(3 * i), 'stored']));
  await db.transaction(async (tx) => {
    for (let i = 0; i < 5000; i++) tx.put(k(3 * i + 1), 'own');
    for (let i = 0; i < 1000; i++) tx.delete(k(15 * i));
    let count = 0;
    let last = '';
    for await (const [found] of tx.iterator()) {
      assert.ok(found > last);
      last = found;
      count++;
    }
    assert.equal(count, 9000);
  });
});

test('left in the middle, by a break or by an error, it holds nothing back', async () => {
  const db = await space.open();
  await db.putMany(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 'v']));
  await assert.rejects(
    db.transaction(async (tx) => {
      for await (const _ of tx.iterator()) break;
      const left = tx.iterator();
      await left.next(); // and never touched again
      for await (const _ of tx.iterator()) throw new Error('mine');
    }),
    /mine/,
  );
  await db.put('k', 'v');
  await db.close();
});

test.run();
