// stats(): rates, stalls, compactions, tiers and shards after known operations.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { open, type Stats } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('stats: figures');
const space = new Workspace();
test.after(() => space.clean());

/** The first statistics of which `is` is true. */
async function when(db: { stats(): Stats }, is: (stats: Stats) => boolean): Promise<Stats> {
  for (;;) {
    const stats = db.stats();
    if (is(stats)) return stats;
    await sleep(20);
  }
}

const total = (perSecond: number, seconds: number) => Math.round(perSecond * seconds);

test('a minute that covers all there was counts exactly what was done', async () => {
  const db = await space.open({ memory: { hotCache: '8MB' } });
  await db.putMany(Array.from({ length: 100 }, (_, i) => [`key${i}`, 'value']));
  for (let i = 0; i < 7; i++) await db.put(`single${i}`, 'value', { durability: 'fsync' });
  await db.delete('key0');
  await db.getMany(['key1', 'key2', 'absent']);
  for (let i = 0; i < 5; i++) db.getSync('key3');
  const { hotCache, writes, latencySeconds } = db.stats();
  const minute = (
    await when(db, ({ rates }) => total(rates['60s'].operationsPerSecond.get, rates['60s'].seconds) === 5)
  ).rates['60s'];
  const of = (perSecond: number) => total(perSecond, minute.seconds);
  const { operationsPerSecond } = minute;
  assert.equal(of(operationsPerSecond.put), 107);
  assert.equal(of(operationsPerSecond.delete), 1);
  assert.equal(of(operationsPerSecond.getMany), 1);
  assert.equal(of(operationsPerSecond.scan), 0);
  assert.equal(of(minute.readRecordsPerSecond), 8);
  assert.equal(of(minute.readBytesPerSecond), 2 * (4 + 5) + 6 + 5 * (4 + 5));
  assert.equal(of(minute.writtenRecordsPerSecond), 108);
  assert.equal(of(minute.fsyncsPerSecond), 7);
  assert.equal(of(minute.commitsPerSecond), writes.commits);
  assert.equal(of(minute.groupsPerSecond), writes.groups);
  const hits = hotCache.hits + hotCache.negativeHits;
  assert.equal(minute.hotCacheHitShare, hits / (hits + hotCache.misses));
  assert.equal(minute.latencySeconds.put.count, latencySeconds.put.count);
  assert.equal(minute.latencySeconds.fsync.count, 7);
  assert.equal(minute.latencySeconds.put.p50, latencySeconds.put.p50);
  await db.close();
});

test('rates of the last second are back at zero when nothing happens any more', async () => {
  const db = await space.open();
  await db.put('a', '1');
  await when(db, ({ rates }) => rates['1s'].operationsPerSecond.put > 0);
  const idle = await when(db, ({ rates }) => rates['1s'].operationsPerSecond.put === 0);
  assert.ok(idle.rates['60s'].operationsPerSecond.put > 0);
  await db.close();
});

test('a stall of writes shows with its cause and age while it lasts, and adds up when it is over', async () => {
  // Flushes may write a megabyte a second, so memtables of a megabyte pile up.
  const db = await space.open({ shards: 1, memory: { writeBuffer: '1MB' }, tiers: { hot: { rateLimit: 1_000_000 } } });
  assert.deepEqual(db.stats().stalls, {
    count: 0,
    seconds: 0,
    byCause: {
      memtables: { count: 0, seconds: 0 },
      level0Files: { count: 0, seconds: 0 },
      pendingCompaction: { count: 0, seconds: 0 },
      unknown: { count: 0, seconds: 0 },
    },
    running: 0,
    ageSeconds: 0,
  });
  // Stalls come and go, of which some are over before anybody can ask what they wait for.
  let writing = true;
  const load = (async () => {
    for (let i = 0; writing; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, j) => db.put(`key${i + j}`, 'x'.repeat(10_000))));
    }
  })();
  const first = (await when(db, ({ stalls }) => stalls.cause === 'memtables' && stalls.ageSeconds > 0.1)).stalls;
  assert.equal(first.running, 1);
  assert.ok(first.byCause.memtables.count >= 1);
  assert.ok(first.byCause.memtables.seconds >= first.ageSeconds);
  assert.ok(first.seconds >= first.byCause.memtables.seconds);
  const later = (
    await when(db, ({ stalls }) => stalls.byCause.memtables.seconds > first.byCause.memtables.seconds + 0.1)
  ).stalls;
  assert.ok(later.count >= first.count);
  writing = false;
  await load;
  const { stalls, writes: counted } = await when(db, ({ stalls: { running } }) => running === 0);
  assert.equal(stalls.cause, undefined);
  assert.equal(stalls.ageSeconds, 0);
  const causes = Object.values(stalls.byCause);
  assert.equal(
    causes.reduce((sum, { count }) => sum + count, 0),
    stalls.count,
  );
  assert.ok(Math.abs(causes.reduce((sum, { seconds }) => sum + seconds, 0) - stalls.seconds) < 1e-6);
  assert.ok(stalls.seconds >= later.seconds);
  assert.equal(counted.stalls, stalls.count);
  assert.equal(counted.stallSeconds, stalls.seconds);
  await db.close();
});

