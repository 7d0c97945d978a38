// db.tiers: options, moving records up and down, the report, and that reads see no difference.

import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { destroy, type Migration, open, type TiersReport } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('tiers: migration');
const space = new Workspace();
test.after(() => space.clean());
const folder = () => space.folder();

async function collect<T>(records: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const record of records) all.push(record);
  return all;
}

const TIERS = { warm: {}, cold: {} };

async function filled(location: string, count = 1000) {
  const db = await open(location, { tiers: TIERS, valueEncoding: 'utf8' });
  space.adopt(db);
  const entries: [string, string][] = [];
  for (let i = 0; i < count; i++) {
    entries.push([`key/${String(i).padStart(5, '0')}`, `the value of record number ${i}, which resembles the others`]);
  }
  await db.putMany(entries);
  return { db, entries };
}

function tierOf(report: TiersReport, name: string) {
  const found = report.tiers.find(({ tier }) => tier === name);
  assert.ok(found, `the report has the ${name} tier`);
  return found;
}

test('records move down and up, and every read finds them', async () => {
  const { db, entries } = await filled(folder());
  const down = await db.tiers.migrate({ from: 'hot', to: 'cold' });
  assert.equal(down.records, entries.length);
  assert.equal(
    down.bytes,
    entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0),
  );
  assert.deepEqual(await collect(db.iterator()), entries);
  const snapshot = await db.snapshot();
  assert.deepEqual(await db.getMany(['key/00007', 'key/99999'], { snapshot }), [entries[7]?.[1], undefined]);
  await db.delete('key/00007');
  await db.put('key/00008', 'new');
  assert.equal(await db.get('key/00007'), undefined);
  assert.equal(await snapshot.get('key/00008'), entries[8]?.[1]);
  const up = await db.tiers.migrate({ from: 'cold', to: 'hot' });
  assert.equal(up.records, entries.length - 2);
  assert.equal(await db.get('key/00007'), undefined);
  assert.equal(await db.get('key/00008'), 'new');
  assert.equal(await snapshot.get('key/00007'), entries[7]?.[1]);
  assert.equal((await collect(db.keys())).length, entries.length - 1);
  await db.close();
});

test('a filter chooses by key and value', async () => {
  const { db } = await filled(folder());
  const moved = await db.tiers.migrate({
    from: 'hot',
    to: 'warm',
    filter: (key, value) => key < 'key/00100' && value.includes('7'),
  });
  const expected = Array.from({ length: 100 }, (_, i) => String(i)).filter((text) => text.includes('7')).length;
  assert.equal(moved.records, expected);
  const report = await db.tiers.report();
  assert.deepEqual(tierOf(report, 'warm').movedIn, { records: expected, bytes: moved.bytes });
  assert.deepEqual(tierOf(report, 'hot').movedOut, { records: expected, bytes: moved.bytes });
  assert.equal((await db.tiers.migrate({ from: 'warm', to: 'hot', filter: () => false })).records, 0);
  assert.equal((await db.tiers.migrate({ from: 'warm', to: 'hot', filter: () => true })).records, expected);
  await db.close();
});

test('a filter that answers with a promise is refused, and moves nothing', async () => {
  const db = await open(folder(), { valueEncoding: 'utf8', tiers: { warm: {} } });
  await db.put('a', '1');
  const filter = (async () => false) as never;
  await rejects(db.tiers.migrate({ from: 'hot', to: 'warm', filter }), 'ERR_INVALID_ARGUMENT', /promise/);
  assert.equal((await db.tiers.report()).tiers[1]?.movedIn.records, 0);
  await db.close();
});

test('a filter that throws ends the migration, and nothing is lost', async () => {
  const { db, entries } = await filled(folder());
  const failing = () => {
    throw new RangeError('mine');
  };
  await db.tiers.migrate({ from: 'hot', to: 'warm', filter: failing }).then(
    () => assert.fail('it should reject'),
    (error: unknown) => assert.ok(error instanceof RangeError),
  );
  assert.equal((await collect(db.keys())).length, entries.length);
  await db.close();
});

test('progress is told after each step, and a signal ends it', async () => {
  const { db, entries } = await filled(folder());
  const steps: Migration[] = [];
  db.on('migration', (progress) => steps.push(progress));
  const moved = await db.tiers.migrate({ from: 'hot', to: 'warm' });
  assert.ok(steps.length >= 4, 'a step for each shard at least');
  assert.deepEqual(steps.at(-1), moved);
  const controller = new AbortController();
  db.once('migration', () => controller.abort());
  await rejects(db.tiers.migrate({ from: 'warm', to: 'cold', signal: controller.signal }), 'ERR_ABORTED');
  assert.deepEqual(await collect(db.iterator()), entries);
  await db.close();
});

test('bad arguments are refused before anything moves', async () => {
  const { db } = await filled(folder(), 10);
  for (const options of [
    undefined,
    {},
    { from: 'hot', to: 'hot' },
    { from: 'hot', to: 'lukewarm' },
    { from: 'hot', to: 'cold', filter: 'all' },
    { from: 'hot', to: 'cold', signal: {} },
    { from: 'hot', to: 'cold', shard: 1 },
  ]) {
    await rejects(db.tiers.migrate(options as never), 'ERR_INVALID_ARGUMENT');
  }
  await db.close();
  await rejects(db.tiers.migrate({ from: 'hot', to: 'cold' }), 'ERR_CLOSED');
  await rejects(db.tiers.report(), 'ERR_CLOSED');
});

