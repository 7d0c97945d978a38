// Every public method of Database in every state: open, closing, closed, and reopened in the same folder.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { type CommitHandle, Database, type Snapshot } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: states');
const space = new Workspace();
test.after(() => space.clean());

type Db = TextDatabase;
const RECORDS: [string, string][] = [
  ['a', '1'],
  ['b', '2'],
  ['c', '3'],
];

async function fresh(location = space.folder()): Promise<Db> {
  const db = await space.open({ shards: 2 }, location);
  await db.putMany(RECORDS);
  return db;
}

/** All records, by a way that does not share much with point reads. */
async function scan(db: Db): Promise<[string, string][]> {
  const records: [string, string][] = [];
  for await (const record of db.iterator()) records.push(record);
  return records;
}

interface Method {
  /** How the documentation names it. */
  name: string;
  /** Calls it. */
  call(db: Db): unknown;
  /** What it gives while open. */
  value?: unknown;
  /** What the database holds afterwards, if not RECORDS. */
  leaves?: [string, string][];
}

const promises: Method[] = [
  { name: 'get of a key', call: (db) => db.get('b'), value: '2' },
  { name: 'get of an absent key', call: (db) => db.get('x'), value: undefined },
  { name: 'getMany', call: (db) => db.getMany(['c', 'x', 'a']), value: ['3', undefined, '1'] },
  { name: 'getMany of nothing', call: (db) => db.getMany([]), value: [] },
  { name: 'has of a key', call: (db) => db.has('a'), value: true },
  { name: 'has of an absent key', call: (db) => db.has('x'), value: false },
  { name: 'hasMany', call: (db) => db.hasMany(['x', 'c']), value: [false, true] },
  { name: 'put', call: (db) => db.put('b', 'two'), leaves: [['a', '1'], ['b', 'two'], ['c', '3']] }, // biome-ignore format: one line each
  { name: 'delete', call: (db) => db.delete('b'), leaves: [['a', '1'], ['c', '3']] }, // biome-ignore format: one line each
  { name: 'delete of an absent key', call: (db) => db.delete('x') },
  {
    name: 'batch',
    call: (db) =>
      db.batch([
        { type: 'put', key: 'd', value: '4' },
        { type: 'del', key: 'a' },
      ]),
    leaves: [['b', '2'], ['c', '3'], ['d', '4']], // biome-ignore format: one line
  },
  { name: 'batch of nothing', call: (db) => db.batch([]) },
  { name: 'putMany', call: (db) => db.putMany([['a', 'A'], ['d', '4']]), value: 2, leaves: [['a', 'A'], ['b', '2'], ['c', '3'], ['d', '4']] }, // biome-ignore format: one line each
  { name: 'putMany of nothing', call: (db) => db.putMany([]), value: 0 },
  { name: 'deleteRange', call: (db) => db.deleteRange({ gt: 'a' }), leaves: [['a', '1']] },
  {
    name: 'putIf that holds',
    call: (db) => db.putIf('d', '4', { absent: true }),
    value: true,
    leaves: [...RECORDS, ['d', '4']],
  },
  { name: 'putIf that does not hold', call: (db) => db.putIf('a', '4', { absent: true }), value: false },
  {
    name: 'deleteIf that holds',
    call: (db) => db.deleteIf('c', { equals: '3' }),
    value: true,
    leaves: RECORDS.slice(0, 2),
  },
  { name: 'deleteIf that does not hold', call: (db) => db.deleteIf('c', { equals: '4' }), value: false },
  {
    name: 'transaction',
    call: (db) =>
      db.transaction(async (tx) => {
        tx.put('d', `after ${await tx.get('c')}`);
        return 'its result';
      }),
    value: 'its result',
    leaves: [...RECORDS, ['d', 'after 3']],
  },
  { name: 'resume of what has not stopped', call: (db) => db.resume() },
  { name: 'flush', call: (db) => db.flush() },
  { name: 'compact', call: (db) => db.compact() },
  { name: 'compact of a range', call: (db) => db.compact({ gte: 'a', lt: 'c' }) },
];

for (const { name, call, value, leaves = RECORDS } of promises) {
  test(`${name} is right while open, rejects with ERR_CLOSED from close() on, and is right again once reopened`, async () => {
    const location = space.folder();
    const db = await fresh(location);
    assert.deepEqual(await call(db), value);
    assert.deepEqual(await scan(db), leaves);

    const closing = db.close();
    assert.equal(db.status, 'closing');
    await rejects(() => call(db) as Promise<unknown>, 'ERR_CLOSED', /closing/);
    await closing;
    assert.equal(db.status, 'closed');
    await rejects(() => call(db) as Promise<unknown>, 'ERR_CLOSED', /closed/);

    const again = await space.open({}, location);
    assert.deepEqual(await scan(again), leaves, 'what was there is there');
    await again.deleteRange({});
    await again.putMany(RECORDS);
    assert.deepEqual(await call(again), value);
    assert.deepEqual(await scan(again), leaves);
    await again.close();
  });
}

