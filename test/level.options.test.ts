// What ThermoclineLevel adds to abstract-level: options that reach the engine, and the database beneath.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { ThermoclineLevel } from '../lib/level/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('level: options');
const space = new Workspace();
test.after(() => space.clean());

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('the manifest names what is supported', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder()));
  const supports = db.supports as typeof db.supports & { getSync?: boolean };
  const { getSync, has, seek, implicitSnapshots, explicitSnapshots, createIfMissing, errorIfExists, signals } =
    supports;
  assert.deepEqual(
    { getSync, has, seek, implicitSnapshots, explicitSnapshots, createIfMissing, errorIfExists, signals },
    {
      getSync: true,
      has: true,
      seek: true,
      implicitSnapshots: true,
      explicitSnapshots: true,
      createIfMissing: true,
      errorIfExists: true,
      signals: { iterators: true },
    },
  );
  for (const name of ['buffer', 'utf8', 'view', 'json', 'hex', 'base64']) assert.ok(supports.encodings[name], name);
});

test('options of the constructor and of open reach the engine, by classic-level names too', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder(), { shards: 7, cacheSize: 5_000_000, blockSize: 4096 }));
  await db.open();
  assert.equal((await db.database.shards.list()).length, 7);
  assert.equal(db.database.stats().memory.blockCacheCapacityBytes, 5_000_000);
  const wrong = new ThermoclineLevel(space.folder(), { memory: { hotCashe: 1 } as never });
  await assert.rejects(wrong.open(), (error: Error & { cause?: { code: string; message: string } }) => {
    return error.cause?.code === 'ERR_INVALID_ARGUMENT' && /hotCashe/.test(error.cause.message);
  });
});

test('ttl lets entries expire, by put, batch, chained batch and sublevel', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder()));
  const sub = db.sublevel('sub');
  await db.put('put', '1', { ttl: 1 });
  await db.batch([{ type: 'put', key: 'batch', value: '1', ttl: 1 }, { type: 'put', key: 'stays', value: '1' }]); // biome-ignore format: one line
  await db.batch([{ type: 'put', key: 'all', value: '1' }], { ttl: 1 });
  await db.batch().put('chained', '1', { ttl: 1 } as never).write(); // biome-ignore format: one line
  await sub.put('sub', '1', { ttl: 1 } as never);
  await later(20);
  assert.deepEqual(await db.keys().all(), ['stays']);
  await rejects(() => db.put('k', 'v', { ttl: 0 }), 'ERR_INVALID_ARGUMENT', /ttl/);
});

test('sync asks for an fsync, and a database without a log refuses it', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder()));
  await db.open();
  const fsyncs = () => db.database.stats().writes.fsyncs;
  await db.put('k', 'v');
  assert.equal(fsyncs(), 0);
  await db.put('k', 'v', { sync: true });
  assert.equal(fsyncs(), 1);
  await db.batch().put('k', 'w').write({ sync: true });
  assert.equal(fsyncs(), 2);
  await db.batch([{ type: 'del', key: 'k' }], { durability: 'fsync' });
  assert.equal(fsyncs(), 3);
  const unlogged = space.adopt(new ThermoclineLevel(space.folder(), { durability: 'none' }));
  await rejects(() => unlogged.put('k', 'v', { sync: true }), 'ERR_INVALID_ARGUMENT', /no log/);
});

test('getSync reads as of a snapshot, values of every size', async () => {
  const db = space.adopt(new ThermoclineLevel<string, Buffer>(space.folder(), { valueEncoding: 'buffer' }));
  const values = [0, 1, 4095, 4096, 4097, 70_000, 1_000_000].map((size) => Buffer.alloc(size, 'x'));
  await db.batch(values.map((value) => ({ type: 'put', key: `k${value.length}`, value })));
  const snapshot = db.snapshot();
  await db.clear();
  for (const value of values) {
    assert.ok(value.equals(db.getSync(`k${value.length}`, { snapshot }) as Buffer));
    assert.equal(db.getSync(`k${value.length}`), undefined);
  }
  const other = space.adopt(new ThermoclineLevel(space.folder()));
  await other.open();
  assert.throws(() => other.getSync('k0', { snapshot }), { code: 'ERR_INVALID_ARGUMENT' });
  await snapshot.close();
});

test("what is written here is read by Thermocline's own open, and shared with it while open", async () => {
  const location = space.folder();
  const level = space.adopt(new ThermoclineLevel<string, object>(location, { valueEncoding: 'json' }));
  await level.put('clé', { a: 1 });
  const db = space.adopt(await open(location, { valueEncoding: 'json' }));
  assert.deepEqual(await db.get('clé'), { a: 1 });
  await db.put('b', { b: 2 });
  assert.deepEqual(await level.get('b'), { b: 2 });
  await level.database.transaction(async (tx) => tx.put(Buffer.from('t'), Buffer.from('3')));
  assert.equal(await level.get('t'), 3);
});

test('compactRange and approximateSize take keys of any encoding, and wait for opening', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder(), { memory: { writeBuffer: '1MB' } }));
  const size = db.approximateSize('a', 'z');
  assert.equal(await size, 0);
  await db.batch(Array.from({ length: 2000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: `${i}`.repeat(200) })));
  await db.compactRange('a', 'z');
  await db.database.flush();
  assert.ok((await db.approximateSize('k', 'l')) > 10_000);
  assert.ok((await db.approximateSize('6b', '6c', { keyEncoding: 'hex' })) > 10_000);
  assert.equal(await db.approximateSize('x', 'y'), 0);
});

test('close ends pending reads in order and a closed database says so', async () => {
  const db = space.adopt(new ThermoclineLevel(space.folder()));
  await db.put('k', 'v');
  const reads = Promise.all([db.get('k'), db.getMany(['k', 'm']), db.put('l', 'w')]);
  await db.close();
  assert.deepEqual(await reads, ['v', ['v', undefined], undefined]);
  assert.throws(() => db.database, { code: 'ERR_CLOSED' });
  await assert.rejects(db.get('k'), { code: 'LEVEL_DATABASE_NOT_OPEN' });
  await db.open();
  assert.equal(await db.get('l'), 'w');
});

test.run();