test('a database without tiers has hot alone', async () => {
  const db = await open(folder());
  await db.put('a', Buffer.from('1'));
  await rejects(db.tiers.migrate({ from: 'hot', to: 'cold' }), 'ERR_INVALID_ARGUMENT');
  const report = await db.tiers.report();
  assert.deepEqual(
    report.tiers.map(({ tier }) => tier),
    ['hot'],
  );
  await db.close();
});

test('options of tiers are checked', async () => {
  for (const tiers of [
    [],
    { tepid: {} },
    { hot: null },
    { hot: { path: '/elsewhere' } },
    { cold: { path: '' } },
    { cold: { capacity: 'much' } },
    { cold: { compression: 'gzip' } },
    { cold: { filterBits: 0 } },
    { cold: { costPerTB: -1 } },
    { warm: { rateLimit: '1KB' } },
    { warm: { speed: 1 } },
    { warm: { reserve: '1MB' } },
    { hot: { reserve: -1 } },
    { hot: { simulatedDisk: 'sata' } },
    { warm: { simulatedDisk: 'floppy' } },
  ]) {
    await rejects(open(folder(), { tiers: tiers as never }), 'ERR_INVALID_ARGUMENT');
  }
});

test('a tier lies where it is told, is found again, and its loss is noticed', async () => {
  const location = folder();
  const elsewhere = path.join(folder(), 'disk');
  const db = await open(location, { tiers: { cold: { path: elsewhere, compression: 'lz4' } } });
  await db.put('a', Buffer.from('1'));
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.close();
  assert.ok(existsSync(path.join(elsewhere, 'CURRENT')));
  const again = await open(location);
  assert.deepEqual(await again.get('a'), Buffer.from('1'));
  await again.close();
  renameSync(elsewhere, `${elsewhere}-gone`);
  await rejects(open(location), 'ERR_NOT_FOUND');
  assert.ok(!existsSync(elsewhere));
  renameSync(`${elsewhere}-gone`, elsewhere);
  await destroy(location);
  assert.ok(!existsSync(elsewhere));
});

test('a tier is removed once it is empty', async () => {
  const location = folder();
  const { db, entries } = await filled(location, 100);
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.close();
  await rejects(open(location, { tiers: { cold: null } }), 'ERR_INVALID_ARGUMENT', /migrate/);
  const full = await open(location);
  await full.tiers.migrate({ from: 'cold', to: 'hot' });
  await full.close();
  const without = await open(location, { tiers: { cold: null, warm: null }, valueEncoding: 'utf8' });
  assert.deepEqual(await collect(without.iterator()), entries);
  assert.equal((await without.tiers.report()).tiers.length, 1);
  await without.close();
});

test('the report knows how often bytes were written', async () => {
  const { db, entries } = await filled(folder(), 5_000);
  const bytes = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  await db.flush();
  const flushed = await db.tiers.report();
  const written = tierOf(flushed, 'hot').writtenBytes;
  assert.ok(written > 0);
  assert.ok(Math.abs(tierOf(flushed, 'hot').writeAmplification - written / bytes) < 0.01);
  assert.equal(tierOf(flushed, 'cold').writeAmplification, 0);
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.flush();
  await db.compact();
  const report = await db.tiers.report();
  const [hot, cold] = [tierOf(report, 'hot'), tierOf(report, 'cold')];
  assert.ok(hot.writtenBytes > written, 'deletions were written too');
  assert.equal(cold.writeAmplification, cold.writtenBytes / cold.movedIn.bytes);
  assert.ok(cold.writeAmplification > 0);
  const all = report.tiers.reduce((sum, tier) => sum + tier.writtenBytes, 0);
  assert.ok(Math.abs(report.writeAmplification - all / bytes) < 0.01);
  await db.close();
});

test('a simulated disk makes reads of a tier slow, and nothing else different', async () => {
  const location = folder();
  const { db, entries } = await filled(location, 500);
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.close();
  const tiers = { cold: { simulatedDisk: 'hdd', blockCache: '1MB' } } as const;
  const slow = await open(location, { tiers, valueEncoding: 'utf8', memory: { hotCache: 0 } });
  space.adopt(slow);
  const began = performance.now();
  for (const [key, value] of entries) assert.equal(await slow.get(key), value);
  assert.ok(performance.now() - began > 8, 'one seek at least');
  await slow.close();
});

test('the report knows compression, shares of reads and cost', async () => {
  const { db, entries } = await filled(folder(), 20_000);
  await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => key >= 'key/10000' });
  await db.flush();
  await db.compact();
  const keys = entries.map(([key]) => key);
  const values = await db.getMany(keys.slice(9_000, 11_000));
  assert.ok(values.every((value) => value !== undefined));
  await db.get('missing');
  const report = await db.tiers.report();
  const [hot, cold] = [tierOf(report, 'hot'), tierOf(report, 'cold')];
  assert.equal(hot.hits + cold.hits + report.memory.hits + report.absent, 2_001);
  assert.equal(cold.hits, 1_000);
  assert.equal(report.absent, 1);
  assert.ok(cold.compressionRatio > 3, `text compresses, here ${cold.compressionRatio}`);
  assert.ok(cold.bytes > 0 && hot.bytes > cold.bytes);
  assert.equal(cold.costPerMonth, (cold.bytes / 1e12) * 20);
  assert.ok(report.cost.saved > 0.2 && report.cost.saved < 1, `${report.cost.saved} saved`);
  await db.close();
});

test.run();
