// putIf, deleteIf and conditions in batches: when they hold, what an unmet one leaves, and what is refused.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type BatchOperation, type Condition, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { expire } from './helpers/pipeline/waiting.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('conditions: semantics');
const space = new Workspace();
test.after(() => space.clean());

type Operations = BatchOperation<string, string>[];

test('putIf absent writes where nothing is, and nowhere else', async () => {
  const db = await space.open();
  assert.equal(await db.putIf('k', '1', { absent: true }), true);
  assert.equal(await db.putIf('k', '2', { absent: true }), false);
  assert.equal(await db.get('k'), '1');
  await db.delete('k');
  assert.equal(await db.putIf('k', '3', { absent: true }), true);
  await db.deleteRange({ prefix: 'k' });
  assert.equal(await db.putIf('k', '4', { absent: true }), true);
  assert.equal(await db.get('k'), '4');
});

test('putIf equals writes where exactly that value is, and nowhere else', async () => {
  const db = await space.open();
  assert.equal(await db.putIf('k', '2', { equals: '1' }), false);
  assert.equal(await db.get('k'), undefined);
  await db.put('k', '1');
  for (const near of ['', '1 ', '11', '0', '\u0001']) assert.equal(await db.putIf('k', '2', { equals: near }), false);
  assert.equal(await db.get('k'), '1');
  assert.equal(await db.putIf('k', '2', { equals: '1' }), true);
  assert.equal(await db.get('k'), '2');
});

test('deleteIf deletes where exactly that value is, and nowhere else', async () => {
  const db = await space.open();
  assert.equal(await db.deleteIf('k', { equals: '1' }), false);
  await db.put('k', '1');
  assert.equal(await db.deleteIf('k', { equals: '2' }), false);
  assert.equal(await db.get('k'), '1');
  assert.equal(await db.deleteIf('k', { equals: '1' }), true);
  assert.equal(await db.get('k'), undefined);
});

test('an empty value is a value, and an empty key is a key', async () => {
  const db = await space.open();
  await db.put('', '');
  assert.equal(await db.putIf('', 'x', { absent: true }), false);
  assert.equal(await db.putIf('', 'x', { equals: '' }), true);
  assert.equal(await db.deleteIf('', { equals: '' }), false);
  assert.equal(await db.deleteIf('', { equals: 'x' }), true);
  assert.equal(await db.putIf('', '', { absent: true }), true);
});

test('values are compared as they are stored, in every encoding', async () => {
  const json = space.adopt(await open(space.folder(), { valueEncoding: 'json' }));
  await json.put('k', { a: 1, b: [2] });
  assert.equal(await json.putIf('k', 'other', { equals: { a: 1, b: [3] } }), false);
  assert.equal(await json.putIf('k', 'other', { equals: { a: 1, b: [2] } }), true);
  assert.equal(await json.deleteIf('k', { equals: 'other' }), true);
  await json.put('k', null);
  assert.equal(await json.putIf('k', 1, { absent: true }), false, 'null is a value');
  assert.equal(await json.putIf('k', 1, { equals: null }), true);

  const bytes = space.adopt(await open(space.folder(), { keyEncoding: 'buffer' }));
  const key = Buffer.from([0xff, 0, 0x80]);
  await bytes.put(key, Buffer.from([0, 1]));
  assert.equal(await bytes.putIf(key, Buffer.from([9]), { equals: Buffer.from([0, 1, 2]).subarray(0, 2) }), true);
  assert.deepEqual(await bytes.get(key), Buffer.from([9]));

  const codec = { encode: (value: number) => value.toFixed(2), decode: (stored: Buffer) => Number(stored.toString()) };
  const rounded = space.adopt(await open(space.folder(), { valueEncoding: codec }));
  await rounded.put('k', 1.001);
  assert.equal(await rounded.putIf('k', 2, { equals: 1.004 }), true, 'both are stored as 1.00');
});

test('an expired record is absent, and one that has not expired is there', async () => {
  const db = await space.open();
  await Promise.all([db.put('short', '1', { ttl: 1 }), db.put('long', '1', { ttl: 3_600_000 })]);
  await expire(1);
  assert.equal(await db.putIf('short', '2', { equals: '1' }), false);
  assert.equal(await db.deleteIf('short', { equals: '1' }), false);
  assert.equal(await db.putIf('short', '2', { absent: true }), true);
  assert.equal(await db.putIf('long', '2', { absent: true }), false);
  assert.equal(await db.putIf('long', '2', { equals: '1' }), true);
});

