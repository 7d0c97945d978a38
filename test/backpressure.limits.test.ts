// needsDrain and 'drain', the hard limit and how a program comes back from it, and writers that obey by themselves.
//
// What happens within one turn of the event loop is certain, because acknowledgements come in later ones; and with a
// group window the committer takes nothing until it has passed, so that what waits is certain as well.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite } from 'uvu';
import { type Database, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('backpressure: limits');
const space = new Workspace();
test.after(() => space.clean());

const KIB = 1024;
const MIB = 1024 * KIB;
/** The committer waits a second, or for more than there may be in flight. */
const HELD = { window: 1000, floor: '64MB', ceiling: '64MB' };

const inFlight = (db: Database<string, unknown>) => db.stats().writes.inFlightBytes;

function countDrains(db: Database<string, unknown>): () => number {
  let drains = 0;
  db.on('drain', () => drains++);
  return () => drains;
}

test('needsDrain is true while more than 32 MB wait, and drain comes once when half of it is gone', async () => {
  const db = await space.open({ memory: { hotCache: 0 } });
  const drains = countDrains(db);
  const value = 'x'.repeat(64 * KIB);
  const writes: Promise<void>[] = [];
  assert.equal(db.needsDrain, false);
  let queued = 0;
  while (!db.needsDrain) {
    writes.push(db.put(`k${writes.length}`, value));
    queued += value.length;
  }
  assert.ok(queued > 31 * MIB && queued < 33 * MIB, `${queued} bytes`);
  for (let i = 0; i < 64; i++) writes.push(db.put(`more ${i}`, value));
  assert.equal(db.needsDrain, true);
  await once(db, 'drain');
  assert.equal(db.needsDrain, false);
  await Promise.all(writes);
  await settle();
  assert.equal(drains(), 1);
  assert.equal((await db.keys().nextMany(10_000)).length, writes.length);
});

test('drain does not come for writers that never made it necessary', async () => {
  const db = await space.open();
  const drains = countDrains(db);
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => db.put(`k${j}`, 'x'.repeat(KIB))));
    assert.equal(db.needsDrain, false);
  }
  assert.equal(drains(), 0);
});

test('drain comes each time again, and a writer that waits for it is never refused', async () => {
  const db = await space.open({ maxInFlight: '4MB', memory: { hotCache: 0 } });
  const drains = countDrains(db);
  const value = 'x'.repeat(10 * KIB);
  const writes: Promise<void>[] = [];
  let waited = 0;
  for (let i = 0; i < 2000; i++) {
    writes.push(db.put(`k${i}`, value));
    if (!db.needsDrain) continue;
    waited++;
    await once(db, 'drain');
  }
  await Promise.all(writes);
  assert.ok(waited > 3, `${waited} waits`);
  assert.equal(drains(), waited);
  assert.equal(db.stats().writes.backpressureRejections, 0);
});

test('the soft limit is half of maxInFlight where that is less than 32 MB', async () => {
  for (const maxInFlight of [256 * KIB, MIB]) {
    const db = await space.open({ maxInFlight });
    const writes: Promise<void>[] = [];
    while (!db.needsDrain) writes.push(db.batch([{ type: 'put', key: 'k', value: 'x'.repeat(10 * KIB) }]));
    const queued = writes.length * 10 * KIB;
    assert.ok(
      queued > maxInFlight / 2 - 11 * KIB && queued < maxInFlight / 2 + 11 * KIB,
      `${queued} of ${maxInFlight}`,
    );
    await Promise.all(writes);
    assert.equal(db.needsDrain, false);
  }
});

/** More puts in one turn than there may be in flight. Returns how each ended. */
async function overwhelm(db: TextDatabase): Promise<('written' | 'refused')[]> {
  const value = 'x'.repeat(KIB);
  const outcomes = await Promise.allSettled(Array.from({ length: 5000 }, (_, i) => db.put(`k${i}`, value)));
  return outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') return 'written';
    assert.equal(outcome.reason.code, 'ERR_BACKPRESSURE');
    assert.match(outcome.reason.message, /1024 KiB.*'drain'/);
    return 'refused';
  });
}

test('beyond maxInFlight writes reject with ERR_BACKPRESSURE, the rest is written, and later ones too', async () => {
  const db = await space.open({ maxInFlight: '1MB', group: HELD });
  const outcomes = await overwhelm(db);
  const refused = outcomes.filter((outcome) => outcome === 'refused').length;
  // Five megabytes were queued, and the first group was not begun before all of them were.
  assert.ok(refused > 3500 && refused < 4200, `${refused} were refused`);
  const stored = new Set(await db.keys().nextMany(10_000));
  for (const [i, outcome] of outcomes.entries()) {
    assert.equal(stored.has(`k${i}`), outcome === 'written', `k${i} was ${outcome}`);
  }
  assert.ok(db.stats().writes.backpressureRejections > 0);
  assert.equal(inFlight(db), 0);
  assert.equal(db.needsDrain, false);
  await db.put('after', 'v');
  assert.equal(await db.get('after'), 'v');
});

test('every kind of write is refused there, and none of it is written', async () => {
  const db = await space.open({ maxInFlight: '1MB', group: HELD });
  const filling = [db.batch([{ type: 'put', key: 'filling', value: 'x'.repeat(MIB - 100 * KIB) }])];
  const value = 'x'.repeat(200 * KIB);
  const operations = [{ type: 'put' as const, key: 'k', value }];
  const { applied, durable } = db.commit(operations);
  await Promise.all([
    rejects(() => db.put('k', value), 'ERR_BACKPRESSURE'),
    rejects(() => db.batch(operations), 'ERR_BACKPRESSURE'),
    rejects(applied, 'ERR_BACKPRESSURE'),
    rejects(durable, 'ERR_BACKPRESSURE'),
    rejects(() => db.beginBatch().put('k', value).commit(), 'ERR_BACKPRESSURE'),
  ]);
  const batch = db.beginBatch().put('k', value);
  await rejects(() => batch.commit(), 'ERR_BACKPRESSURE');
  await Promise.all(filling);
  assert.deepEqual(await db.keys().nextMany(10), ['filling']);
  assert.equal(db.stats().writes.commits, 1);
});

