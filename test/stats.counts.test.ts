// stats(): what is counted after known operations, as lib/stats.ts promises it.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import type { LatencySeconds, Stats } from '../lib/index.ts';
import { startWorker } from './helpers/thread.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('stats: counts');
const space = new Workspace();
test.after(() => space.clean());

const NOTHING = { operations: 0, records: 0, bytes: 0 };

/** What `work` adds to the counters of one kind of operation. */
async function added(
  db: TextDatabase,
  kind: keyof ReturnType<TextDatabase['stats']>['operations'],
  work: () => Promise<unknown>,
) {
  const before = db.stats().operations;
  await work();
  const after = db.stats().operations;
  for (const other of Object.keys(after) as (keyof typeof after)[]) {
    if (other !== kind) assert.deepEqual(after[other], before[other], `${kind} was counted as ${other}`);
  }
  const [a, b] = [after[kind], before[kind]];
  return { operations: a.operations - b.operations, records: a.records - b.records, bytes: a.bytes - b.bytes };
}

test('a fresh database has counted nothing', async () => {
  const { operations, writes, hotCache } = (await space.open({ shards: 5 })).stats();
  for (const totals of Object.values(operations)) assert.deepEqual(totals, NOTHING);
  assert.equal(writes.commits, 0);
  assert.equal(writes.inFlightBytes, 0);
  assert.deepEqual(hotCache, { hits: 0, negativeHits: 0, misses: 0, entries: 0 });
});

for (const hotCache of ['64MB', 0]) {
  test(`calls, records and bytes of every kind of operation, with a hot cache of ${hotCache}`, async () => {
    const db = await space.open({ memory: { hotCache } });
    const ten = Array.from({ length: 10 }, (_, i): [string, string] => [`k${i}`, 'value']);
    const puts = await added(db, 'put', () => Promise.all(ten.map(([key, value]) => db.put(key, value))));
    assert.deepEqual(puts, { operations: 10, records: 10, bytes: 10 * (2 + 5) });
    assert.equal((await added(db, 'put', () => db.putMany(ten))).records, 10);
    assert.deepEqual(await added(db, 'delete', () => db.delete('k9')), { operations: 1, records: 1, bytes: 2 });
    const batch = await added(db, 'batch', () =>
      db.batch([
        { type: 'put', key: 'bb', value: '22' },
        { type: 'put', key: 'ccc', value: '333' },
        { type: 'del', key: 'k8' },
      ]),
    );
    assert.deepEqual(batch, { operations: 1, records: 3, bytes: 4 + 6 + 2 });
    assert.equal((await added(db, 'deleteRange', () => db.deleteRange({ gte: 'x', lt: 'y' }))).operations, 1);
    // Twice, since the second time the hot cache answers.
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await added(db, 'get', () => db.get('k1')), { operations: 1, records: 1, bytes: 7 });
      assert.deepEqual(await added(db, 'get', () => db.get('none')), { operations: 1, records: 1, bytes: 4 });
      const gets = await added(db, 'get', () => Promise.all(['k2', 'k3', 'no'].map((key) => db.get(key))));
      assert.deepEqual(gets, { operations: 3, records: 3, bytes: 7 + 7 + 2 });
      const sync = await added(db, 'get', async () => [db.getSync('k4'), db.getSync('n')]);
      assert.deepEqual(sync, { operations: 2, records: 2, bytes: 7 + 1 });
      const many = await added(db, 'getMany', () => db.getMany(['k5', 'none', 'ccc']));
      assert.deepEqual(many, { operations: 1, records: 3, bytes: 7 + 4 + 6 });
    }
    assert.equal((await added(db, 'scan', () => db.iterator().nextMany(100))).records, 10);
    assert.equal((await added(db, 'scan', () => db.keys({ limit: 4 }).nextMany(100))).records, 4);
  });
}

