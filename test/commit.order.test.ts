// The calls of one turn of the event loop take effect in their order, whatever they are; writes that meet are grouped.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { RUNS, SEED } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('commit: order');
const space = new Workspace();
test.after(() => space.clean());

type Durability = 'wal' | 'fsync';
type Call =
  | { do: 'put' | 'delete'; key: string; durability: Durability }
  | { do: 'batch' | 'commit' | 'beginBatch' | 'putMany'; puts: string[]; dels: string[]; durability: Durability }
  | { do: 'deleteRange'; gte: string; lt: string };

const KEYS = ['a', 'b', 'c', 'd'];
const key = fc.constantFrom(...KEYS);
const durability = fc.constantFrom<Durability>('wal', 'wal', 'fsync');
const several = fc.array(key, { maxLength: 4 });
const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ do: fc.constantFrom('put' as const, 'delete' as const), key, durability }),
  fc.record({
    do: fc.constantFrom('batch' as const, 'commit' as const, 'beginBatch' as const, 'putMany' as const),
    puts: several,
    dels: several,
    durability,
  }),
  fc.record({ do: fc.constant('deleteRange' as const), gte: key, lt: key }),
);

/** Makes the call, and tells the model what it does. */
function make(db: TextDatabase, model: Map<string, string>, made: Call, value: string): Promise<unknown> {
  switch (made.do) {
    case 'put':
      model.set(made.key, value);
      return db.put(made.key, value, { durability: made.durability });
    case 'delete':
      model.delete(made.key);
      return db.delete(made.key, { durability: made.durability });
    case 'deleteRange': {
      for (const other of KEYS) if (other >= made.gte && other < made.lt) model.delete(other);
      return db.deleteRange({ gte: made.gte, lt: made.lt });
    }
  }
  const options = { durability: made.durability };
  for (const each of made.puts) model.set(each, value);
  if (made.do === 'putMany')
    return db.putMany(
      made.puts.map((each) => [each, value] as [string, string]),
      options,
    );
  for (const each of made.dels) model.delete(each);
  const operations = [
    ...made.puts.map((each) => ({ type: 'put' as const, key: each, value })),
    ...made.dels.map((each) => ({ type: 'del' as const, key: each })),
  ];
  if (made.do === 'batch') return db.batch(operations, options);
  if (made.do === 'commit') {
    const { applied, durable } = db.commit(operations);
    return Promise.all([applied, durable]);
  }
  const batch = db.beginBatch(options);
  for (const each of made.puts) batch.put(each, value);
  for (const each of made.dels) batch.delete(each);
  return batch.commit();
}

test('any calls of one turn leave what they would leave one after the other', async () => {
  const db = await space.open({ shards: 3 });
  const model = new Map<string, string>();
  let version = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 2, maxLength: 12 }), async (calls) => {
      await Promise.all(calls.map((each) => make(db, model, each, `${++version}`)));
      const expected = KEYS.map((each) => model.get(each));
      assert.deepEqual(await db.getMany(KEYS), expected);
      assert.deepEqual(KEYS.map((each) => db.getSync(each)), expected); // biome-ignore format: one line
    }),
    { numRuns: 400 * RUNS, seed: SEED, endOnFailure: true },
  );
});

test('a transaction sees what was written before it in its turn, and nothing that was written after it', async () => {
  const db = await space.open();
  for (const durability of ['wal', 'fsync'] as const) {
    const before = [
      db.put('put', 'before', { durability }),
      db.batch([{ type: 'put', key: 'batch', value: 'before' }], { durability }),
      db.commit([{ type: 'put', key: 'commit', value: 'before' }]).durable,
      db.beginBatch({ durability }).put('steps', 'before').commit(),
      db.putMany([['many', 'before']], { durability }),
    ];
    const keys = ['put', 'batch', 'commit', 'steps', 'many'];
    const seen = db.transaction((tx) => tx.getMany(keys));
    const after = keys.map((each) => db.put(each, 'after'));
    assert.deepEqual(await seen, keys.map(() => 'before')); // biome-ignore format: one line
    await Promise.all([...before, ...after]);
    assert.deepEqual(await db.getMany(keys), keys.map(() => 'after')); // biome-ignore format: one line
  }
});

