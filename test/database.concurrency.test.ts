// Very many operations in flight: every one gets its own answer, in the order promised, and nobody reads the past.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { BatchOperation } from '../lib/index.ts';
import { type Random, RUNS, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: concurrency');
const space = new Workspace();
test.after(() => space.clean());

const COUNT = 10_000;
const keyOf = (i: number) => `key${String(i).padStart(6, '0')}`;
const all = Array.from({ length: COUNT }, (_, i) => i);
const SETTINGS = [
  { shards: 4, memory: { hotCache: '64MB' } },
  { shards: 16, memory: { hotCache: '50KB' } },
  { shards: 1, memory: { hotCache: 0 } },
];

for (const setting of SETTINGS) {
  const name = `with ${setting.shards} shards and a hot cache of ${setting.memory.hotCache}`;
  test(`10,000 puts, then 10,000 gets in flight each get their own answer, ${name}`, async () => {
    const db = await space.open(setting);
    await Promise.all(all.map((i) => db.put(keyOf(i), `value ${i}`)));
    for (let round = 0; round < 2; round++) {
      const values = await Promise.all(all.map((i) => db.get(keyOf(i))));
      for (const [i, value] of values.entries()) assert.equal(value, `value ${i}`);
    }
    assert.equal((await db.keys().nextMany(COUNT + 1)).length, COUNT);
    await db.close();
  });

  test(`10,000 gets of absent keys and 1,000 getManys at once do not mix, ${name}`, async () => {
    const db = await space.open(setting);
    await db.putMany(all.map((i) => [keyOf(i), `value ${i}`]));
    await db.flush();
    const absent = Promise.all(all.map((i) => db.get(`other${i}`)));
    const many = Promise.all(
      all.slice(0, 1000).map((i) => db.getMany([keyOf(i), `none${i}`, keyOf(COUNT - 1 - i), keyOf(i)])),
    );
    const present = Promise.all(all.map((i) => db.has(i % 2 === 0 ? keyOf(i) : `no${i}`)));
    for (const value of await absent) assert.equal(value, undefined);
    for (const [i, values] of (await many).entries()) {
      assert.deepEqual(values, [`value ${i}`, undefined, `value ${COUNT - 1 - i}`, `value ${i}`]);
    }
    for (const [i, there] of (await present).entries()) assert.equal(there, i % 2 === 0);
    await db.close();
  });
}

test('getMany and hasMany of 140,000 keys answer in the order of the keys, on a snapshot too', async () => {
  const db = await space.open({ memory: { hotCache: '1MB' } });
  await db.putMany(all.map((i) => [keyOf(i), `value ${i}`]));
  const snapshot = await db.snapshot();
  const asked = Array.from({ length: 14 * COUNT }, (_, i) => (i * 7919) % (2 * COUNT));
  const keys = asked.map(keyOf);
  const expected = asked.map((i) => (i < COUNT ? `value ${i}` : undefined));
  for (const [i, value] of (await db.getMany(keys)).entries()) assert.equal(value, expected[i]);
  await db.deleteRange({});
  for (const [i, value] of (await snapshot.getMany(keys)).entries()) assert.equal(value, expected[i]);
  const present = await db.hasMany(keys, { snapshot });
  for (const [i, there] of present.entries()) assert.equal(there, expected[i] !== undefined);
  assert.equal(present.length, keys.length);
  await snapshot.close();
});

test('10,000 puts, deletes and gets at once leave what the order of the calls says', async () => {
  const db = await space.open({ shards: 8, memory: { hotCache: '100KB' } });
  await seeded(async (random) => {
    const expected = new Map<string, string>();
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 2 * COUNT; i++) {
      const key = keyOf(random.below(500));
      const choice = random.below(4);
      if (choice === 0) calls.push(db.get(key));
      else if (choice === 1) {
        calls.push(db.delete(key));
        expected.delete(key);
      } else {
        calls.push(db.put(key, `version ${i}`));
        expected.set(key, `version ${i}`);
      }
    }
    await Promise.all(calls);
    const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(await db.iterator().nextMany(COUNT), sorted);
    assert.deepEqual(await db.getMany(sorted.map(([key]) => key)), sorted.map(([, value]) => value)); // biome-ignore format: one line
    await db.close();
    const again = await space.open({}, db.location);
    assert.deepEqual(await again.iterator().nextMany(COUNT), sorted);
  });
});

test('writes to one key in one turn take effect in the order of the calls, whatever their kind', async () => {
  const db = await space.open({ shards: 2, memory: { hotCache: '1MB' } });
  const put = (value: string) => () => db.put('k', value);
  const writes: [string, () => Promise<unknown>, string | undefined][] = [
    ['put', put('put'), 'put'],
    ['delete', () => db.delete('k'), undefined],
    ['batch', () => db.batch([{ type: 'put', key: 'k', value: 'batch' }]), 'batch'],
    ['batch of a deletion', () => db.batch([{ type: 'del', key: 'k' }]), undefined],
    ['putMany', () => db.putMany([['k', 'putMany']]), 'putMany'],
    ['deleteRange', () => db.deleteRange({ prefix: 'k' }), undefined],
    ['a large put', put('x'.repeat(70_000)), 'x'.repeat(70_000)],
  ];
  for (const [firstName, first] of writes) {
    for (const [secondName, second] of writes) {
      for (const [thirdName, third, value] of writes) {
        await Promise.all([first(), second(), third()]);
        const what = `${firstName}, ${secondName}, ${thirdName}`;
        assert.equal(db.getSync('k'), value, what);
        assert.equal((await db.iterator().next())?.[1], value, what);
      }
    }
  }
});

