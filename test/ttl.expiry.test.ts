// Records with a ttl: missing everywhere once expired, never uncovering what was there before, and giving space back.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Snapshot } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { expire } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('ttl: expiry');
const space = new Workspace();
test.after(() => space.clean());

const HOUR = 3_600_000;

async function streamed(db: TextDatabase, options = {}): Promise<unknown[]> {
  const entries: unknown[] = [];
  for await (const entry of db.createReadStream(options)) entries.push(entry);
  return entries;
}

/** Asks for the records in every way there is; all must agree on who is alive. */
async function livesEverywhere(db: TextDatabase, keys: string[], alive: string[]): Promise<void> {
  const there = keys.map((key) => alive.includes(key));
  assert.deepEqual(keys.map((key) => db.getSync(key) !== undefined), there, 'getSync'); // biome-ignore format: one line
  assert.deepEqual(await Promise.all(keys.map(async (key) => (await db.get(key)) !== undefined)), there, 'get');
  assert.deepEqual((await db.getMany(keys)).map((value) => value !== undefined), there, 'getMany'); // biome-ignore format: one line
  assert.deepEqual(await Promise.all(keys.map((key) => db.has(key))), there, 'has');
  assert.deepEqual(await db.hasMany(keys), there, 'hasMany');
  const sorted = [...alive].sort();
  assert.deepEqual(await db.keys().nextMany(1000), sorted, 'keys');
  assert.deepEqual(await db.keys({ reverse: true }).nextMany(1000), [...sorted].reverse(), 'keys in reverse');
  assert.equal((await db.values().nextMany(1000)).length, sorted.length, 'values');
  assert.deepEqual((await db.iterator().nextMany(1000)).map(([key]) => key), sorted, 'iterator'); // biome-ignore format: one line
  assert.equal((await streamed(db)).length, sorted.length, 'createReadStream');
  const snapshot = await db.snapshot();
  await livesIn(snapshot, keys, sorted);
  await snapshot.close();
  await db.transaction(async (tx) => {
    assert.deepEqual((await tx.getMany(keys)).map((value) => value !== undefined), there, 'tx.getMany'); // biome-ignore format: one line
    assert.deepEqual(await Promise.all(keys.map((key) => tx.has(key))), there, 'tx.has');
    const walked: string[] = [];
    for await (const [key] of tx.iterator()) walked.push(key);
    assert.deepEqual(walked, sorted, 'tx.iterator');
  });
}

async function livesIn(snapshot: Snapshot<string, string>, keys: string[], alive: string[]): Promise<void> {
  const there = keys.map((key) => alive.includes(key));
  assert.deepEqual((await snapshot.getMany(keys)).map((value) => value !== undefined), there, 'snapshot.getMany'); // biome-ignore format: one line
  assert.deepEqual(await Promise.all(keys.map((key) => snapshot.has(key))), there, 'snapshot.has');
  assert.deepEqual((await snapshot.iterator().nextMany(1000)).map(([key]) => key), alive, 'snapshot.iterator'); // biome-ignore format: one line
}

/** Every way to write with a ttl. */
const WAYS: Record<string, (db: TextDatabase, key: string, ttl: number) => Promise<unknown>> = {
  put: (db, key, ttl) => db.put(key, 'v', { ttl }),
  'durable put': (db, key, ttl) => db.put(key, 'v', { ttl, durability: 'fsync' }),
  batch: (db, key, ttl) => db.batch([{ type: 'put', key, value: 'v', ttl }]),
  commit: (db, key, ttl) => db.commit([{ type: 'put', key, value: 'v', ttl }]).durable,
  'conditional batch': (db, key, ttl) => db.batch([{ type: 'put', key, value: 'v', ttl, if: { absent: true } }]),
  beginBatch: (db, key, ttl) => db.beginBatch().put(key, 'v', { ttl }).commit(),
  putIf: (db, key, ttl) => db.putIf(key, 'v', { absent: true }, { ttl }),
  transaction: (db, key, ttl) => db.transaction(async (tx) => tx.put(key, 'v', { ttl })),
};

for (const [name, options] of Object.entries({
  'with the hot cache': {},
  'without the hot cache': { memory: { hotCache: 0 } },
})) {
  test(`once expired, a record is missing in every read, however it was written: ${name}`, async () => {
    const location = space.folder();
    const db = await space.open({ ...options, shards: 3 }, location);
    const ways = Object.keys(WAYS);
    const lasting = ways.map((way) => `${way}, lasting`);
    const keys = [...ways, ...lasting];
    for (const [way, write] of Object.entries(WAYS)) {
      await write(db, way, 1);
      await write(db, `${way}, lasting`, HOUR);
    }
    await db.getMany(keys); // into the hot cache
    await expire(1);
    await livesEverywhere(db, keys, lasting);
    await db.flush();
    await livesEverywhere(db, keys, lasting);
    await db.compact();
    await livesEverywhere(db, keys, lasting);
    await db.close();
    await livesEverywhere(await space.open(options, location), keys, lasting);
  });
}

