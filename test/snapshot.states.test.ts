// Every public method of Snapshot: while it holds its moment, once it is closed, and what it does not see.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { open, Snapshot } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('snapshot: states');
const space = new Workspace();
test.after(() => space.clean());

const BEFORE: [string, string][] = [
  ['a', '1'],
  ['b', '2'],
  ['c', '3'],
];

async function fresh(): Promise<TextDatabase> {
  const db = await space.open({ shards: 3 });
  await db.putMany(BEFORE);
  return db;
}

/** One of each kind of write: a new record, an overwritten one, deletes by key and by range. */
async function change(db: TextDatabase): Promise<void> {
  await db.put('d', 'new');
  await db.batch([
    { type: 'put', key: 'a', value: 'changed' },
    { type: 'del', key: 'b' },
  ]);
  await db.deleteRange({ gte: 'c', lt: 'd' });
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of source) found.push(item);
  return found;
}

async function showsBefore(db: TextDatabase, snapshot: Snapshot<string, string>): Promise<void> {
  assert.deepEqual(await Promise.all(['a', 'b', 'c', 'd'].map((key) => snapshot.get(key))), ['1', '2', '3', undefined]);
  assert.deepEqual(await snapshot.getMany(['d', 'c', 'a', 'a']), [undefined, '3', '1', '1']);
  assert.deepEqual(await Promise.all(['b', 'd'].map((key) => snapshot.has(key))), [true, false]);
  assert.deepEqual(await all(snapshot.iterator()), BEFORE);
  assert.deepEqual(await all(snapshot.iterator({ reverse: true, lt: 'c', limit: 1 })), [['b', '2']]);
  assert.equal(await db.get('a', { snapshot }), '1');
  assert.deepEqual(await db.getMany(['b', 'd'], { snapshot }), ['2', undefined]);
  assert.equal(await db.has('d', { snapshot }), false);
  assert.deepEqual(await db.hasMany(['c', 'd'], { snapshot }), [true, false]);
  assert.deepEqual(await all(db.iterator({ snapshot })), BEFORE);
  assert.deepEqual(await all(db.keys({ snapshot, gt: 'a' })), ['b', 'c']);
  assert.deepEqual(await all(db.values({ snapshot, reverse: true })), ['3', '2', '1']);
}

test('every read sees the moment it was taken, through later writes, flush and compact', async () => {
  const db = await fresh();
  await db.getMany(['a', 'b', 'c', 'd']); // so that the hot cache knows them, absent ones too
  const snapshot = await db.snapshot();
  await showsBefore(db, snapshot);
  await change(db);
  await showsBefore(db, snapshot);
  await db.flush();
  await db.compact();
  await showsBefore(db, snapshot);
  assert.deepEqual(await all(db.iterator()), [['a', 'changed'], ['d', 'new']]); // biome-ignore format: one line
  await snapshot.close();
});

test('reading from a snapshot does not put old values in front of new ones', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  await change(db);
  await showsBefore(db, snapshot);
  assert.deepEqual(await db.getMany(['a', 'b', 'c', 'd']), ['changed', undefined, undefined, 'new']);
  assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => db.getSync(key)), ['changed', undefined, undefined, 'new']); // biome-ignore format: one line
  await snapshot.close();
});

test('snapshots of several moments live side by side', async () => {
  const db = await space.open();
  const snapshots: Snapshot<string, string>[] = [];
  for (let i = 0; i < 20; i++) {
    await db.put('counter', String(i));
    await db.put(`key${i}`, 'x');
    snapshots.push(await db.snapshot());
  }
  for (const [i, snapshot] of snapshots.entries()) {
    assert.equal(await snapshot.get('counter'), String(i));
    assert.equal((await all(snapshot.iterator({ prefix: 'key' }))).length, i + 1);
    await snapshot.close();
  }
});

test('a closed snapshot rejects with ERR_CLOSED, and may be closed again', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  await snapshot.close();
  await snapshot.close();
  await snapshot[Symbol.asyncDispose]();
  await rejects(() => snapshot.get('a'), 'ERR_CLOSED', /snapshot/);
  await rejects(() => snapshot.getMany(['a']), 'ERR_CLOSED', /snapshot/);
  await rejects(() => snapshot.has('a'), 'ERR_CLOSED', /snapshot/);
  throws(() => snapshot.iterator(), 'ERR_CLOSED', /snapshot/);
  await rejects(() => db.get('a', { snapshot }), 'ERR_CLOSED', /snapshot/);
  throws(() => db.keys({ snapshot }), 'ERR_CLOSED', /snapshot/);
  assert.equal(await db.get('a'), '1');
});

test('reads and iterators that have begun on a snapshot outlive its close', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  await change(db);
  const iterator = snapshot.iterator();
  const reading = snapshot.getMany(['a', 'b']);
  await snapshot.close();
  assert.deepEqual(await reading, ['1', '2']);
  assert.deepEqual(await all(iterator), BEFORE);
});

test('its reads reject with ERR_CLOSED once the database closes; closing it still works', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  const closing = db.close();
  for (let round = 0; round < 2; round++) {
    await rejects(() => snapshot.get('a'), 'ERR_CLOSED');
    await rejects(() => snapshot.getMany(['a']), 'ERR_CLOSED');
    await rejects(() => snapshot.has('a'), 'ERR_CLOSED');
    throws(() => snapshot.iterator(), 'ERR_CLOSED');
    await closing;
  }
  await snapshot.close();
});

test('it belongs to the database object that made it', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  const other = await space.open();
  const same = await space.open({}, db.location);
  for (const stranger of [other, same]) {
    await rejects(() => stranger.get('a', { snapshot }), 'ERR_INVALID_ARGUMENT', /another database/);
    throws(() => stranger.iterator({ snapshot }), 'ERR_INVALID_ARGUMENT', /another database/);
  }
  for (const wrong of [{}, 'snapshot', null, db]) {
    await rejects(() => db.get('a', { snapshot: wrong as never }), 'ERR_INVALID_ARGUMENT', /snapshot/);
    throws(() => db.values({ snapshot: wrong as never }), 'ERR_INVALID_ARGUMENT', /snapshot/);
  }
  await snapshot.close();
});

test('bad keys and options of its reads are refused as those of the database are', async () => {
  const db = await fresh();
  const snapshot = await db.snapshot();
  await rejects(() => snapshot.get(7 as never), 'ERR_INVALID_ARGUMENT', /keys are strings/);
  await rejects(() => snapshot.getMany('abc' as never), 'ERR_INVALID_ARGUMENT', /array/);
  throws(() => snapshot.iterator({ limt: 3 } as never), 'ERR_INVALID_ARGUMENT', /'limt'/);
  await snapshot.close();
});

test('snapshots are instances of the exported class', async () => {
  const db = space.adopt(await open(space.folder()));
  assert.ok((await db.snapshot()) instanceof Snapshot);
});

test.run();