const sync: Method[] = [
  { name: 'getSync of a key', call: (db) => db.getSync('c'), value: '3' },
  { name: 'getSync of an absent key', call: (db) => db.getSync('x'), value: undefined },
  { name: 'stats', call: (db) => db.stats().shards, value: 2 },
  { name: 'iterator', call: (db) => db.iterator(), value: RECORDS },
  { name: 'iterator of a range', call: (db) => db.iterator({ gt: 'a', limit: 1 }), value: [['b', '2']] },
  { name: 'createReadStream', call: (db) => db.createReadStream({ lt: 'c' }), value: RECORDS.slice(0, 2) },
  { name: 'createWriteStream', call: (db) => db.createWriteStream().writable, value: true },
  { name: 'beginBatch', call: (db) => db.beginBatch().put('d', '4').length, value: 1 },
  { name: 'commit', call: (db) => settled(db.commit([{ type: 'del', key: 'x' }])), value: [undefined, undefined] },
  { name: 'keys', call: (db) => db.keys(), value: ['a', 'b', 'c'] },
  { name: 'values', call: (db) => db.values(), value: ['1', '2', '3'] },
];

async function* settled({ applied, durable }: CommitHandle): AsyncGenerator<void> {
  yield await applied;
  yield await durable;
}

/** The value, or all that an iterator yields. */
async function settle(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  const all: unknown[] = [];
  for await (const item of value as AsyncIterable<unknown>) all.push(item);
  return all;
}

for (const { name, call, value } of sync) {
  test(`${name} is right while open, throws ERR_CLOSED from close() on, and is right again once reopened`, async () => {
    const location = space.folder();
    const db = await fresh(location);
    assert.deepEqual(await settle(call(db)), value);

    const closing = db.close();
    throws(() => call(db), 'ERR_CLOSED', /closing/);
    await closing;
    throws(() => call(db), 'ERR_CLOSED', /closed/);

    const again = await space.open({}, location);
    assert.deepEqual(await settle(call(again)), value);
    await again.close();
  });
}

test('approximateSize grows with what is stored, and rejects with ERR_CLOSED from close() on', async () => {
  const db = await space.open({ shards: 2 });
  assert.equal(await db.approximateSize(), 0);
  await db.putMany(Array.from({ length: 1000 }, (_, i) => [`key${i}`, 'x'.repeat(1000)]));
  await db.flush();
  const all = await db.approximateSize();
  // Values alone are 1,000,000 bytes; level 0 is not compressed.
  assert.ok(all > 900_000 && all < 3_000_000, `${all} bytes`);
  assert.equal(await db.approximateSize({ prefix: 'other' }), 0);
  const closing = db.close();
  await rejects(() => db.approximateSize(), 'ERR_CLOSED', /closing/);
  await closing;
  await rejects(() => db.approximateSize({ gte: 'a' }), 'ERR_CLOSED', /closed/);
});

test('snapshot holds its moment while open, and rejects with ERR_CLOSED from close() on', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  await db.put('a', 'later');
  assert.equal(await snapshot.get('a'), '1');
  assert.equal(await db.get('a'), 'later');
  const closing = db.close();
  await rejects(() => db.snapshot(), 'ERR_CLOSED', /closing/);
  await closing;
  await rejects(() => db.snapshot(), 'ERR_CLOSED', /closed/);
});

test('status goes from open over closing to closed, with one closed event', async () => {
  const db = await fresh();
  assert.equal(db.status, 'open');
  const events: string[] = [];
  db.on('closed', () => events.push(db.status));
  const closed = once(db, 'closed');
  const closing = db.close();
  assert.equal(db.status, 'closing');
  await Promise.all([closing, closed]);
  await db.close();
  assert.equal(db.status, 'closed');
  assert.deepEqual(events, ['closed']);
});

test('close may be called again in any state', async () => {
  const db = await fresh();
  await Promise.all([db.close(), db.close(), db[Symbol.asyncDispose]()]);
  await db.close();
  await db[Symbol.asyncDispose]();
  assert.equal(db.status, 'closed');
});

test('a closed listener that throws does not make close() reject', async () => {
  const db = await fresh();
  const uncaught = once(process, 'uncaughtException');
  db.on('closed', () => {
    throw new Error('thrown by a listener');
  });
  await db.close();
  assert.equal(db.status, 'closed');
  assert.equal(((await uncaught)[0] as Error).message, 'thrown by a listener');
});

test('asyncDispose closes', async () => {
  const location = space.folder();
  const db = await fresh(location);
  await db[Symbol.asyncDispose]();
  assert.equal(db.status, 'closed');
  await rejects(() => db.get('a'), 'ERR_CLOSED');
});

test('location is the absolute path in every state', async () => {
  const location = space.folder();
  const relative = path.relative(process.cwd(), location);
  const db = await space.open({}, relative);
  assert.ok(existsSync(location));
  assert.equal(db.location, location);
  const closing = db.close();
  assert.equal(db.location, location);
  await closing;
  assert.equal(db.location, location);
});

test('needsDrain is false in an idle database, and may be asked in every state', async () => {
  const db = await fresh();
  assert.equal(db.needsDrain, false);
  const closing = db.close();
  assert.equal(db.needsDrain, false);
  await closing;
  assert.equal(db.needsDrain, false);
});

test('a read on a snapshot rejects with ERR_CLOSED once its database is closed', async () => {
  const db = await fresh();
  const snapshot: Snapshot<string, string> = await db.snapshot();
  const closing = db.close();
  for (let round = 0; round < 2; round++) {
    await rejects(() => db.get('a', { snapshot }), 'ERR_CLOSED');
    await rejects(() => db.getMany(['a'], { snapshot }), 'ERR_CLOSED');
    await rejects(() => db.has('a', { snapshot }), 'ERR_CLOSED');
    await rejects(() => db.hasMany(['a'], { snapshot }), 'ERR_CLOSED');
    throws(() => db.iterator({ snapshot }), 'ERR_CLOSED');
    await closing;
  }
});

test('open gives instances of the exported class', async () => {
  assert.ok((await fresh()) instanceof Database);
});

test.run();