test('a transaction that is refused there rejects, rolls back and can be tried again', async () => {
  const db = await space.open({ maxInFlight: '1MB', group: HELD });
  let filling: Promise<void> | undefined;
  const run = (fill: boolean) =>
    db.transaction(async (tx) => {
      tx.put('k', 'x'.repeat(200 * KIB));
      if (fill) filling = db.batch([{ type: 'put', key: 'filling', value: 'x'.repeat(MIB - 100 * KIB) }]);
    });
  await rejects(() => run(true), 'ERR_BACKPRESSURE');
  await filling;
  assert.equal(await db.get('k'), undefined);
  await run(false);
  assert.equal((await db.get('k'))?.length, 200 * KIB);
});

test('a single write larger than maxInFlight passes when it is alone', async () => {
  const db = await space.open({ maxInFlight: '64KB' });
  for (const size of [MIB, 5 * MIB]) await db.put('k', 'x'.repeat(size));
  assert.equal((await db.get('k'))?.length, 5 * MIB);
});

test('reads go on at the limit', async () => {
  const db = await space.open({ maxInFlight: '1MB', group: HELD });
  await db.put('k', 'v');
  const outcomes = overwhelm(db);
  assert.equal(await db.get('k'), 'v');
  assert.deepEqual(await db.getMany(['k', 'none']), ['v', undefined]);
  assert.ok((await db.iterator().nextMany(1)).length === 1);
  assert.ok((await outcomes).includes('refused'));
});

test('putMany reads from its source only as fast as the engine writes', async () => {
  const limits = [{}, { maxInFlight: '1MB' as const }, { maxInFlight: '100KB' as const }];
  for (const options of limits) {
    const db = await space.open({ ...options, memory: { hotCache: 0, writeBuffer: '4MB' } });
    let most = 0;
    let yielded = 0;
    const source = async function* (): AsyncGenerator<[string, string]> {
      for (let i = 0; i < 20_000; i++) {
        if (i % 100 === 0) most = Math.max(most, inFlight(db));
        yielded++;
        yield [`k${i}`, 'x'.repeat(KIB)];
      }
    };
    assert.equal(await db.putMany(source()), 20_000);
    assert.equal(yielded, 20_000);
    // Four packs of 64 KB and what a record takes them beyond it.
    assert.ok(most > 0 && most <= 4 * 66 * KIB, `${most} bytes were in flight`);
    assert.equal(db.stats().writes.backpressureRejections, 0);
    assert.equal((await db.keys().nextMany(30_000)).length, 20_000);
  }
});

test('putMany of large values waits for each of them if it must', async () => {
  const db = await space.open({ maxInFlight: '1MB', memory: { hotCache: 0 } });
  const entries = Array.from({ length: 30 }, (_, i): [string, string] => [`k${i}`, 'x'.repeat(600 * KIB)]);
  assert.equal(await db.putMany(entries), 30);
  assert.equal((await db.keys().nextMany(100)).length, 30);
});

test('putMany ends its source when a write fails or the source itself does', async () => {
  const db = await space.open();
  let ended = false;
  const source = async function* (bad: unknown): AsyncGenerator<[string, string]> {
    try {
      yield ['good', 'v'];
      if (bad instanceof Error) throw bad;
      yield bad as [string, string];
      yield ['after', 'v'];
    } finally {
      ended = true;
    }
  };
  for (const bad of ['no pair', ['k'], ['k', 7], [7, 'v'], ['\ud800', 'v'], null, {}]) {
    ended = false;
    await rejects(() => db.putMany(source(bad)), 'ERR_INVALID_ARGUMENT');
    assert.equal(ended, true);
  }
  await assert.rejects(db.putMany(source(new Error('mine'))), /mine/);
  const controller = new AbortController();
  const endless = async function* (): AsyncGenerator<[string, string]> {
    try {
      for (let i = 0; ; i++) {
        if (i === 5000) controller.abort();
        yield [`endless/${i}`, 'x'.repeat(100)];
      }
    } finally {
      ended = true;
    }
  };
  ended = false;
  await rejects(() => db.putMany(endless(), { signal: controller.signal }), 'ERR_ABORTED');
  assert.equal(ended, true);
  assert.equal(await db.get('after'), undefined);
});

test('memory in flight and the age of the queue can be read while writes wait', async () => {
  const db = await space.open({ group: { window: 1000, floor: '64MB', ceiling: '64MB' } });
  const writes = Array.from({ length: 10 }, (_, i) =>
    db.batch([{ type: 'put', key: `k${i}`, value: 'x'.repeat(MIB) }]),
  );
  const { inFlightBytes } = db.stats().writes;
  assert.ok(inFlightBytes >= 10 * MIB && inFlightBytes < 11 * MIB, `${inFlightBytes}`);
  await Promise.all(writes);
  const after = db.stats().writes;
  assert.equal(after.inFlightBytes, 0);
  assert.equal(after.queueAgeSeconds, 0);
  assert.equal(after.groups, 1, 'the window made one group of them');
});

test('maxInFlight that is no size is refused', async () => {
  for (const maxInFlight of [-1, 1.5, 'many', null, {}, Number.NaN]) {
    await rejects(() => open(space.folder(), { maxInFlight: maxInFlight as number }), 'ERR_INVALID_ARGUMENT');
  }
});

test.run();