test('expired records take no part in limits, seeks and ranges', async () => {
  const db = await space.open({ shards: 3 });
  const k = (i: number) => `k${String(i).padStart(3, '0')}`;
  await Promise.all(Array.from({ length: 100 }, (_, i) => db.put(k(i), `${i}`, { ttl: i % 10 === 0 ? HOUR : 1 })));
  await expire(1);
  const alive = Array.from({ length: 10 }, (_, i) => k(10 * i));
  assert.deepEqual(await db.keys({ limit: 3 }).nextMany(100), alive.slice(0, 3));
  assert.deepEqual(await db.keys({ limit: 3, reverse: true }).nextMany(100), alive.slice(7).reverse());
  assert.deepEqual(await db.keys({ gt: k(10), lte: k(31) }).nextMany(100), alive.slice(2, 4));
  const walk = db.keys();
  walk.seek(k(41));
  assert.equal(await walk.next(), k(50));
  await walk.close();
});

test('a later write decides: with a new ttl, without one, or a delete', async () => {
  const db = await space.open();
  await Promise.all([
    db.put('renewed', '1', { ttl: 1 }),
    db.put('kept', '1', { ttl: 1 }),
    db.put('shortened', '1', { ttl: HOUR }),
    db.put('limited', '1'),
    db.put('deleted', '1', { ttl: HOUR }),
  ]);
  await Promise.all([
    db.put('renewed', '2', { ttl: HOUR }),
    db.put('kept', '2'),
    db.put('shortened', '2', { ttl: 1 }),
    db.put('limited', '2', { ttl: 1 }),
    db.delete('deleted'),
  ]);
  await expire(1);
  assert.deepEqual(await db.iterator().nextMany(10), [
    ['kept', '2'],
    ['renewed', '2'],
  ]);
});

test('within one batch the last operation on a key decides', async () => {
  const db = await space.open();
  await db.batch([
    { type: 'put', key: 'a', value: '1', ttl: 1 },
    { type: 'put', key: 'a', value: '2' },
    { type: 'put', key: 'b', value: '1' },
    { type: 'put', key: 'b', value: '2', ttl: 1 },
  ]);
  await expire(1);
  assert.deepEqual(await db.iterator().nextMany(10), [['a', '2']]);
});

test('an expired record never uncovers an older one, whatever is flushed and compacted in between', async () => {
  for (const hotCache of [0, '1MB'] as const) {
    const db = await space.open({ memory: { hotCache } });
    await db.put('k', 'old');
    await db.put('other', 'x');
    await db.flush();
    await db.compact(); // the old version stands in the last level
    await db.put('k', 'new', { ttl: 1 });
    await expire(1);
    const gone = async (when: string) => {
      assert.equal(await db.get('k'), undefined, when);
      assert.equal(db.getSync('k'), undefined, when);
      assert.deepEqual(await db.keys().nextMany(10), ['other'], when);
    };
    await gone('expired');
    await db.flush();
    await gone('flushed');
    await db.compact();
    await gone('compacted');
    await db.compact();
    await gone('compacted again');
  }
});

test('a snapshot and an iterator keep their own time, through expiry, overwriting and compaction', async () => {
  const db = await space.open({ shards: 2, memory: { hotCache: '1MB' } });
  const ttl = 300;
  const keys = Array.from({ length: 20 }, (_, i) => `k${String(i).padStart(2, '0')}`);
  let snapshot: Snapshot<string, string>;
  let walk: ReturnType<TextDatabase['iterator']>;
  // On a machine so slow that they expire before the snapshot is taken, begin again.
  for (;;) {
    await Promise.all(keys.map((key) => db.put(key, 'v', { ttl })));
    snapshot = await db.snapshot();
    walk = db.iterator();
    if ((await snapshot.getMany(keys)).every((value) => value === 'v')) break;
    await snapshot.close();
    await walk.close();
  }
  await expire(ttl);
  assert.deepEqual(await db.getMany(keys), keys.map(() => undefined)); // biome-ignore format: one line
  await livesIn(snapshot, keys, keys);
  await db.flush();
  await db.compact();
  await livesIn(snapshot, keys, keys);
  await db.put('k00', 'new');
  await db.compact();
  await livesIn(snapshot, keys, keys);
  assert.equal(await snapshot.get('k00'), 'v');
  assert.equal((await walk.nextMany(100)).length, 20);
  const later = await db.snapshot();
  assert.deepEqual(await later.iterator().nextMany(100), [['k00', 'new']]);
  await snapshot.close();
  await later.close();
  await walk.close();
  await db.compact();
  assert.deepEqual(await db.iterator().nextMany(100), [['k00', 'new']]);
});

