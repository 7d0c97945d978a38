// Arguments of every wrong type, size and name: refused by a ThermoclineError that says what is wrong, before anything
// is done.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import type { BatchOperation, Database } from '../lib/index.ts';
import { open } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: arguments');
const space = new Workspace();
test.after(() => space.clean());

/** A database as plain JavaScript sees it. */
// biome-ignore lint/suspicious/noExplicitAny: what types forbid is what is tested here
type Untyped = any;
const INVALID = 'ERR_INVALID_ARGUMENT';

let db: TextDatabase;
let loose: Untyped;
const RECORDS: [string, string][] = [['a', '1'], ['b', '2']]; // biome-ignore format: one line
test.before(async () => {
  db = await space.open();
  loose = db;
});
test.before.each(async () => {
  await db.deleteRange({});
  await db.putMany(RECORDS);
});
/** A test whose calls are all refused, and so change nothing. */
function refusals(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    await body();
    assert.deepEqual(await db.iterator().nextMany(99), RECORDS, 'a refused call changed something');
  });
}

const NOT_TEXT = [
  undefined,
  null,
  0,
  1.5,
  true,
  10n,
  Symbol('k'),
  {},
  [],
  ['a'],
  () => 'a',
  new Date(),
  Buffer.from('a'),
];
const NOT_BYTES = [undefined, null, 7, true, 10n, 'text', {}, [1, 2], new ArrayBuffer(2), new Float64Array(1), new DataView(new ArrayBuffer(2))]; // biome-ignore format: one line

refusals('keys that are not strings are refused by every method', async () => {
  for (const key of NOT_TEXT) {
    const message = /keys are strings here, this one is/;
    await rejects(() => loose.get(key), INVALID, message);
    await rejects(() => loose.get(key, {}), INVALID, message);
    throws(() => loose.getSync(key), INVALID, message);
    await rejects(() => loose.getMany(['a', key]), INVALID, message);
    await rejects(() => loose.has(key), INVALID, message);
    await rejects(() => loose.hasMany([key]), INVALID, message);
    await rejects(() => loose.put(key, 'v'), INVALID, message);
    await rejects(() => loose.delete(key), INVALID, message);
    await rejects(() => loose.batch([{ type: 'put', key: 'c', value: 'v' }, { type: 'del', key }]), INVALID, message); // biome-ignore format: one line
    await rejects(() => loose.batch([{ type: 'put', key, value: 'v' }]), INVALID, message);
    await rejects(() => loose.putMany([[key, 'v']]), INVALID, message);
    throws(() => db.iterator().seek(key as string), INVALID, message);
  }
});

refusals('values that are not strings are refused by every method', async () => {
  for (const value of NOT_TEXT) {
    const message = /values are strings here, this one is/;
    await rejects(() => loose.put('a', value), INVALID, message);
    await rejects(() => loose.batch([{ type: 'del', key: 'a' }, { type: 'put', key: 'a', value }]), INVALID, message); // biome-ignore format: one line
    await rejects(() => loose.putMany([['a', value]]), INVALID, message);
  }
});

refusals('keys and values that are not bytes are refused where bytes are wanted', async () => {
  const binary: Database<Buffer, Buffer> = space.adopt(await open(space.folder(), { keyEncoding: 'buffer' }));
  const untyped: Untyped = binary;
  const bytes = Buffer.from('x');
  for (const wrong of NOT_BYTES) {
    await rejects(() => untyped.get(wrong), INVALID, /keys are Buffers/);
    throws(() => untyped.getSync(wrong), INVALID, /keys are Buffers/);
    await rejects(() => untyped.getMany([bytes, wrong]), INVALID, /keys are Buffers/);
    await rejects(() => untyped.put(wrong, bytes), INVALID, /keys are Buffers/);
    await rejects(() => untyped.delete(wrong), INVALID, /keys are Buffers/);
    await rejects(() => untyped.put(bytes, wrong), INVALID, /values are Buffers/);
    await rejects(() => untyped.putMany([[bytes, wrong]]), INVALID, /values are Buffers/);
    await rejects(() => untyped.batch([{ type: 'put', key: bytes, value: wrong }]), INVALID, /values are Buffers/);
  }
  assert.equal(await binary.keys().next(), undefined);
});