test('within a batch later operations win over earlier ones', async () => {
  const db = await space.open();
  const operations: BatchOperation<string, string>[] = [];
  for (let i = 0; i < 300; i++) {
    operations.push({ type: 'put', key: `k${i % 10}`, value: String(i) });
    if (i % 7 === 0) operations.push({ type: 'del', key: `k${(i + 3) % 10}` });
  }
  const expected = new Map<string, string>();
  for (const operation of operations) {
    if (operation.type === 'put') expected.set(operation.key, operation.value);
    else expected.delete(operation.key);
  }
  await db.batch(operations);
  assert.deepEqual(new Map(await db.iterator().nextMany(99)), expected);
});

/** What every read has to show at least: per key, the newest version acknowledged or seen. */
class Floor {
  readonly #floors = new Map<string, number>();

  raise(key: string, version: number): void {
    if (version > (this.#floors.get(key) ?? 0)) this.#floors.set(key, version);
  }

  of(key: string): number {
    return this.#floors.get(key) ?? 0;
  }

  /** Checks what a read that began when the floor was `floor` has found. */
  found(key: string, value: string | undefined, floor: number, by: string): void {
    const version = Number((value ?? '0').trimEnd());
    if (!(version >= floor)) assert.fail(`${by} of ${key} found version ${version}, but ${floor} was known`);
    this.raise(key, version);
  }
}

async function storm(db: TextDatabase, random: Random, rounds: number): Promise<void> {
  const keys = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? 'even' : '{odd}'}${i}`);
  const floor = new Floor();
  let version = 0;
  let writing = true;
  const write = async () => {
    for (let round = 0; round < rounds; round++) {
      const chosen = Array.from({ length: 1 + random.below(6) }, () => random.pick(keys));
      const written = chosen.map((key) => ({ key, version: ++version }));
      const puts = written.map(({ key, version }) => ({
        type: 'put' as const,
        key,
        value: String(version).padEnd(random.pick([1, 30, 900])),
      }));
      if (random.below(3) === 0) await db.batch(puts);
      else await Promise.all(puts.map(({ key, value }) => db.put(key, value)));
      for (const { key, version } of written) floor.raise(key, version);
    }
  };
  const read = async () => {
    while (writing) {
      const key = random.pick(keys);
      const asked = [key, random.pick(keys), random.pick(keys)];
      const floors = asked.map((key) => floor.of(key));
      const choice = random.below(5);
      if (choice === 0) floor.found(key, db.getSync(key), floors[0] as number, 'getSync');
      else if (choice === 1) floor.found(key, await db.get(key), floors[0] as number, 'get');
      else if (choice === 2) {
        for (const [i, value] of (await db.getMany(asked)).entries()) {
          floor.found(asked[i] as string, value, floors[i] as number, 'getMany');
        }
      } else if (choice === 3) {
        const record = await db.iterator({ gte: key, limit: 1 }).next();
        floor.found(key, record?.[0] === key ? record[1] : undefined, floors[0] as number, 'iterator');
      } else {
        floor.found(key, (await (await db.snapshot()).get(key)) ?? '', floors[0] as number, 'snapshot');
      }
      // A getSync alone would never let the writers on.
      if (choice === 0) await new Promise(setImmediate);
    }
  };
  const upkeep = async () => {
    while (writing) {
      await db.flush();
      await db.compact();
      await new Promise(setImmediate);
    }
  };
  const reading = [read(), read(), read(), read(), upkeep()];
  try {
    await Promise.all([write(), write(), write()]);
  } finally {
    writing = false;
    await Promise.all(reading);
  }
}

for (const hotCache of ['16KB', '1MB', 0]) {
  test(`no read goes behind an acknowledged write or an earlier read, with a hot cache of ${hotCache}`, () =>
    seeded(async (random) => {
      const db = await space.open({ shards: 4, memory: { hotCache } });
      await storm(db, random, 400 * RUNS);
      await db.close();
    }));
}

test('hundreds of iterators at once each walk their own moment', async () => {
  const db = await space.open({ shards: 4 });
  const walks: { iterator: ReturnType<typeof db.iterator>; expected: number }[] = [];
  for (let i = 0; i < 300; i++) {
    await db.put(keyOf(i), String(i));
    walks.push({ iterator: db.iterator({ reverse: i % 2 === 1 }), expected: i + 1 });
  }
  const seen = walks.map(() => 0);
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      walks.map(async ({ iterator }, i) => {
        if (round % 2 === 0) seen[i] = (seen[i] as number) + (await iterator.nextMany((7 + i / 2) | 0)).length;
        else if ((await iterator.next()) !== undefined) seen[i] = (seen[i] as number) + 1;
      }),
    );
  }
  for (const [i, { iterator, expected }] of walks.entries()) {
    for await (const _ of iterator) seen[i] = (seen[i] as number) + 1;
    assert.equal(seen[i], expected);
  }
});

test.run();
