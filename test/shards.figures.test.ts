// db.shards: what is known of each shard, and walks by slot, against what was written.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Database, open, type ShardInfo } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('shards: figures and walks');
const space = new Workspace();
test.after(() => space.clean());

const text = { valueEncoding: 'utf8' } as const;

/** CRC-16/XMODEM of the hash tag, as Redis Cluster has it, written anew. */
function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  const tag = open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % 16_384;
}

const names = Array.from({ length: 5000 }, (_, i) => `user/${i}${i % 7 === 0 ? `{t${i % 100}}` : ''}`);

async function filled(shards: number): Promise<Database<string, string>> {
  const db = space.adopt(await open(space.folder(), { ...text, shards }));
  await db.putMany(names.map((name): [string, string] => [name, `value of ${name}`]));
  return db;
}

const owns = (shard: ShardInfo, slot: number) => shard.slots.some(([first, last]) => first <= slot && slot <= last);

test('list gives every shard, its slots, keys and bytes', async () => {
  const before = Date.now();
  const db = await filled(5);
  await db.flush();
  await db.compact();
  const shards = await db.shards.list();
  assert.deepEqual(
    shards.map(({ id }) => id),
    [0, 1, 2, 3, 4],
  );
  assert.equal(shards[0]?.slots[0]?.[0], 0);
  assert.equal(shards.at(-1)?.slots.at(-1)?.[1], 16_383);
  for (const shard of shards) {
    const mine = names.filter((name) => owns(shard, slotOf(name)));
    assert.equal(shard.keys, mine.length, `keys of shard ${shard.id}`);
    assert.deepEqual(shard.tiers.hot.keys, shard.keys);
    assert.ok(shard.bytes > 0 && shard.tiers.hot.tableBytes === shard.bytes);
    assert.deepEqual([shard.generation, shard.state, shard.temperature], [0, 'live', 'hot']);
    for (const date of [shard.created, shard.lastAccess]) {
      assert.ok(date !== undefined && +date >= before - 1000 && +date <= Date.now() + 1000, String(date));
    }
    assert.equal(shard.writes, mine.length);
    assert.ok(shard.writesPerSecond > 0);
  }
  assert.equal(
    shards.reduce((sum, { keys }) => sum + keys, 0),
    names.length,
  );
  const total = db.stats().disk.tableBytes;
  assert.equal(
    shards.reduce((sum, { bytes }) => sum + bytes, 0),
    total,
  );
});

test('of and slotOf follow Redis Cluster, hash tags included', async () => {
  const db = await filled(7);
  for (const name of [...names.slice(0, 200), '123456789', 'a{b}c', 'a{}b', '{{x}y}', '']) {
    assert.equal(db.shards.slotOf(name), slotOf(name), name);
    assert.ok(owns(await db.shards.of(name), slotOf(name)), name);
  }
  assert.equal(db.shards.slotOf('123456789'), 12_739);
  assert.equal((await db.shards.get(3)).id, 3);
  await rejects(db.shards.get(7), 'ERR_NOT_FOUND', /no shard 7/);
});

test('reads and writes are those of the shard they went to', async () => {
  const db = space.adopt(await open(space.folder(), { ...text, shards: 4, memory: { hotCache: 0 } }));
  const key = names[3] as string;
  const { id } = await db.shards.of(key);
  await db.put(key, '1');
  await db.delete(key);
  await db.batch([{ type: 'put', key, value: '2' }]);
  for (let i = 0; i < 3; i++) await db.get(key);
  db.getSync(key);
  await db.getMany([key, key]);
  await db.iterator().nextMany(10);
  for (const shard of await db.shards.list()) {
    const expected = shard.id === id ? [3, 7] : [0, 0];
    assert.deepEqual([shard.writes, shard.reads], expected, `shard ${shard.id}`);
    assert.equal(shard.lastAccess === undefined, shard.id !== id);
    assert.equal(shard.readsPerSecond > 0, shard.id === id);
  }
  await db.deleteRange({ gte: 'a', lt: 'b' });
  const after = await db.shards.list();
  assert.deepEqual(
    after.map(({ writes }) => writes),
    after.map((shard) => (shard.id === id ? 4 : 1)),
  );
});

test('hits of the hot cache are sampled, and come out about right', async () => {
  const db = space.adopt(await open(space.folder(), { ...text, shards: 2 }));
  const key = names[5] as string;
  await db.put(key, 'x');
  await db.get(key);
  for (let i = 0; i < 64_000; i++) db.getSync(key);
  const { reads } = await db.shards.of(key);
  assert.ok(Math.abs(reads - 64_000) <= 128, `${reads}`);
});

test('times outlive the database being closed', async () => {
  const location = space.folder();
  let db = space.adopt(await open(location, { ...text, shards: 2 }));
  const key = names[8] as string;
  await db.put(key, 'x');
  const before = await db.shards.list();
  await db.close();
  db = space.adopt(await open(location, { ...text, readOnly: true }));
  const after = await db.shards.list();
  for (const [i, shard] of after.entries()) {
    assert.deepEqual([shard.created, shard.lastAccess], [before[i]?.created, before[i]?.lastAccess]);
    assert.equal(shard.writes, 0);
  }
});

