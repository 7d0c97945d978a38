// Records that expire: invisible to every read from their moment on, in every place they may lie, for ever.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { rejects } from './helpers/expect.ts';
import { inThePast } from './helpers/past.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('records: expiry');
const space = new Workspace();
test.after(() => space.clean());

const HOUR = 3_600_000;

/** Nothing shows a record of this key. */
async function isGone(db: TextDatabase, key: string): Promise<void> {
  assert.equal(await db.get(key), undefined);
  assert.equal(db.getSync(key), undefined);
  assert.deepEqual(await db.getMany([key, key]), [undefined, undefined]);
  assert.equal(await db.has(key), false);
  assert.deepEqual(await db.hasMany([key]), [false]);
  assert.equal(await db.iterator({ gte: key, lte: key }).next(), undefined);
  assert.equal(await db.values({ gte: key, lte: key, reverse: true }).next(), undefined);
}

async function isThere(db: TextDatabase, key: string, value: string): Promise<void> {
  assert.equal(await db.get(key), value);
  assert.equal(db.getSync(key), value);
  assert.deepEqual(await db.getMany([key]), [value]);
  assert.equal(await db.has(key), true);
  assert.deepEqual(await db.iterator({ gte: key, lte: key }).nextMany(2), [[key, value]]);
}

for (const hotCache of [0, '1MB']) {
  test(`an expired record reads as missing in memory, tables and after reopening, with a hot cache of ${hotCache}`, async () => {
    const options = { memory: { hotCache } };
    let db = await space.open(options);
    await inThePast(10_000, () =>
      Promise.all([
        db.put('by put', 'old', { ttl: 9000 }),
        db.batch([{ type: 'put', key: 'by batch', value: 'old', ttl: 1 }]),
        db.put('alive', 'still', { ttl: HOUR }),
      ]),
    );
    await db.put('for ever', 'yes');
    const check = async () => {
      await isGone(db, 'by put');
      await isGone(db, 'by batch');
      await isThere(db, 'alive', 'still');
      await isThere(db, 'for ever', 'yes');
      assert.deepEqual(await db.keys().nextMany(9), ['alive', 'for ever']);
      assert.deepEqual(await db.keys({ reverse: true, limit: 2 }).nextMany(9), ['for ever', 'alive']);
    };
    await check();
    await check(); // now from the cache
    await db.flush();
    await check();
    await db.compact();
    await check();
    await db.close();
    db = await space.open(options, db.location);
    await check();
  });
}

test('a record expires by itself while it is being read, and never comes back', async () => {
  for (const hotCache of ['1MB', 0]) {
    const db = await space.open({ memory: { hotCache } });
    await db.put('k', 'under it'); // expiry must not uncover what the record has replaced
    await db.put('k', 'v', { ttl: 150 });
    // Any result is right until the first "missing"; after it there is no other.
    while ((await db.get('k')) !== undefined) await sleep(5);
    await isGone(db, 'k');
    await db.put('k', 'w');
    await isThere(db, 'k', 'w');
    await db.close();
  }
});

test('a record is there for as long as its time has not come', async () => {
  const db = await space.open();
  await db.put('k', 'v', { ttl: HOUR });
  await isThere(db, 'k', 'v');
  await isThere(db, 'k', 'v');
  await db.flush();
  await isThere(db, 'k', 'v');
});

test('writing a record again takes its expiry away or sets a new one', async () => {
  const db = await space.open();
  await inThePast(10_000, () => db.put('k', 'expired', { ttl: 1 }));
  await isGone(db, 'k');
  await db.put('k', 'for ever');
  await isThere(db, 'k', 'for ever');
  await inThePast(10_000, () => db.put('k', 'expired again', { ttl: 1 }));
  await isGone(db, 'k');
  await db.put('k', 'for an hour', { ttl: HOUR });
  await isThere(db, 'k', 'for an hour');
  await db.batch([
    { type: 'put', key: 'k', value: 'short', ttl: 1 },
    { type: 'put', key: 'k', value: 'the last one wins' },
  ]);
  await isThere(db, 'k', 'the last one wins');
});