test('compactions, files by level and the compression ratio of a tier', async () => {
  const db = await space.open({ shards: 2, memory: { blockCache: '1MB', hotCache: 0 }, compression: 'lz4' });
  const load = () => db.putMany(Array.from({ length: 2000 }, (_, i) => [`key${i}`, 'value '.repeat(50)]));
  await load();
  await db.flush();
  const [flushed] = db.stats().tiers;
  assert.deepEqual([flushed?.tier, flushed?.files, flushed?.filesByLevel[0]], ['hot', 2, 2]);
  assert.equal(flushed?.tableBytes, db.stats().disk.tableBytes);
  assert.equal(flushed?.compactions.count, 0);
  await load();
  await db.flush();
  await db.compact();
  const [compacted] = (await when(db, ({ tiers }) => (tiers[0]?.compressionRatio ?? 0) > 5)).tiers;
  assert.ok(compacted);
  assert.equal(compacted.filesByLevel[0], 0);
  assert.equal(compacted.compactions.count, 2, 'one a shard');
  assert.ok(compacted.compactions.seconds > 0);
  assert.ok(compacted.compactions.readBytes >= 2 * (flushed?.tableBytes ?? 0) * 0.9);
  assert.equal(compacted.compactions.writtenBytes, compacted.tableBytes);
  assert.ok(compacted.diskCapacityBytes >= compacted.diskUsedBytes && compacted.diskUsedBytes > 0);
  const before = db.stats().tiers[0]?.blockCache;
  await db.getMany(['key1', 'key2']);
  await db.getMany(['key1', 'key2']);
  const after = db.stats().tiers[0]?.blockCache;
  assert.ok(before && after);
  assert.ok(after.misses - before.misses >= 1, 'the blocks were not there the first time');
  assert.ok(after.hits - before.hits >= 2, 'and were the second time');
  await db.close();
});

test('what each shard holds and did adds up to the whole', async () => {
  const db = await space.open({ shards: 4, memory: { hotCache: 0 } });
  await db.putMany(Array.from({ length: 400 }, (_, i) => [`key${i}`, 'value']));
  await db.getMany(Array.from({ length: 100 }, (_, i) => `key${i}`));
  await db.flush();
  const { perShard, disk } = db.stats();
  const sum = (of: (shard: (typeof perShard)[number]) => number) => perShard.reduce((all, shard) => all + of(shard), 0);
  assert.deepEqual(
    perShard.map(({ slots }) => slots),
    [[[0, 4095]], [[4096, 8191]], [[8192, 12287]], [[12288, 16383]]],
  );
  assert.equal(
    sum(({ writes }) => writes),
    400,
  );
  assert.equal(
    sum(({ reads }) => reads),
    100,
  );
  assert.equal(
    sum(({ keys }) => keys),
    400,
  );
  assert.equal(
    sum(({ tableBytes }) => tableBytes),
    disk.tableBytes,
  );
  await db.close();
});

test('tiers: reads, moves and files of each', async () => {
  const db = await space.open({ memory: { hotCache: 0 }, tiers: { cold: {} } });
  await db.putMany(Array.from({ length: 100 }, (_, i) => [`key${i}`, 'value']));
  await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => Number(key.slice(3)) < 60 });
  await db.getMany(Array.from({ length: 110 }, (_, i) => `key${i}`));
  const { tiers, migration } = db.stats();
  const [hot, cold] = tiers;
  assert.deepEqual(
    tiers.map(({ tier, reads }) => [tier, reads]),
    [
      ['hot', 40],
      ['cold', 60],
    ],
  );
  assert.equal(migration.absentReads, 10);
  assert.equal(migration.trouble, undefined);
  assert.equal(hot?.movedOutRecords, 60);
  assert.equal(cold?.movedInRecords, 60);
  assert.ok(cold?.blockCache.capacityBytes === 16 << 20);
  await db.close();
});

test("RocksDB's tickers and properties by name, for those who ask", async () => {
  const quiet = await space.open();
  assert.equal(await quiet.tickers(), undefined);
  assert.equal(await quiet.property('rocksdb.no-such-thing'), undefined);
  await quiet.close();
  const db = await open(space.folder(), { tickers: true, shards: 2, tiers: { cold: {} }, memory: { hotCache: 0 } });
  await db.put('a', Buffer.from('1'));
  await db.get('a');
  await db.get('b');
  const tickers = await db.tickers();
  assert.equal(tickers?.['rocksdb.memtable.hit'], 1);
  assert.ok(Number(tickers?.['rocksdb.number.keys.read'] ?? 0) + Number(tickers?.['rocksdb.memtable.miss']) >= 1);
  assert.ok((await db.tickers('cold')) !== undefined);
  assert.equal(await db.tickers('warm'), undefined);
  assert.equal(await db.property('rocksdb.estimate-num-keys'), 1);
  assert.match(
    String(await db.property('rocksdb.levelstats')),
    /shard_0000_00000000:\nLevel[\s\S]*shard_0001_00000000:/,
  );
  await rejects(() => db.property(''), 'ERR_INVALID_ARGUMENT');
  await rejects(() => db.property('rocksdb.stats', 'lukewarm' as never), 'ERR_INVALID_ARGUMENT');
  await db.close();
});

test('printed for people', async () => {
  const db: TextDatabase = await space.open();
  await db.put('a', '1');
  let text = '';
  db.printStats((part) => {
    text += part;
  });
  assert.match(text, /^operations\n +calls +records +bytes/);
  assert.match(text, /\n {2}put +1 +1 +2 bytes/);
  assert.match(text, /\nlatency\n[\s\S]*\n {2}put +\d/);
  assert.match(text, /\n {2}hot cache +0 +0 +-/);
  assert.match(text, /\n {2}stalls +0, 0 µs/);
  await db.close();
});

test.run();