/** Incompressible, and different for each index. */
const noise = (i: number) =>
  Array.from({ length: 128 }, (_, j) => ((i * 2654435761 + j * 40503) >>> 0).toString(36)).join('');

/** How many records a reader shows. */
async function countOf(reader: TextDatabase | Snapshot<string, string>): Promise<number> {
  let count = 0;
  for await (const _ of reader.iterator()) count++;
  return count;
}

test('compact() gives the space of expired records back, unless a snapshot still shows them', async () => {
  const db = await space.open({ memory: { writeBuffer: '2MB', hotCache: 0 } });
  const ttl = 1500;
  let snapshot: Snapshot<string, string>;
  for (;;) {
    await Promise.all(Array.from({ length: 4000 }, (_, i) => db.put(`k${i}`, noise(i), { ttl })));
    snapshot = await db.snapshot();
    if ((await countOf(snapshot)) === 4000) break;
    await snapshot.close();
  }
  await db.put('kept', 'x');
  await db.flush();
  const full = db.stats().disk.tableBytes;
  assert.ok(full > 1_500_000, `${full} bytes`);
  await expire(ttl);
  await db.compact();
  assert.ok(db.stats().disk.tableBytes > full / 2, 'what the snapshot shows was dropped');
  assert.equal(await countOf(snapshot), 4000);
  await snapshot.close();
  await db.compact();
  const left = db.stats().disk.tableBytes;
  assert.ok(left < full / 20, `${left} of ${full} bytes are left`);
  assert.deepEqual(await db.iterator().nextMany(10), [['kept', 'x']]);
});

test('an iterator keeps the space of what it has shown until it is closed, and no longer', async () => {
  const db = await space.open({ memory: { writeBuffer: '2MB', hotCache: 0 } });
  await db.putMany(Array.from({ length: 2000 }, (_, i) => [`k${i}`, noise(i)]));
  await db.flush();
  const full = db.stats().disk.tableBytes;
  const ended = db.iterator();
  assert.equal((await ended.nextMany(10_000)).length, 2000);
  await db.deleteRange({});
  await db.compact();
  ended.seek('k1'); // its moment is still there
  assert.deepEqual(await ended.next(), ['k1', noise(1)]);
  await ended.close();
  await db.compact();
  const left = db.stats().disk.tableBytes;
  assert.ok(left < full / 20, `${left} of ${full} bytes are left`);
});

test('a ttl is kept across opening and closing', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const ttl = 1000;
  await db.put('short', 'v', { ttl });
  await db.put('long', 'v', { ttl: HOUR });
  await db.close();
  await expire(ttl);
  const again = await space.open({}, location);
  await livesEverywhere(again, ['short', 'long'], ['long']);
});

test('any number of milliseconds from 1 is a ttl, fractions and the very far future included', async () => {
  const db = await space.open();
  const ttls = [1, 1.5, 1000.4, 2 ** 31, 2 ** 48, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE];
  for (const [i, ttl] of ttls.entries()) await db.put(`k${i}`, 'v', { ttl });
  await expire(2);
  assert.deepEqual(await db.keys().nextMany(10), ['k2', 'k3', 'k4', 'k5', 'k6']);
});

test('anything else is refused by every method, and nothing is written', async () => {
  const db = await space.open();
  const wrong = [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', null, true, {}, [5], new Date(), 5n];
  for (const value of wrong) {
    const ttl = value as number;
    await rejects(() => db.put('k', 'v', { ttl }), 'ERR_INVALID_ARGUMENT', /ttl/);
    await rejects(() => db.batch([{ type: 'put', key: 'k', value: 'v', ttl }]), 'ERR_INVALID_ARGUMENT', /ttl/);
    await rejects(() => db.putIf('k', 'v', { absent: true }, { ttl }), 'ERR_INVALID_ARGUMENT', /ttl/);
    throws(() => db.commit([{ type: 'put', key: 'k', value: 'v', ttl }]), 'ERR_INVALID_ARGUMENT', /ttl/);
    throws(() => db.beginBatch().put('k', 'v', { ttl }), 'ERR_INVALID_ARGUMENT', /ttl/);
    await rejects(() => db.transaction(async (tx) => tx.put('k', 'v', { ttl })), 'ERR_INVALID_ARGUMENT', /ttl/);
  }
  const ttl = { ttl: 5 } as object;
  await rejects(() => db.delete('k', ttl), 'ERR_INVALID_ARGUMENT', /ttl/);
  await rejects(() => db.putMany([['k', 'v']], ttl), 'ERR_INVALID_ARGUMENT', /ttl/);
  await rejects(() => db.batch([{ type: 'del', key: 'k', ttl: 5 } as never]), 'ERR_INVALID_ARGUMENT', /ttl/);
  assert.deepEqual(await db.keys().nextMany(10), []);
});

test.run();