refusals('lists of keys are arrays', async () => {
  for (const keys of [undefined, null, 'abc', 5, {}, new Set(['a']), { length: 1, 0: 'a' }, { length: 70_000 }]) {
    await rejects(() => loose.getMany(keys), INVALID, /array/);
    await rejects(() => loose.hasMany(keys), INVALID, /array/);
  }
  const sparse: string[] = [];
  sparse[1] = 'a';
  await rejects(() => loose.getMany(sparse), INVALID, /keys are strings/);
});

refusals('options are objects with names that the method knows', async () => {
  const batch: BatchOperation<string, string>[] = [{ type: 'del', key: 'a' }];
  const calls: Record<string, (options: unknown) => Promise<unknown>> = {
    get: (options) => loose.get('a', options),
    getMany: (options) => loose.getMany(['a'], options),
    has: (options) => loose.has('a', options),
    hasMany: (options) => loose.hasMany(['a'], options),
    put: (options) => loose.put('a', 'x', options),
    delete: (options) => loose.delete('a', options),
    batch: (options) => loose.batch(batch, options),
    putMany: (options) => loose.putMany([['a', 'x']], options),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const options of [null, 5, 'snapshot', true, []]) {
      await rejects(() => call(options), INVALID, /options/);
    }
    await rejects(() => call({ nonsense: 1 }), INVALID, /'nonsense'/);
    await rejects(() => call({ Snapshot: undefined }), INVALID, /'Snapshot'/);
    if (name !== 'put') await rejects(() => call({ ttl: 1000 }), INVALID, /'ttl'/);
  }
  throws(() => loose.iterator({ limits: 1 }), INVALID, /'limits'.*known are/);
  throws(() => loose.keys({ start: 'a' }), INVALID, /'start'/);
  throws(() => loose.values({ snapShot: 1 }), INVALID, /'snapShot'/);
});

refusals('options of writes are checked', async () => {
  for (const durability of ['WAL', '', 'sync', 'none', 1, null, true]) {
    await rejects(() => loose.put('a', 'x', { durability }), INVALID, /durability/);
    await rejects(() => loose.delete('a', { durability }), INVALID, /durability/);
    await rejects(() => loose.batch([], { durability }), INVALID, /durability/);
    await rejects(() => loose.putMany([], { durability }), INVALID, /durability/);
  }
  for (const signal of ['abort', 1, null, {}, new AbortController()]) {
    await rejects(() => loose.put('a', 'x', { signal }), INVALID, /signal/);
    await rejects(() => loose.batch([], { signal }), INVALID, /signal/);
  }
});

refusals('ranges are objects with bounds that are keys', async () => {
  for (const range of [null, 'a', 5, ['a'], true]) {
    await rejects(() => loose.deleteRange(range), INVALID, /range/);
    await rejects(() => loose.compact(range), INVALID, /range/);
    await rejects(() => loose.approximateSize(range), INVALID, /range/);
    throws(() => loose.iterator(range), INVALID, /options/);
  }
  await rejects(() => loose.deleteRange(undefined), INVALID, /range/);
  for (const name of ['gt', 'gte', 'lt', 'lte', 'prefix']) {
    for (const bound of NOT_TEXT.slice(1)) {
      const range = { [name]: bound };
      await rejects(() => loose.deleteRange(range), INVALID, /keys are strings/);
      await rejects(() => loose.compact(range), INVALID, /keys are strings/);
      await rejects(() => loose.approximateSize(range), INVALID, /keys are strings/);
      throws(() => loose.iterator(range), INVALID, /keys are strings/);
    }
  }
  for (const name of ['start', 'end', 'limit', 'reverse', 'prefixes']) {
    await rejects(() => loose.deleteRange({ prefix: 'a', [name]: 'a' }), INVALID, new RegExp(`'${name}'`));
    await rejects(() => loose.compact({ [name]: 'a' }), INVALID, new RegExp(`'${name}'`));
    await rejects(() => loose.approximateSize({ [name]: 'a' }), INVALID, new RegExp(`'${name}'`));
  }
});

refusals('options of iterators are checked', async () => {
  for (const limit of [-2, 0.5, Number.NaN, Number.NEGATIVE_INFINITY, '5', null, {}, 5n]) {
    throws(() => loose.iterator({ limit }), INVALID, /limit/);
  }
  for (const flag of ['yes', 0, 1, null, {}]) {
    throws(() => loose.iterator({ reverse: flag }), INVALID, /reverse/);
    throws(() => loose.iterator({ fillCache: flag }), INVALID, /fillCache/);
  }
});