test('a snapshot goes on showing what had not expired at its moment', async () => {
  const db = await space.open();
  for (let ttl = 250; ; ttl *= 4) {
    await db.put('k', 'v', { ttl });
    const snapshot = await db.snapshot();
    // A slow machine may have let it expire before the snapshot was taken.
    if ((await snapshot.get('k')) === undefined) continue;
    while ((await db.get('k')) !== undefined) await sleep(5);
    assert.equal(await snapshot.get('k'), 'v');
    await db.flush();
    await db.compact();
    assert.equal(await snapshot.get('k'), 'v', 'compaction took what the snapshot shows');
    assert.deepEqual(await snapshot.getMany(['k']), ['v']);
    assert.deepEqual(await snapshot.iterator().nextMany(2), [['k', 'v']]);
    await isGone(db, 'k');
    await snapshot.close();
    return;
  }
});

test('compaction gives the space of expired records back, and uncovers nothing that they replaced', async () => {
  const db = await space.open({ shards: 2 });
  const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
  await db.putMany(keys.map((key) => [key, `before ${'x'.repeat(500)}`]));
  await db.flush();
  await inThePast(10_000, () => Promise.all(keys.map((key) => db.put(key, 'y'.repeat(1000), { ttl: 1 }))));
  await db.put('alive', 'z', { ttl: HOUR });
  await db.flush();
  assert.ok(db.stats().disk.tableBytes > 100_000, 'it is in tables');
  await db.compact();
  assert.ok(db.stats().disk.tableBytes < 20_000, `${db.stats().disk.tableBytes} bytes are left`);
  assert.deepEqual(await db.keys().nextMany(10), ['alive']);
  assert.deepEqual(await db.getMany(keys), keys.map(() => undefined)); // biome-ignore format: one line
  await db.close();
  assert.deepEqual(await (await space.open({}, db.location)).keys().nextMany(10), ['alive']);
});

test('expired records do not count for a limit, and a walk skips them', async () => {
  const db = await space.open({ shards: 3 });
  const keys = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(3, '0')}`);
  await inThePast(10_000, () =>
    Promise.all(keys.map((key, i) => (i % 3 === 0 ? db.put(key, key, { ttl: 1 }) : db.put(key, key)))),
  );
  const alive = keys.filter((_, i) => i % 3 !== 0);
  assert.deepEqual(await db.keys().nextMany(1000), alive);
  assert.deepEqual(await db.keys({ limit: 10 }).nextMany(1000), alive.slice(0, 10));
  assert.deepEqual(await db.keys({ limit: 10, reverse: true }).nextMany(1000), alive.slice(-10).reverse());
  const iterator = db.keys();
  iterator.seek('k003');
  assert.equal(await iterator.next(), 'k004');
  await iterator.close();
});

test('a ttl is a number of milliseconds from 1, and may be as long as one likes', async () => {
  const db = await space.open();
  for (const ttl of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null, {}, 1n, new Date()]) {
    await rejects(() => db.put('k', 'v', { ttl: ttl as number }), 'ERR_INVALID_ARGUMENT', /ttl/);
    const operation = { type: 'put' as const, key: 'k', value: 'v', ttl: ttl as number };
    await rejects(() => db.batch([operation]), 'ERR_INVALID_ARGUMENT', /ttl/);
  }
  await isGone(db, 'k');
  for (const ttl of [HOUR + 0.5, 1e12, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
    await db.put('k', String(ttl), { ttl });
    await isThere(db, 'k', String(ttl));
  }
  await db.put('k', 'without', {});
  await db.put('k', 'undefined means none', { ttl: undefined as never });
  await isThere(db, 'k', 'undefined means none');
});

test.run();