test('what putIf writes may expire', async () => {
  const db = await space.open();
  assert.equal(await db.putIf('lock', 'me', { absent: true }, { ttl: 1 }), true);
  await expire(1);
  assert.equal(await db.get('lock'), undefined);
  assert.equal(await db.putIf('lock', 'you', { absent: true }, { ttl: 3_600_000 }), true);
  assert.equal(await db.get('lock'), 'you');
});

test('a batch is written if all of its conditions hold', async () => {
  const db = await space.open({ shards: 8 });
  await db.batch([
    { type: 'put', key: 'there', value: '1' },
    { type: 'put', key: 'gone', value: '1' },
  ]);
  await db.batch([
    { type: 'put', key: 'new', value: '2', if: { absent: true } },
    { type: 'put', key: 'there', value: '2', if: { equals: '1' } },
    { type: 'del', key: 'gone', if: { equals: '1' } },
    { type: 'del', key: 'never', if: { absent: true } },
    { type: 'put', key: 'free', value: '2' },
    { type: 'put', key: 'short', value: '2', ttl: 1, if: { absent: true } },
  ]);
  await expire(1);
  assert.deepEqual(await db.iterator().nextMany(10), [
    ['free', '2'],
    ['new', '2'],
    ['there', '2'],
  ]);
});

test('one condition that does not hold keeps the whole batch from being written, wherever it stands', async () => {
  const db = await space.open({ shards: 8 });
  await db.put('there', '1');
  const unmet: Operations = [
    { type: 'put', key: 'there', value: 'x', if: { absent: true } },
    { type: 'put', key: 'there', value: 'x', if: { equals: '2' } },
    { type: 'put', key: 'missing "key"', value: 'x', if: { equals: '1' } },
    { type: 'del', key: 'there', if: { equals: '2' } },
    { type: 'del', key: 'there', if: { absent: true } },
  ];
  for (const wrong of unmet) {
    for (const at of [0, 1, 2]) {
      const operations: Operations = [
        { type: 'put', key: 'a', value: 'x' },
        { type: 'put', key: 'b', value: 'x', if: { absent: true } },
      ];
      operations.splice(at, 0, wrong);
      const error = await rejects(() => db.batch(operations), 'ERR_CONDITION', /nothing was written/);
      assert.ok(error.message.includes(JSON.stringify(wrong.key)), `${error.message} names no key`);
      assert.deepEqual(await db.iterator().nextMany(10), [['there', '1']]);
    }
  }
  assert.equal(db.stats().writes.commits, 1);
});

test('the message of an unmet condition shows binary keys in hexadecimal', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer' }));
  const operation = {
    type: 'put',
    key: Buffer.from([0, 255]),
    value: Buffer.alloc(1),
    if: { equals: Buffer.alloc(1) },
  };
  await rejects(() => db.batch([operation as never]), 'ERR_CONDITION', /0x00ff/);
});

test('conditions are about the time before the batch, not about its own operations', async () => {
  const db = await space.open();
  await db.batch([
    { type: 'put', key: 'k', value: '1' },
    { type: 'put', key: 'k', value: '2', if: { absent: true } },
    { type: 'put', key: 'k', value: '3', if: { absent: true } },
  ]);
  assert.equal(await db.get('k'), '3');
  await rejects(
    db.batch([
      { type: 'put', key: 'k', value: '4' },
      { type: 'put', key: 'k', value: '5', if: { equals: '4' } },
    ]),
    'ERR_CONDITION',
  );
  assert.equal(await db.get('k'), '3');
});

test('a condition sees the writes before it in its turn, and none of those after it', async () => {
  const db = await space.open();
  const before = db.put('k', '1');
  const outcome = db.putIf('k', '2', { equals: '1' });
  const absent = db.putIf('l', '2', { absent: true });
  assert.deepEqual(await Promise.all([outcome, absent, before]), [true, true, undefined]);
  const removed = db.delete('k');
  const again = db.putIf('k', '3', { absent: true });
  assert.deepEqual(await Promise.all([again, removed]), [true, undefined]);
});

