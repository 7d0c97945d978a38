// beginBatch(): building, committing and giving up a batch; its limits, and what it refuses once it has ended.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type BatchOptions, open } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { expire } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('batch: steps');
const space = new Workspace();
test.after(() => space.clean());

const all = (db: TextDatabase) => db.iterator().nextMany(10_000);

test('nothing is written before commit, and everything with it', async () => {
  const db = await space.open({ shards: 8 });
  await db.batch([
    { type: 'put', key: 'gone', value: '1' },
    { type: 'put', key: 'range/1', value: '1' },
    { type: 'put', key: 'range/2', value: '1' },
  ]);
  const batch = db.beginBatch();
  batch
    .put('a', '1')
    .put('b', '2')
    .delete('gone')
    .deleteRange({ prefix: 'range/' })
    .put('range/new', '3')
    .put('short', '4', { ttl: 1 })
    .put('long', '5', { ttl: 3_600_000 });
  await db.put('other', 'x');
  assert.deepEqual(await db.getMany(['a', 'gone', 'range/1', 'range/new']), [undefined, '1', '1', undefined]);
  await batch.commit();
  await expire(1);
  assert.deepEqual(await all(db), [
    ['a', '1'],
    ['b', '2'],
    ['long', '5'],
    ['other', 'x'],
    ['range/new', '3'],
  ]);
});

test('operations take effect in the order they were added', async () => {
  const db = await space.open({ shards: 8 });
  await db.put('k5', 'old');
  await db
    .beginBatch()
    .put('k1', 'first')
    .put('k1', 'second')
    .put('k2', 'first')
    .delete('k2')
    .delete('k3')
    .put('k3', 'second')
    .put('k4', 'first')
    .deleteRange({ gte: 'k4', lte: 'k5' })
    .put('k6', 'first')
    .deleteRange({ gte: 'k6' })
    .put('k6', 'last')
    .deleteRange({ gt: 'k6', lt: 'k6' })
    .commit();
  assert.deepEqual(await all(db), [
    ['k1', 'second'],
    ['k3', 'second'],
    ['k6', 'last'],
  ]);
});

test('keys and values are copied when they are added', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'buffer' }));
  const key = Buffer.from('key 0');
  const value = Buffer.alloc(100);
  const batch = db.beginBatch();
  for (let i = 0; i < 10; i++) {
    key[4] = 0x30 + i;
    value.fill(i);
    batch.put(key, value);
  }
  key.fill(0);
  value.fill(0xff);
  await batch.commit();
  for (let i = 0; i < 10; i++) assert.deepEqual(await db.get(Buffer.from(`key ${i}`)), Buffer.alloc(100, i));
  assert.equal(await db.get(key), undefined);
});

test('length counts operations and bytes their packed size, until the batch ends', async () => {
  const db = await space.open();
  const batch = db.beginBatch();
  assert.deepEqual([batch.length, batch.bytes], [0, 0]);
  const steps = [
    () => batch.put('a', 'x'.repeat(1000)),
    () => batch.delete('a'),
    () => batch.deleteRange({ prefix: 'b' }),
    () => batch.put('c', ''),
  ];
  let bytes = 0;
  for (const [i, step] of steps.entries()) {
    step();
    assert.equal(batch.length, i + 1);
    assert.ok(batch.bytes > bytes + (i === 0 ? 1000 : 0) && batch.bytes < bytes + 1040, `${bytes} to ${batch.bytes}`);
    bytes = batch.bytes;
  }
  const committing = batch.commit();
  assert.deepEqual([batch.length, batch.bytes], [0, 0]);
  await committing;
  const given = db.beginBatch().put('a', '1');
  given.rollback();
  assert.deepEqual([given.length, given.bytes], [0, 0]);
});