test('temperature follows the ages that open was given', async () => {
  const location = space.folder();
  const db = space.adopt(await open(location, { ...text, shards: 1 }));
  await db.put('a', 'x');
  await db.close();
  const temperature = async (ages: { hot: number; warm: number; cold: number }) => {
    const again = await open(location, { temperature: ages, readOnly: true });
    const [shard] = await again.shards.list();
    await again.close();
    return shard?.temperature;
  };
  const day = 24 * 3600 * 1000;
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await temperature({ hot: day, warm: day, cold: day }), 'hot');
  assert.equal(await temperature({ hot: 0, warm: day, cold: day }), 'warm');
  assert.equal(await temperature({ hot: 0, warm: 0, cold: day }), 'cold');
  assert.equal(await temperature({ hot: 0, warm: 0, cold: 0 }), 'frozen');
  await rejects(() => temperature({ hot: 2, warm: 1, cold: 3 }), 'ERR_INVALID_ARGUMENT', /ascending/);
  await rejects(() => temperature({ hot: -1, warm: 1, cold: 3 }), 'ERR_INVALID_ARGUMENT', /temperature.hot/);
});

test('rangeBySlots gives exactly the keys of the slots, in key order, both ways', async () => {
  const db = await filled(6);
  await db.delete(names[10] as string);
  const left = names.filter((_, i) => i !== 10).sort();
  for (const [from, to] of [
    [0, 16_383],
    [0, 0],
    [100, 5000],
    [2730, 2731],
    [8192, 16_383],
    [16_383, 16_383],
  ] as [number, number][]) {
    const expected = left.filter((name) => slotOf(name) >= from && slotOf(name) <= to);
    for (const reverse of [false, true]) {
      const seen: string[] = [];
      for await (const [key, value] of db.shards.rangeBySlots(from, to, { reverse })) {
        assert.equal(value, `value of ${key}`);
        seen.push(key);
      }
      assert.deepEqual(seen, reverse ? [...expected].reverse() : expected, `${from} to ${to}`);
    }
  }
});

test('rangeBySlots takes ranges, limits, seeks and snapshots', async () => {
  const db = await filled(3);
  const mine = names.filter((name) => slotOf(name) < 9000).sort();
  const range = { gte: 'user/2', lt: 'user/4' };
  const inRange = mine.filter((name) => name >= 'user/2' && name < 'user/4');
  const keysOf = (rows: [string, string][]) => rows.map(([key]) => key);
  assert.deepEqual(keysOf(await db.shards.rangeBySlots(0, 8999, range).nextMany(9999)), inRange);
  const limited = db.shards.rangeBySlots(0, 8999, { ...range, limit: 5 });
  assert.deepEqual(keysOf(await limited.nextMany(100)), inRange.slice(0, 5));
  const seeking = db.shards.rangeBySlots(0, 8999);
  seeking.seek('user/3');
  assert.deepEqual(keysOf(await seeking.nextMany(3)), mine.filter((name) => name >= 'user/3').slice(0, 3));
  await seeking.close();
  const snapshot = await db.snapshot();
  await db.deleteRange({});
  assert.deepEqual(keysOf(await db.shards.rangeBySlots(0, 8999, { snapshot }).nextMany(9999)), mine);
  assert.equal(await db.shards.rangeBySlots(0, 16_383).next(), undefined);
  await snapshot.close();
});

test('rangeBySlots reads only the shards that own some of the slots', async () => {
  const db = await filled(4);
  const before = await db.shards.list();
  await db.shards.rangeBySlots(4096, 8191).nextMany(9999);
  const read = (await db.shards.list()).map(({ reads }, i) => reads - (before[i]?.reads ?? 0));
  assert.deepEqual([read[0], read[2], read[3]], [0, 0, 0]);
  assert.equal(read[1], before[1]?.writes);
});

test('wrong slots are refused, and a closed database answers nothing', async () => {
  const db = space.adopt(await open(space.folder(), text));
  for (const [from, to] of [
    [-1, 5],
    [0, 16_384],
    [1.5, 2],
    ['0', 5],
    [undefined, 5],
    [6, 5],
  ] as [number, number][]) {
    throws(() => db.shards.rangeBySlots(from, to), 'ERR_INVALID_ARGUMENT', /slot/);
  }
  throws(() => db.shards.rangeBySlots(0, 5, { revers: true } as never), 'ERR_INVALID_ARGUMENT');
  throws(() => db.shards.slotOf(5 as never), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.of(5 as never), 'ERR_INVALID_ARGUMENT');
  await db.close();
  await rejects(db.shards.list(), 'ERR_CLOSED');
  await rejects(db.shards.get(0), 'ERR_CLOSED');
  throws(() => db.shards.slotOf('a'), 'ERR_CLOSED');
  throws(() => db.shards.rangeBySlots(0, 1), 'ERR_CLOSED');
});

test.run();