test('large values count as all others do, however they are fetched', async () => {
  const db = await space.open();
  for (const size of [16_384, 16_385, 60_000, 200_000]) {
    await db.put('key', 'x'.repeat(size));
    for (let round = 0; round < 5; round++) {
      const expected = { operations: 1, records: 1, bytes: 3 + size };
      assert.deepEqual(await added(db, 'get', () => db.get('key')), expected, `get of ${size} bytes`);
      assert.deepEqual(await added(db, 'get', async () => db.getSync('key')), expected, `getSync of ${size} bytes`);
      assert.deepEqual(await added(db, 'getMany', () => db.getMany(['key'])), expected, `getMany of ${size} bytes`);
    }
  }
});

test('refused and empty writes are not counted', async () => {
  const db = await space.open();
  await db.batch([]);
  await db.putMany([]);
  await db.put(7 as never, 'x').catch(() => {});
  await db.batch([{ type: 'put', key: '\ud800', value: 'x' }]).catch(() => {});
  const { operations, writes } = db.stats();
  assert.deepEqual([operations.put, operations.batch], [NOTHING, NOTHING]);
  assert.equal(writes.commits, 0);
});

test('commits are units of atomicity, groups are what was written together', async () => {
  const db = await space.open();
  await Promise.all(Array.from({ length: 500 }, (_, i) => db.put(`k${i}`, 'v')));
  await db.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: `b${i}`, value: 'v' })));
  await db.delete('k1');
  const { commits, groups, groupOperations, groupBytes, inFlightBytes } = db.stats().writes;
  assert.equal(commits, 502);
  assert.equal(groupOperations, 601);
  // One group for the turn, one for each awaited write; the engine may split but never merges across them.
  assert.ok(groups >= 3 && groups < 100, `${groups} groups`);
  assert.ok(groupBytes > 601 * 4, `${groupBytes} bytes`);
  assert.equal(inFlightBytes, 0);
});

test('hits, negative hits and misses of the hot cache', async () => {
  const db = await space.open();
  await db.put('k', 'v');
  const counts = () => db.stats().hotCache;
  db.getSync('k'); // fills
  db.getSync('none'); // fills
  assert.deepEqual(counts(), { hits: 0, negativeHits: 0, misses: 2, entries: 2 });
  for (let i = 0; i < 5; i++) db.getSync('k');
  for (let i = 0; i < 3; i++) db.getSync('none');
  assert.deepEqual(counts(), { hits: 5, negativeHits: 3, misses: 2, entries: 2 });
  await db.getMany(['k', 'none', 'other']);
  assert.deepEqual(counts(), { hits: 6, negativeHits: 4, misses: 3, entries: 3 });
  await db.deleteRange({});
  assert.equal(counts().entries, 0);
});

test('latencies are counted with their operations and in order', async () => {
  const db = await space.open();
  for (let i = 0; i < 200; i++) await db.put(`k${i}`, 'v');
  await db.batch([{ type: 'del', key: 'k1' }]);
  await db.flush();
  const { latencySeconds } = db.stats();
  assert.equal(latencySeconds.put.count, 200);
  assert.equal(latencySeconds.batch.count, 1);
  assert.ok(latencySeconds.groupWrite.count >= 200 && latencySeconds.flush.count >= 1);
  for (const [name, latency] of Object.entries(latencySeconds) as [string, LatencySeconds][]) {
    const { count, sum, max, p50, p95, p99, p999 } = latency;
    if (count === 0) {
      assert.deepEqual([sum, max, p50, p999], [0, 0, 0, 0], name);
      continue;
    }
    const rising = [0, p50, p95, p99, p999, max * 1.02];
    for (let i = 1; i < rising.length; i++) {
      assert.ok((rising[i] as number) >= (rising[i - 1] as number), `${name}: ${rising.join(', ')}`);
    }
    assert.ok(sum > 0 && sum <= count * max * 1.02, name);
  }
});