test('conditions that are none are refused before anything is read or written', async () => {
  const db = await space.open();
  await db.put('k', '1');
  const wrong: unknown[] = [
    null,
    true,
    'absent',
    {},
    { absent: false },
    { absent: 1 },
    { absent: true, equals: '1' },
    { equals: 7 },
    { equals: undefined },
    { equals: '\ud800' },
    { equal: '1' },
    [],
    () => true,
  ];
  for (const condition of [undefined, ...wrong]) {
    const given = condition as Condition<string>;
    await rejects(() => db.putIf('k', '2', given), 'ERR_INVALID_ARGUMENT');
    await rejects(() => db.putIf('missing', '2', given), 'ERR_INVALID_ARGUMENT');
    await rejects(() => db.deleteIf('k', given as { equals: string }), 'ERR_INVALID_ARGUMENT');
  }
  for (const condition of wrong) {
    const given = condition as Condition<string>;
    await rejects(() => db.batch([{ type: 'put', key: 'k', value: '2', if: given }]), 'ERR_INVALID_ARGUMENT');
    await rejects(() => db.batch([{ type: 'del', key: 'missing', if: given }]), 'ERR_INVALID_ARGUMENT');
  }
  await rejects(() => db.deleteIf('k', { absent: true } as never), 'ERR_INVALID_ARGUMENT', /equals/);
  assert.deepEqual(await db.iterator().nextMany(10), [['k', '1']]);
});

test('other arguments that are wrong are refused as they are without a condition', async () => {
  const db = await space.open();
  const calls: (() => Promise<unknown>)[] = [
    () => db.putIf(7 as never, 'v', { absent: true }),
    () => db.putIf('k', 7 as never, { absent: true }),
    () => db.putIf('\ud800', 'v', { absent: true }),
    () => db.putIf('k', '\ud800', { absent: true }),
    () => db.putIf('k', 'v', { absent: true }, { ttl: 0 }),
    () => db.putIf('k', 'v', { absent: true }, { tll: 5 } as never),
    () => db.putIf('k', 'v', { absent: true }, null as never),
    () => db.deleteIf('k', { equals: 'v' }, { ttl: 5 } as never),
    () => db.batch([{ type: 'put', key: 'k', value: 'v', if: { absent: true } }, { type: 'move' } as never]),
    () => db.batch([{ type: 'put', key: 'k', value: 'v', if: { absent: true }, bogus: 1 } as never]),
  ];
  for (const call of calls) await rejects(call, 'ERR_INVALID_ARGUMENT');
  assert.equal(await db.get('k'), undefined);
});

test('an aborted signal gives up; closed and read-only databases refuse', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  await db.put('k', '1');
  const signal = AbortSignal.abort();
  await rejects(() => db.putIf('k', '2', { equals: '1' }, { signal }), 'ERR_ABORTED');
  await rejects(() => db.deleteIf('k', { equals: '1' }, { signal }), 'ERR_ABORTED');
  await rejects(() => db.batch([{ type: 'del', key: 'k', if: { equals: '1' } }], { signal }), 'ERR_ABORTED');
  assert.equal(await db.get('k'), '1');
  await db.close();
  await rejects(() => db.putIf('k', '2', { equals: '1' }), 'ERR_CLOSED');
  await rejects(() => db.deleteIf('k', { equals: '1' }), 'ERR_CLOSED');
  await rejects(() => db.batch([{ type: 'del', key: 'k', if: { equals: '1' } }]), 'ERR_CLOSED');
  const reader = await space.open({ readOnly: true }, location);
  await rejects(() => reader.putIf('k', '2', { equals: '1' }), 'ERR_READ_ONLY');
  await rejects(() => reader.deleteIf('k', { equals: '1' }), 'ERR_READ_ONLY');
});

test('closing while conditional writes are under way ends each of them, done or refused with ERR_CLOSED', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const writes = Array.from({ length: 200 }, (_, i) => db.putIf(`k${i}`, '1', { absent: true }));
  const outcomes = Promise.allSettled(writes);
  await db.close();
  const again = await space.open({}, location);
  for (const [i, outcome] of (await outcomes).entries()) {
    if (outcome.status === 'fulfilled') assert.equal(await again.get(`k${i}`), '1');
    else assert.equal(outcome.reason.code, 'ERR_CLOSED');
  }
});

test.run();
