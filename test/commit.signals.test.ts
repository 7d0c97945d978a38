// AbortSignal on every kind of write: giving up waiting, refusing at once, and leaving nothing on the signal.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite } from 'uvu';
import { rejects } from './helpers/expect.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('commit: signals');
const space = new Workspace();
test.after(() => space.clean());

type Way = (db: TextDatabase, key: string, signal: AbortSignal) => Promise<unknown>;

const WAYS: Record<string, Way> = {
  put: (db, key, signal) => db.put(key, 'v', { signal }),
  'durable put': (db, key, signal) => db.put(key, 'v', { signal, durability: 'fsync' }),
  delete: (db, key, signal) => db.delete(key, { signal }),
  batch: (db, key, signal) => db.batch([{ type: 'put', key, value: 'v' }], { signal }),
  'conditional batch': (db, key, signal) =>
    db.batch([{ type: 'put', key, value: 'v', if: { absent: true } }], { signal }),
  beginBatch: async (db, key, signal) => db.beginBatch({ signal }).put(key, 'v').commit(),
  'commit, applied': async (db, key, signal) => db.commit([{ type: 'put', key, value: 'v' }], { signal }).applied,
  'commit, durable': async (db, key, signal) => db.commit([{ type: 'put', key, value: 'v' }], { signal }).durable,
  putIf: (db, key, signal) => db.putIf(key, 'v', { absent: true }, { signal }),
  deleteIf: (db, key, signal) => db.deleteIf(key, { equals: 'v' }, { signal }),
  transaction: (db, key, signal) => db.transaction(async (tx) => tx.put(key, 'v'), { signal }),
};

test('an abort rejects every pending write with ERR_ABORTED and the reason as its cause', async () => {
  const db = await space.open();
  for (const [name, write] of Object.entries(WAYS)) {
    const controller = new AbortController();
    const pending = write(db, name, controller.signal);
    const reason = new Error(`no more of ${name}`);
    controller.abort(reason);
    const error = await rejects(pending, 'ERR_ABORTED');
    assert.equal(error.cause, reason);
    await settle();
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0, name);
  }
  // Nothing is stuck behind what was given up.
  await db.put('after', 'v', { durability: 'fsync' });
  assert.equal(await db.get('after'), 'v');
});

test('a signal that is aborted already refuses every write, and nothing is written', async () => {
  const db = await space.open();
  for (const [name, write] of Object.entries(WAYS)) {
    await rejects((async () => write(db, name, AbortSignal.abort()))(), 'ERR_ABORTED');
  }
  await rejects(() => db.putMany([['k', 'v']], { signal: AbortSignal.abort() }), 'ERR_ABORTED');
  await db.put('after', 'v');
  assert.deepEqual(await db.keys().nextMany(10), ['after']);
});

test('an abort after the write is done changes nothing, and nothing listens any more', async () => {
  const db = await space.open();
  for (const [name, write] of Object.entries(WAYS)) {
    const controller = new AbortController();
    await write(db, name, controller.signal);
    await db.put('behind', 'v', { durability: 'fsync' }); // the second promise of a commit has ended by then
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0, name);
    controller.abort();
  }
  assert.equal((await db.keys().nextMany(20)).length, Object.keys(WAYS).length - 1);
});

test('a timeout is a signal like any other', async () => {
  const db = await space.open({ group: { window: 1000, floor: '1MB', ceiling: '1MB' } });
  // The committer waits for company a second long, so the write is pending when the signal comes.
  const error = await rejects(() => db.put('k', 'v', { signal: AbortSignal.timeout(20) }), 'ERR_ABORTED');
  assert.equal((error.cause as Error).name, 'TimeoutError');
  await db.put('after', 'v');
  assert.equal(await db.get('k'), 'v', 'it had been sent');
});

test('hundreds of writes may share a signal: all of them end with it, and no warning is printed', async () => {
  const db = await space.open();
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on('warning', listener);
  const controller = new AbortController();
  const { signal } = controller;
  await Promise.all(Array.from({ length: 300 }, (_, i) => db.put(`k${i}`, 'v', { signal })));
  await Promise.all(Array.from({ length: 300 }, (_, i) => db.batch([{ type: 'del', key: `k${i}` }], { signal })));
  await settle();
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const pending = Array.from({ length: 300 }, (_, i) => db.transaction(async (tx) => tx.put(`k${i}`, 'v'), { signal }));
  controller.abort();
  for (const outcome of await Promise.allSettled(pending)) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'ERR_ABORTED');
  }
  await settle();
  process.off('warning', listener);
  assert.deepEqual(warnings, []);
});

test.run();