test('writes: a group that meets the switch to a new memtable is timed apart', async () => {
  const db = await space.open({ shards: 1, memory: { writeBuffer: '1MB' } });
  for (let i = 0; i < 60; i++) {
    await db.batch(
      Array.from({ length: 100 }, (_, j) => ({ type: 'put' as const, key: `${i}/${j}`, value: 'x'.repeat(1000) })),
    );
  }
  const { writes, latencySeconds } = db.stats();
  assert.ok(writes.memtableSwitches >= 2, `${writes.memtableSwitches} switches for 6 MB through memtables of 1 MB`);
  assert.ok(latencySeconds.memtableSwitch.count >= 2);
  assert.ok(latencySeconds.memtableSwitch.count <= latencySeconds.groupWrite.count / 2);
  assert.ok(latencySeconds.memtableSwitch.max <= latencySeconds.groupWrite.max);
  await db.close();
});

test('memory and disk', async () => {
  const db = await space.open({ memory: { hotCache: '2MB', blockCache: '4MB', writeBuffer: '8MB' } });
  const before = db.stats();
  assert.equal(before.disk.tableBytes, 0);
  assert.deepEqual([before.memory.hotCacheCapacityBytes, before.memory.blockCacheCapacityBytes], [2 << 20, 4 << 20]);
  await db.putMany(Array.from({ length: 2000 }, (_, i) => [`k${i}`, 'x'.repeat(1000)]));
  const full = db.stats();
  assert.ok(full.memory.memtableBytes - before.memory.memtableBytes > 1_000_000 || full.disk.tableBytes > 1_000_000);
  await db.flush();
  await db.getMany(Array.from({ length: 2000 }, (_, i) => `k${i}`));
  const flushed = db.stats();
  assert.ok(flushed.disk.tableBytes > 2_000_000, `${flushed.disk.tableBytes} bytes in tables`);
  assert.equal(flushed.disk.estimatedRecords, 2000);
  assert.ok(flushed.memory.hotCacheBytes > 0 && flushed.memory.hotCacheBytes <= 2 << 20);
  assert.ok(flushed.memory.blockCacheBytes > 0 && flushed.memory.blockCacheBytes <= 5 << 20);
});

test('all who share a database share its counters, which begin anew when it is opened again', async () => {
  const db = await space.open();
  const second = await space.open({}, db.location);
  await db.put('a', '1');
  await second.put('b', '2');
  const worker = startWorker('worker.ts', { task: 'write', location: db.location, id: 0, count: 10 });
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.equal(db.stats().operations.put.records, 12);
  assert.deepEqual(second.stats().operations, db.stats().operations);
  await db.close();
  assert.equal(second.stats().operations.put.records, 12);
  await second.close();
  assert.deepEqual((await space.open({}, db.location)).stats().operations.put, NOTHING);
});

test('threads: groups and syncs are the tasks of their stages, and every task was timed', async () => {
  const db = await space.open({ threads: { read: 3, maintenance: 2 } });
  for (let i = 0; i < 10; i++) await db.put(`key${i}`, 'value', { durability: 'fsync' });
  await db.flush();
  const all = await db.iterator().nextMany(100);
  assert.equal(all.length, 10);
  await db.compact();
  // A task ends a little after what it was for.
  const ended = ({ threads, writes }: Stats) =>
    threads.commit.tasks === writes.groups && threads.fsync.tasks === writes.fsyncs && threads.background.tasks === 1;
  while (!ended(db.stats())) await sleep(1);
  const { threads } = db.stats();
  assert.deepEqual(
    Object.entries(threads).map(([name, work]) => [name, work.threads]),
    [
      ['read', 3],
      ['commit', 1],
      ['fsync', 1],
      ['task', 2],
      ['background', 4], // threads.maintenance, and two for snapshots of shards
    ],
  );
  assert.ok(threads.commit.tasks >= 10);
  assert.equal(threads.fsync.tasks, 10);
  assert.ok(threads.task.tasks >= 1);
  assert.ok(threads.read.tasks >= 1);
  for (const [name, work] of Object.entries(threads)) {
    assert.equal(work.queued, 0, name);
    assert.equal(work.runSeconds.count, work.tasks, name);
    assert.ok(work.waitSeconds.count >= work.tasks, name);
  }
  await db.close();
});

test.run();