test('any capacity serves, as it is only where the batch starts', async () => {
  const db = await space.open();
  for (const capacity of [0, 1, 64, 100_000, '1MB', '0.5 KiB']) {
    const batch = db.beginBatch({ capacity });
    for (let i = 0; i < 300; i++) batch.put(`${capacity}/${i}`, 'x'.repeat(i));
    await batch.commit();
    const values = await db.values({ prefix: `${capacity}/` }).nextMany(1000);
    assert.equal(values.length, 300);
    assert.deepEqual(
      values.map(({ length }) => length).sort((a, b) => a - b),
      Array.from({ length: 300 }, (_, i) => i),
    );
  }
});

test('maxBytes refuses what would exceed it and leaves the batch as it was', async () => {
  const db = await space.open();
  const batch = db.beginBatch({ maxBytes: 1000 });
  let added = 0;
  const error = throws(
    () => {
      for (;;) {
        batch.put(`k${added}`, 'x'.repeat(94));
        added++;
      }
    },
    'ERR_INVALID_ARGUMENT',
    /maxBytes of 1000/,
  );
  assert.ok(error.message.includes('commit in parts'));
  assert.ok(added >= 8 && added <= 10, `${added}`); // some bytes of room are left
  const { length, bytes } = batch;
  assert.equal(length, added);
  assert.ok(bytes <= 1000);
  throws(() => batch.put('big', 'x'.repeat(5000)), 'ERR_INVALID_ARGUMENT');
  throws(() => batch.delete('k'.repeat(1000)), 'ERR_INVALID_ARGUMENT');
  throws(() => batch.deleteRange({ gte: 'k'.repeat(1000) }), 'ERR_INVALID_ARGUMENT');
  assert.deepEqual([batch.length, batch.bytes], [length, bytes]);
  batch.delete('k0');
  await batch.commit();
  const keys = await db.keys().nextMany(100);
  assert.deepEqual(keys, Array.from({ length: added - 1 }, (_, i) => `k${i + 1}`).sort());
});

test('a refused operation leaves no trace, whatever was wrong with it', async () => {
  const db = await space.open();
  const batch = db.beginBatch().put('a', '1');
  const { length, bytes } = batch;
  const wrong: (() => unknown)[] = [
    () => batch.put(7 as never, 'v'),
    () => batch.put('k', 7 as never),
    () => batch.put('\ud800', 'v'),
    () => batch.put('k', 'long enough to be written first \udfff'),
    () => batch.put('k'.repeat(70_000), 'v'),
    () => batch.put('k', 'v', { ttl: 0 }),
    () => batch.put('k', 'v', { ttl: Number.NaN }),
    () => batch.put('k', 'v', { tll: 5 } as never),
    () => batch.put('k', 'v', null as never),
    () => batch.delete(undefined as never),
    () => batch.delete('\udc00'),
    () => batch.deleteRange(undefined as never),
    () => batch.deleteRange({ form: 'a' } as never),
    () => batch.deleteRange({ gte: 7 as never }),
  ];
  for (const call of wrong) {
    throws(call, 'ERR_INVALID_ARGUMENT');
    assert.deepEqual([batch.length, batch.bytes], [length, bytes], String(call));
  }
  await batch.put('b', '2').commit();
  assert.deepEqual(await all(db), [
    ['a', '1'],
    ['b', '2'],
  ]);
});

test('options that are wrong are refused at once', async () => {
  const db = await space.open();
  const wrong: unknown[] = [
    null,
    'capacity',
    { bogus: 1 },
    { capacity: -1 },
    { capacity: 'many' },
    { capacity: 1.5 },
    { capacity: '64GB' },
    { maxBytes: -1 },
    { maxBytes: '1XB' },
    { maxBytes: '64GB' },
    { durability: 'none' },
    { signal: {} },
  ];
  for (const options of wrong) throws(() => db.beginBatch(options as BatchOptions), 'ERR_INVALID_ARGUMENT');
  throws(() => db.beginBatch({ signal: AbortSignal.abort() }), 'ERR_ABORTED');
});