refusals('batches are arrays of operations', async () => {
  for (const operations of [undefined, null, 'put', {}, 5, new Map(), { length: 1, 0: { type: 'del', key: 'a' } }]) {
    await rejects(() => loose.batch(operations), INVALID, /array/);
  }
  const good = { type: 'del', key: 'a' };
  for (const wrong of [
    undefined,
    null,
    'del',
    5,
    [],
    {},
    { key: 'a' },
    { type: 'delete', key: 'a' },
    { type: 'PUT', key: 'a', value: '1' },
  ]) {
    await rejects(() => loose.batch([good, wrong]), INVALID, /operation 1 of the batch/);
  }
  await rejects(() => loose.batch([good, { type: 'del', key: 'a', value: '1' }]), INVALID, /'value'/);
  await rejects(() => loose.batch([good, { type: 'put', key: 'a', value: '1', expires: 5 }]), INVALID, /'expires'/);
  await rejects(() => loose.batch([good, { type: 'del', key: 'a', ttl: 5 }]), INVALID, /'ttl'/);
});

refusals('putMany takes pairs from something that can be iterated', async () => {
  for (const entries of [undefined, null, 'ab', 5, {}, () => []]) {
    await rejects(() => loose.putMany(entries), INVALID, /putMany takes/);
  }
  for (const entry of [undefined, null, 'ab', 5, {}, [], ['a'], ['a', '1', '2'], { 0: 'a', 1: 'b', length: 2 }]) {
    await rejects(() => loose.putMany([entry]), INVALID, /\[key, value\] pairs/);
  }
});

refusals('what the source of putMany throws comes out as it is, and the source is told to end', async () => {
  const failure = new Error('the source failed');
  let ended = 0;
  function* failing(): Generator<[string, string]> {
    yield ['a', '1'];
    throw failure;
  }
  async function* bad(): AsyncGenerator<[string, string]> {
    try {
      yield [5 as never, 'x'];
    } finally {
      ended++;
    }
  }
  await assert.rejects(db.putMany(failing()), failure);
  await rejects(() => db.putMany(bad()), INVALID, /keys are strings/);
  assert.equal(ended, 1);
});

refusals('an aborted signal rejects with ERR_ABORTED and keeps its reason', async () => {
  const reason = new Error('changed my mind');
  const signal = AbortSignal.abort(reason);
  const calls = [
    () => db.put('a', 'x', { signal }),
    () => db.delete('a', { signal }),
    () => db.batch([{ type: 'del', key: 'a' }], { signal }),
    () => db.putMany([['a', 'x']], { signal }),
  ];
  for (const call of calls) assert.equal((await rejects(call, 'ERR_ABORTED')).cause, reason);
});

refusals('a signal that aborts on the way rejects with ERR_ABORTED, and the database goes on', async () => {
  const other = await space.open();
  const controller = new AbortController();
  const put = other.put('late', 'x', { signal: controller.signal });
  controller.abort(new Error('on the way'));
  await rejects(put, 'ERR_ABORTED');

  const many = new AbortController();
  async function* source(): AsyncGenerator<[string, string]> {
    for (let i = 0; ; i++) {
      if (i === 5000) many.abort();
      yield [`k${i}`, 'x'.repeat(100)];
    }
  }
  const error = await rejects(() => other.putMany(source(), { signal: many.signal }), 'ERR_ABORTED');
  assert.equal((error.cause as Error).name, 'AbortError');
  await other.put('after', 'y', { signal: new AbortController().signal });
  assert.equal(await other.get('after'), 'y');
});

refusals('getters and proxies are read once, and their failures come out as they are', async () => {
  const failure = new Error('from a getter');
  const throwing = {
    get type(): string {
      throw failure;
    },
  };
  await assert.rejects(loose.batch([throwing]), failure);
  let reads = 0;
  const fickle = {
    type: 'put',
    key: 'a',
    get value() {
      return ++reads === 1 ? '1' : 'another';
    },
  };
  await loose.batch([fickle]);
  assert.equal(await db.get('a'), '1', inspect({ reads }));
});

test.run();
