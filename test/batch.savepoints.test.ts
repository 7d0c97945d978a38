// Savepoints of batches: any order of marking, adding and rolling back, against a model.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import type { Batch, Savepoint } from '../lib/index.ts';
import { throws } from './helpers/expect.ts';
import { RUNS, SEED } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('batch: savepoints');
const space = new Workspace();
test.after(() => space.clean());

const KEYS = ['a', 'b', 'c', 'd', 'e'];

type Write = (batch: Batch<string, string>, model: Map<string, string>) => void;
type Step = { write: Write } | { mark: true } | { back: number };

const key = fc.constantFrom(...KEYS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(key, fc.nat(300)).map(([k, size]): Step => {
      const value = k.repeat(size);
      const write: Write = (batch, model) => {
        batch.put(k, value);
        model.set(k, value);
      };
      return { write };
    }),
  },
  {
    weight: 2,
    arbitrary: key.map((k): Step => {
      const write: Write = (batch, model) => {
        batch.delete(k);
        model.delete(k);
      };
      return { write };
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(key, key).map(([gte, lt]): Step => {
      const write: Write = (batch, model) => {
        batch.deleteRange({ gte, lt });
        for (const k of KEYS) if (k >= gte && k < lt) model.delete(k);
      };
      return { write };
    }),
  },
  { weight: 3, arbitrary: fc.constant<Step>({ mark: true }) },
  { weight: 3, arbitrary: fc.nat(1000).map((back): Step => ({ back })) },
);

test('rolling back to any savepoint leaves what was added before it; one whose past is gone is refused', async () => {
  const db = await space.open({ shards: 3 });
  let refused = 0;
  let rolled = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 40 }), async (steps) => {
      await db.deleteRange({});
      await db.put('a', 'before');
      const batch = db.beginBatch({ capacity: 64 });
      let writes: Write[] = [];
      const marks: { savepoint: Savepoint; writes: number; living: boolean }[] = [];
      for (const each of steps) {
        if ('write' in each) {
          each.write(batch, new Map());
          writes.push(each.write);
        } else if ('mark' in each) {
          marks.push({ savepoint: batch.savepoint(), writes: writes.length, living: true });
        } else {
          const at = each.back % Math.max(1, marks.length);
          const mark = marks[at];
          if (mark === undefined) continue;
          const { length, bytes } = batch;
          if (!mark.living) {
            refused++;
            throws(() => batch.rollbackTo(mark.savepoint), 'ERR_INVALID_ARGUMENT', /savepoint/);
            assert.deepEqual([batch.length, batch.bytes], [length, bytes]);
            continue;
          }
          rolled++;
          batch.rollbackTo(mark.savepoint);
          writes = writes.slice(0, mark.writes);
          for (const later of marks.slice(at + 1)) later.living = false;
          assert.equal(batch.bytes, mark.savepoint.bytes);
        }
        assert.equal(batch.length, writes.length);
      }
      await batch.commit();
      const model = new Map([['a', 'before']]);
      const unused = db.beginBatch();
      for (const write of writes) write(unused, model);
      unused.rollback();
      assert.deepEqual(
        await db.iterator().nextMany(10),
        [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    }),
    { numRuns: 300 * RUNS, seed: SEED, endOnFailure: true },
  );
  assert.ok(refused > 10 && rolled > 100, `${refused} refused and ${rolled} rolled back: the steps prove little`);
});

test('a savepoint can be used again and again', async () => {
  const db = await space.open();
  const batch = db.beginBatch().put('kept', '1');
  const savepoint = batch.savepoint();
  for (let i = 0; i < 5; i++) batch.put(`k${i}`, 'x').rollbackTo(savepoint).rollbackTo(savepoint);
  await batch.put('last', '2').commit();
  assert.deepEqual(await db.iterator().nextMany(10), [
    ['kept', '1'],
    ['last', '2'],
  ]);
});

test('the savepoint of another batch is refused, even if it fits', async () => {
  const db = await space.open();
  const one = db.beginBatch().put('k', 'v');
  const other = db.beginBatch().put('k', 'v').put('l', 'v');
  const foreign = one.savepoint();
  throws(() => other.rollbackTo(foreign), 'ERR_INVALID_ARGUMENT', /savepoint/);
  throws(() => other.rollbackTo({ length: 1, bytes: foreign.bytes }), 'ERR_INVALID_ARGUMENT', /savepoint/);
  throws(() => other.rollbackTo({ length: 1, bytes: 2 }), 'ERR_INVALID_ARGUMENT', /savepoint/);
  throws(() => other.rollbackTo(undefined as never), 'ERR_INVALID_ARGUMENT', /savepoint/);
  assert.equal(other.length, 2);
  await other.commit();
  assert.equal((await db.iterator().nextMany(10)).length, 2);
});

test('what was rolled back counts no longer against maxBytes', async () => {
  const db = await space.open();
  const batch = db.beginBatch({ maxBytes: 1000 });
  const start = batch.savepoint();
  for (let i = 0; i < 20; i++) batch.rollbackTo(start).put('k', 'x'.repeat(900));
  throws(() => batch.put('l', 'x'.repeat(900)), 'ERR_INVALID_ARGUMENT', /maxBytes/);
  await batch.commit();
  assert.equal((await db.get('k'))?.length, 900);
});

test.run();