test('a batch that has ended refuses everything with ERR_CLOSED, however it ended', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const ended = [db.beginBatch().put('committed', '1'), db.beginBatch().put('given up', '1'), db.beginBatch()];
  const foreign = db.beginBatch().savepoint();
  await ended[0]?.commit();
  ended[1]?.rollback();
  await ended[2]?.commit();
  for (const batch of ended) {
    throws(() => batch.put('k', 'v'), 'ERR_CLOSED', /committed or rolled back/);
    throws(() => batch.delete('k'), 'ERR_CLOSED');
    throws(() => batch.deleteRange({ prefix: 'c' }), 'ERR_CLOSED');
    throws(() => batch.savepoint(), 'ERR_CLOSED');
    throws(() => batch.rollbackTo(foreign), 'ERR_CLOSED');
    await rejects(() => batch.commit(), 'ERR_CLOSED');
    batch.rollback(); // there is nothing to give up any more
    batch.rollback();
  }
  assert.deepEqual(await all(db), [['committed', '1']]);
});

test('commit works once, even while it is under way', async () => {
  const db = await space.open();
  const batch = db.beginBatch().put('a', '1');
  const first = batch.commit();
  await rejects(() => batch.commit(), 'ERR_CLOSED');
  throws(() => batch.put('b', '2'), 'ERR_CLOSED');
  await first;
  assert.deepEqual(await all(db), [['a', '1']]);
});

test('rollback writes nothing, and an empty commit neither', async () => {
  const db = await space.open();
  db.beginBatch().put('a', '1').delete('b').rollback();
  await db.beginBatch().commit();
  const undone = db.beginBatch();
  const start = undone.savepoint();
  await undone.put('a', '1').rollbackTo(start).commit();
  await db.put('k', 'v');
  assert.deepEqual(await all(db), [['k', 'v']]);
  assert.equal(db.stats().writes.commits, 1);
});

test('many batches may be built side by side, and are independent', async () => {
  const db = await space.open();
  const batches = Array.from({ length: 50 }, () => db.beginBatch({ capacity: 64 }));
  for (let i = 0; i < 100; i++) for (const [j, batch] of batches.entries()) batch.put(`${j}/${i}`, `${i * j}`);
  await Promise.all(batches.map((batch, j) => (j % 3 === 0 ? batch.rollback() : batch.commit())));
  for (const [j] of batches.entries()) {
    const found = await db.iterator({ prefix: `${j}/` }).nextMany(1000);
    assert.equal(found.length, j % 3 === 0 ? 0 : 100);
    for (const [key, value] of found) assert.equal(Number(value), Number(key.split('/')[1]) * j);
  }
});

test('a signal gives up waiting, and before the commit the batch itself', async () => {
  const db = await space.open();
  const controller = new AbortController();
  const early = db.beginBatch({ signal: controller.signal }).put('early', '1');
  controller.abort(new Error('enough'));
  const error = await rejects(() => early.commit(), 'ERR_ABORTED');
  assert.equal((error.cause as Error).message, 'enough');
  throws(() => early.put('k', 'v'), 'ERR_CLOSED');
  await db.put('k', 'v');
  assert.equal(await db.get('early'), undefined);

  const late = new AbortController();
  const waiting = db.beginBatch({ signal: late.signal }).put('late', '1').commit();
  late.abort();
  await rejects(waiting, 'ERR_ABORTED');
  await db.put('k', 'v'); // behind it
  assert.equal(await db.get('late'), '1');
});

test('a batch can be built but not committed once the database is closed, and on a read-only one', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const batch = db.beginBatch().put('late', '1');
  await db.close();
  batch.put('later', '2');
  await rejects(() => batch.commit(), 'ERR_CLOSED');
  throws(() => db.beginBatch(), 'ERR_CLOSED');
  const reader = await space.open({ readOnly: true }, location);
  await rejects(() => reader.beginBatch().put('k', 'v').commit(), 'ERR_READ_ONLY');
  assert.deepEqual(await all(reader), []);
});

test.run();
