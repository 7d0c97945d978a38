// What sinks by itself although no tier is full: by age, with idle shards. And what the report says of it.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Database, open, type TiersOptions } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('tiers: triggers');
const space = new Workspace();
test.after(() => space.clean());
const folder = () => space.folder();

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('it did not come about within a minute');
}

async function recordsIn(db: Database<string, string>, tier: string): Promise<number | undefined> {
  return (await db.tiers.report()).tiers.find((each) => each.tier === tier)?.records;
}

test('records that are not used for maxAge sink, and the report says why, also later', async () => {
  const location = folder();
  const db = await open(location, { valueEncoding: 'utf8', tiers: { hot: { maxAge: 1000 }, cold: {} } });
  space.adopt(db);
  await db.putMany(Array.from({ length: 100 }, (_, i) => [`key${i}`, 'value'] as [string, string]));
  await until(async () => (await db.tiers.report()).moves.age.records === 100);
  const { moves } = await db.tiers.report();
  assert.ok(moves.age.last instanceof Date && Math.abs(Date.now() - moves.age.last.getTime()) < 120_000);
  assert.equal(moves.age.bytes, Array.from({ length: 100 }, (_, i) => `key${i}value`).join('').length);
  assert.deepEqual(moves.capacity, { records: 0, bytes: 0, markers: 0, copies: 0, tables: 0, last: undefined });
  assert.equal(await db.get('key7'), 'value');
  assert.equal(await recordsIn(db, 'cold'), 100);
  await db.close();
  const again = await open(location, { valueEncoding: 'utf8' });
  space.adopt(again);
  assert.equal((await again.tiers.report()).moves.age.records, 100);
  assert.equal((await again.tiers.migrate({ from: 'cold', to: 'hot' })).records, 100);
  assert.equal((await again.tiers.report()).moves.migrate.records, 100);
  await again.close();
});

test('idle shards sink whole, and come up as they are read', async () => {
  const db = await open(folder(), {
    valueEncoding: 'utf8',
    shards: 2,
    memory: { hotCache: 0 },
    temperature: { hot: 1000, warm: 2000, cold: 4000 },
    tiers: { warm: {}, cold: {}, sinkIdleShards: true },
  });
  space.adopt(db);
  await db.putMany(Array.from({ length: 100 }, (_, i) => [`key${i}`, 'value'] as [string, string]));
  await until(async () => (await db.tiers.report()).moves.idleShards.records >= 100);
  await until(async () => (await recordsIn(db, 'cold')) === 100);
  await until(async () => {
    for (let i = 0; i < 10; i++) assert.equal(await db.get('key7'), 'value');
    return (await db.tiers.report()).promoted > 0;
  });
  await db.close();
});

test('options of triggers are checked', async () => {
  for (const [tiers, message] of [
    [{ cold: { maxAge: 10_000 } }, /tiers\.cold takes no maxAge/],
    [{ hot: { maxAge: 999 } }, /tiers\.hot\.maxAge must be a whole number from 1000/],
    [{ hot: { maxAge: 1000.5 } }, /whole number/],
    [{ warm: { maxAge: '1d' } }, /tiers\.warm\.maxAge/],
    [{ hot: { maxAge: Number.POSITIVE_INFINITY } }, /whole number/],
    [{ sinkIdleShards: 'yes' }, /tiers\.sinkIdleShards must be true or false/],
    [{ sinkIdle: true }, /unknown option 'sinkIdle' of tiers; known are hot, warm, cold, sinkIdleShards/],
  ] as const) {
    await rejects(open(folder(), { tiers: tiers as unknown as TiersOptions }), 'ERR_INVALID_ARGUMENT', message);
  }
});

test('idle shards sink only where a use keeps a shard hot for a while', async () => {
  const withHot = (hot: number, sinkIdleShards = true) =>
    open(folder(), { temperature: { hot, warm: 2000, cold: 4000 }, tiers: { cold: {}, sinkIdleShards } });
  for (const hot of [0, 999]) {
    await rejects(withHot(hot), 'ERR_INVALID_ARGUMENT', /sinkIdleShards: temperature\.hot must be at least 1000/);
  }
  for (const db of [await withHot(1000), await withHot(0, false)]) await db.close();
});

test.run();