test('a transaction that writes what it read runs again if its turn wrote that afterwards', async () => {
  const db = await space.open();
  await db.put('n', '1');
  const seen: (string | undefined)[] = [];
  const adding = db.transaction(async (tx) => {
    const n = await tx.get('n');
    seen.push(n);
    tx.put('n', `${n}+`);
  });
  const putting = db.put('n', '2');
  await Promise.all([adding, putting]);
  assert.deepEqual(seen, ['1', '2']);
  assert.equal(await db.get('n'), '2+');
});

test('calls of many turns by many callers keep each caller in order', async () => {
  const db = await space.open({ shards: 4 });
  const callers = Array.from({ length: 50 }, async (_, caller) => {
    for (let i = 0; i < 40; i++) {
      const value = `${i}`;
      const options = { durability: i % 7 === 0 ? ('fsync' as const) : ('wal' as const) };
      // Not awaited: the next must still come after it.
      const first = db.put(`k${caller}`, value, options);
      const second =
        i % 3 === 0
          ? db.batch([{ type: 'put', key: `k${caller}`, value: `${value}!` }])
          : db.put(`k${caller}`, `${value}!`);
      await (i % 2 === 0 ? first : second);
      const read = await db.get(`k${caller}`);
      const known = i % 2 === 0 ? [value, `${value}!`] : [`${value}!`];
      assert.ok(
        known.includes(read as string),
        `caller ${caller} read ${read} after its write ${value} was acknowledged`,
      );
      await second;
    }
  });
  await Promise.all(callers);
  const values = (await db.iterator().nextMany(100)).map(([, value]) => value);
  assert.deepEqual(values, Array(50).fill('39!'));
});

test('the puts of one turn cross together: few groups for many commits, counted as what they are', async () => {
  const db = await space.open();
  const before = db.stats();
  await Promise.all(Array.from({ length: 10_000 }, (_, i) => db.put(`key ${i}`, 'value')));
  const after = db.stats();
  assert.equal(after.writes.commits - before.writes.commits, 10_000);
  assert.equal(after.operations.put.operations - before.operations.put.operations, 10_000);
  // 10,000 puts pack into less than 256 KB, which is sent in packs of 64 KB.
  const groups = after.writes.groups - before.writes.groups;
  assert.ok(groups >= 1 && groups <= 5, `${groups} groups`);
  assert.equal((await db.iterator().nextMany(20_000)).length, 10_000);
});

test('of many writes of one key in one turn only the last is stored, and each of them is acknowledged', async () => {
  const db = await space.open();
  const before = db.stats().writes;
  let acknowledged = 0;
  const writes = Array.from({ length: 1000 }, (_, i) => db.put('k', `${i}`).then(() => acknowledged++));
  await Promise.all(writes);
  const after = db.stats().writes;
  assert.equal(acknowledged, 1000);
  assert.equal(after.commits - before.commits, 1000);
  assert.equal(await db.get('k'), '999');
  assert.ok(after.groupBytes - before.groupBytes < 1000, 'the overwritten values were written as well');
});

test('group.window, floor and ceiling shape the groups', async () => {
  const small = await space.open({ group: { floor: '1KB', ceiling: '1KB' } });
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => small.batch([{ type: 'put', key: `k${i}`, value: 'x'.repeat(900) }])),
  );
  assert.equal(small.stats().writes.groups, 20, 'more than a kilobyte went together');
  assert.equal(small.stats().writes.targetGroupBytes, 1024);

  // The first write waits for company up to a second or 64 KB, so all that follow in the next turns join it.
  const patient = await space.open({ group: { window: 1000, floor: '64KB', ceiling: '64KB' } });
  const writes: Promise<void>[] = [];
  for (let turn = 0; turn < 10; turn++) {
    writes.push(patient.batch([{ type: 'put', key: `k${turn}`, value: 'x'.repeat(6000) }]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  writes.push(patient.batch([{ type: 'put', key: 'last', value: 'x'.repeat(6000) }]));
  await Promise.all(writes);
  assert.ok(patient.stats().writes.groups <= 2, `${patient.stats().writes.groups} groups`);
});

test.run();
