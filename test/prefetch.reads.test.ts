// Predictive prefetch: its option, what it reports, and that reads see no difference.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type OpenOptions, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { seeded } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('prefetch: reads');
const space = new Workspace();
test.after(() => space.clean());

const RECORDS = 2000;
const keyOf = (n: number) => `key/${String(n).padStart(4, '0')}`;
const recordOf = (n: number) => `value ${n} `.padEnd(500, 'v');
/** An order in which neighbours are in different blocks. */
const nth = (i: number) => (i * 617) % RECORDS;

/** A store in memory alone never pays, so the records lie on a disk that takes 100 µs. */
const SLOW: OpenOptions = { tiers: { warm: { simulatedDisk: 'sata', blockCache: '64KB' } } };

async function slow(location: string) {
  const filled = await open(location, { tiers: { warm: {} }, valueEncoding: 'utf8' });
  await filled.putMany(Array.from({ length: RECORDS }, (_, i) => [keyOf(i), recordOf(i)] as const));
  await filled.tiers.migrate({ from: 'hot', to: 'warm' });
  await filled.close();
  const options = { ...SLOW, prefetch: 'sequence', memory: { hotCache: '128KB' } } as const;
  return space.adopt(await open(location, { ...options, valueEncoding: 'utf8' }));
}

test('other values of the option are refused, and so is a database without a hot cache', async () => {
  const location = space.folder();
  for (const prefetch of ['markov', true, 1, null, {}]) {
    await rejects(
      open(location, { prefetch } as never),
      'ERR_INVALID_ARGUMENT',
      /prefetch must be 'sequence' or false/,
    );
  }
  await rejects(
    open(location, { prefetch: 'sequence', memory: { hotCache: 0 } }),
    'ERR_INVALID_ARGUMENT',
    /prefetch reads into the hot cache/,
  );
  await rejects(
    open(location, { memory: { prefetch: '1KB' } }),
    'ERR_INVALID_ARGUMENT',
    /memory.prefetch.*at least 1MB/,
  );
  await rejects(open(location, { memory: { prefetch: 'much' } }), 'ERR_INVALID_ARGUMENT', /memory.prefetch/);
});

test('it is off unless asked for, and nothing tells of it then', async () => {
  for (const options of [{}, { prefetch: false } as const]) {
    const db = await open(space.folder(), options);
    assert.equal(db.stats().prefetch, undefined);
    assert.equal('prefetch' in (await db.tiers.report()), false);
    await db.close();
  }
});

test('what is read again and again in the same order is read ahead, and the report tells how well', async () => {
  const db = await slow(space.folder());
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { usedRecords } = db.stats().prefetch ?? assert.fail('it is on');
    if (usedRecords >= 20) break;
    assert.ok(Date.now() < deadline, `only ${usedRecords} records were read ahead and used`);
    for (let i = 0; i < 1000; i++) assert.equal(await db.get(keyOf(nth(i))), recordOf(nth(i)));
  }
  const stats = db.stats().prefetch ?? assert.fail('it is on');
  const report = (await db.tiers.report()).prefetch ?? assert.fail('it is on');
  assert.deepEqual(Object.keys(report), Object.keys(stats));
  for (const { usedRecords, lateRecords, unusedRecords, ...figures } of [stats, report]) {
    assert.ok(Math.abs(figures.precision - usedRecords / (usedRecords + lateRecords + unusedRecords)) < 1e-9);
    assert.ok(Math.abs(figures.hitShare - usedRecords / figures.observedReads) < 1e-9);
    assert.ok(figures.prefetchedRecords >= usedRecords && figures.observedReads >= usedRecords);
    assert.ok(figures.fetchSeconds > 0);
    assert.ok(figures.memoryBytes > 15e6 && figures.memoryBytes <= 16 * 2 ** 20);
  }
  await db.close();
});

test('reads equal a map while records are read ahead, written, deleted, moved and expire', () =>
  seeded(async (random) => {
    const db = await slow(space.folder());
    const model = new Map(Array.from({ length: RECORDS }, (_, i) => [keyOf(i), recordOf(i)]));
    for (let step = 0; step < 500; step++) {
      const at = random.below(512);
      const key = keyOf(nth(at));
      const kind = random.below(24);
      if (kind < 4) {
        const value = `${step} `.padEnd(random.below(900), 'v');
        model.set(key, value);
        await db.put(key, value);
      } else if (kind === 4) {
        model.delete(key);
        await db.delete(key);
      } else if (kind === 5) {
        model.delete(key);
        await db.put(key, 'expires', { ttl: 1 });
        await new Promise((resolve) => setTimeout(resolve, 3));
      } else if (kind === 6 && step % 8 === 0) {
        const [from, to] = random.below(3) === 0 ? (['warm', 'hot'] as const) : (['hot', 'warm'] as const);
        await db.tiers.migrate({ from, to });
      } else {
        const keys = Array.from({ length: 32 }, (_, i) => keyOf(nth(at - (at % 32) + i)));
        let values: (string | undefined)[];
        if (kind < 10) values = await db.getMany(keys);
        else if (kind < 14) values = keys.map((each) => db.getSync(each));
        else if (kind < 18) values = await Promise.all(keys.map((each) => db.get(each)));
        else {
          values = [];
          for (const each of keys) values.push(await db.get(each));
        }
        const expected = keys.map((each) => model.get(each));
        assert.deepEqual(values, expected, `step ${step}`);
      }
    }
    assert.ok((db.stats().prefetch?.prefetchedRecords ?? 0) > 0, 'it would prove nothing');
    await db.close();
  }));

test.run();
