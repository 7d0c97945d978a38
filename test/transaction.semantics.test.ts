// transaction(): what it reads and writes, how it ends, and what it refuses.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { open, type Transaction } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { expire, settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('transaction: semantics');
const space = new Workspace();
test.after(() => space.clean());

const all = (db: TextDatabase) => db.iterator().nextMany(10_000);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

test('reads see the beginning of the transaction, whatever others write meanwhile', async () => {
  const db = await space.open({ shards: 4 });
  await db.putMany([
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
  ]);
  await db.transaction(async (tx) => {
    assert.equal(await tx.get('a'), '1');
    await db.batch([
      { type: 'put', key: 'a', value: '2' },
      { type: 'put', key: 'd', value: '2' },
      { type: 'del', key: 'b' },
    ]);
    await db.deleteRange({ prefix: 'c' });
    assert.deepEqual(await db.getMany(['a', 'b', 'c', 'd']), ['2', undefined, undefined, '2']);
    assert.deepEqual(await tx.getMany(['a', 'b', 'c', 'd']), ['1', '1', '1', undefined]);
    assert.deepEqual([await tx.has('b'), await tx.has('d')], [true, false]);
    assert.deepEqual(await collect(tx.iterator()), [
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
    ]);
  });
});

test('a transaction reads its own writes, the last of each key', async () => {
  const db = await space.open();
  await db.putMany([
    ['a', '1'],
    ['b', '1'],
  ]);
  await db.transaction(async (tx) => {
    tx.put('a', '2');
    tx.put('a', '3');
    tx.delete('b');
    tx.put('c', '2');
    tx.put('d', '2');
    tx.delete('d');
    tx.put('e', '', { ttl: 3_600_000 });
    assert.equal(await tx.get('a'), '3');
    assert.deepEqual(await tx.getMany(['e', 'd', 'c', 'b', 'a', 'a', 'f']), [
      '',
      undefined,
      '2',
      undefined,
      '3',
      '3',
      undefined,
    ]);
    assert.deepEqual(await Promise.all(['a', 'b', 'e', 'f'].map((key) => tx.has(key))), [true, false, true, false]);
    assert.deepEqual(await collect(tx.iterator()), [
      ['a', '3'],
      ['c', '2'],
      ['e', ''],
    ]);
    tx.put('b', 'back');
    assert.equal(await tx.get('b'), 'back');
  });
  assert.deepEqual(await db.getMany(['a', 'b', 'c', 'd', 'e']), ['3', 'back', '2', undefined, '']);
});

test('nobody sees anything of it before it has ended, and then everything', async () => {
  const db = await space.open({ shards: 8 });
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  await db.transaction(async (tx) => {
    for (const key of keys) tx.put(key, '1');
    await tx.get('unrelated');
    await settle();
    assert.deepEqual(await all(db), []);
    assert.equal(db.getSync('k1'), undefined);
  });
  assert.deepEqual(await db.getMany(keys), Array(20).fill('1'));
});

test('it resolves with what the function resolved with, which need not write or even be asynchronous', async () => {
  const db = await space.open();
  await db.put('k', 'v');
  assert.equal(await db.transaction(async (tx) => `${await tx.get('k')}!`), 'v!');
  assert.equal(await db.transaction(async () => undefined), undefined);
  const plain = ((tx: Transaction<string, string>) => {
    tx.put('k', 'w');
    return 7;
  }) as never;
  assert.equal(await db.transaction(plain), 7);
  assert.equal(await db.transaction(plain, { signal: new AbortController().signal }), 7);
  assert.equal(await db.get('k'), 'w');
});

test('a function that throws undoes everything, and its error comes through as it is', async () => {
  const db = await space.open();
  await db.put('k', 'v');
  const failures = [new TypeError('mine'), 'a string', undefined, null, 0];
  for (const failure of failures) {
    let runs = 0;
    const outcome = await db
      .transaction(async (tx) => {
        runs++;
        tx.put('k', 'changed');
        tx.delete('l');
        await tx.get('k');
        throw failure;
      })
      .then(
        () => ({ resolved: true }),
        (error: unknown) => ({ error }),
      );
    assert.deepEqual(outcome, { error: failure });
    assert.equal(runs, 1);
  }
  const sync = (() => {
    throw new RangeError('at once');
  }) as never;
  await assert.rejects(db.transaction(sync), new RangeError('at once'));
  await assert.rejects(db.transaction(sync, { signal: new AbortController().signal }), new RangeError('at once'));
  assert.deepEqual(await all(db), [['k', 'v']]);
  assert.equal(db.stats().writes.commits, 1);
});

test('keys and values are copied when they are put', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer' }));
  const key = Buffer.from('k0');
  const value = Buffer.from('v0');
  await db.transaction(async (tx) => {
    for (let i = 0; i < 5; i++) {
      key[1] = value[1] = 0x30 + i;
      tx.put(key, value);
    }
    value.fill(0);
    const read = (await tx.get(Buffer.from('k3'))) as Buffer;
    assert.deepEqual(read, Buffer.from('v3'));
    read.fill(0); // the caller's own
    assert.deepEqual(await tx.get(Buffer.from('k3')), Buffer.from('v3'));
    for await (const [ownKey, ownValue] of tx.iterator()) {
      ownKey.fill(0);
      ownValue.fill(0);
    }
    key.fill(0);
  });
  for (let i = 0; i < 5; i++) assert.deepEqual(await db.get(Buffer.from(`k${i}`)), Buffer.from(`v${i}`));
});

test('works in every encoding, with binary keys in bytewise order', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'json', shards: 4 }));
  const keys = [[], [0], [0, 0], [0x7f], [0x80], [0xff], [0xff, 0]].map((bytes) => Buffer.from(bytes));
  await db.transaction(async (tx) => {
    for (const [i, key] of keys.entries()) if (i % 2 === 0) tx.put(key, { i });
    assert.deepEqual(await tx.get(keys[2] as Buffer), { i: 2 });
  });
  await db.transaction(async (tx) => {
    for (const [i, key] of keys.entries()) if (i % 2 === 1) tx.put(key, { i });
    const found = await collect(tx.iterator());
    assert.deepEqual(found, keys.map((key, i) => [key, { i }])); // biome-ignore format: one line
    assert.deepEqual(await collect(tx.iterator({ reverse: true })), [...found].reverse());
  });
});

test('records that it puts may expire, and it sees expired ones as missing', async () => {
  const db = await space.open();
  await db.put('gone', '1', { ttl: 1 });
  await expire(1);
  await db.transaction(async (tx) => {
    assert.equal(await tx.get('gone'), undefined);
    assert.equal(await tx.has('gone'), false);
    assert.deepEqual(await collect(tx.iterator()), []);
    tx.put('short', '1', { ttl: 1 });
    tx.put('long', '1', { ttl: 3_600_000 });
  });
  await expire(1);
  assert.deepEqual(await all(db), [['long', '1']]);
});

test('what lives at its beginning lives for all of it, even if it expires meanwhile', async () => {
  const db = await space.open();
  const ttl = 200;
  let runs = 0;
  // On a machine so slow that it expires before the transaction begins, begin again.
  for (let alive = false; !alive; ) {
    const written = Date.now();
    await db.put('k', '1', { ttl });
    await db.transaction(async (tx) => {
      runs++;
      const first = await tx.get('k');
      if (first === undefined) return assert.ok(Date.now() - written >= ttl, 'missing before its time');
      alive = true;
      await expire(ttl);
      assert.equal(await db.get('k'), undefined);
      assert.equal(await tx.get('k'), '1');
      assert.equal((await collect(tx.iterator())).length, 1);
      tx.put('l', '1');
    });
  }
  assert.equal(await db.get('l'), '1');
  assert.ok(runs >= 1);
});

test('a transaction that has ended refuses everything', async () => {
  const db = await space.open();
  await db.putMany([
    ['a', '1'],
    ['b', '1'],
  ]);
  const kept: { tx: Transaction<string, string>; walk: ReturnType<Transaction<string, string>['iterator']> }[] = [];
  const keep = async (tx: Transaction<string, string>) => {
    const walk = tx.iterator();
    kept.push({ tx, walk });
    await walk.next();
  };
  await db.transaction(keep);
  await assert.rejects(
    db.transaction(async (tx) => {
      await keep(tx);
      throw new Error('mine');
    }),
    /mine/,
  );
  for (const { tx, walk } of kept) {
    await rejects(() => tx.get('a'), 'ERR_CLOSED', /ended/);
    await rejects(() => tx.getMany(['a']), 'ERR_CLOSED');
    await rejects(() => tx.has('a'), 'ERR_CLOSED');
    throws(() => tx.put('a', '2'), 'ERR_CLOSED');
    throws(() => tx.delete('a'), 'ERR_CLOSED');
    await rejects(() => tx.iterator().next(), 'ERR_CLOSED');
    await walk.return();
  }
  assert.deepEqual(await all(db), [
    ['a', '1'],
    ['b', '1'],
  ]);
});

test('arguments that are wrong are refused where they are given', async () => {
  const db = await space.open();
  for (const fn of [undefined, null, 'fn', {}]) {
    await rejects(() => db.transaction(fn as never), 'ERR_INVALID_ARGUMENT', /function/);
  }
  const nothing = async () => {};
  for (const options of [
    null,
    'x',
    [],
    { bogus: 1 },
    { retries: -1 },
    { retries: 1.5 },
    { retries: '3' },
    { ttl: 5 },
  ]) {
    await rejects(() => db.transaction(nothing, options as never), 'ERR_INVALID_ARGUMENT');
  }
  await db.transaction(async (tx) => {
    const wrong: (() => unknown)[] = [
      () => tx.put(7 as never, 'v'),
      () => tx.put('k', 7 as never),
      () => tx.put('\ud800', 'v'),
      () => tx.put('k', 'a\udfffb'),
      () => tx.put('k'.repeat(65_537), 'v'),
      () => tx.put('k', 'v', { ttl: 0 }),
      () => tx.put('k', 'v', { ttl: '5' } as never),
      () => tx.put('k', 'v', { tll: 5 } as never),
      () => tx.delete(null as never),
      () => tx.delete('\ud800'),
    ];
    for (const call of wrong) throws(call, 'ERR_INVALID_ARGUMENT');
    await rejects(() => tx.get(7 as never), 'ERR_INVALID_ARGUMENT');
    await rejects(() => tx.get('k'.repeat(65_537)), 'ERR_INVALID_ARGUMENT');
    await rejects(() => tx.has(undefined as never), 'ERR_INVALID_ARGUMENT');
    for (const keys of ['abc', null, { length: 1 }, [7]]) {
      await rejects(() => tx.getMany(keys as never), 'ERR_INVALID_ARGUMENT');
    }
    for (const range of [
      { form: 'a' },
      { limit: 1.5 },
      { limit: -2 },
      { limit: Number.NaN },
      { reverse: 1 },
      { gte: 7 },
    ]) {
      await rejects(() => tx.iterator(range as never).next(), 'ERR_INVALID_ARGUMENT');
    }
    // And again with writes of its own, which take another way.
    tx.put('own', 'v');
    for (const range of [
      { form: 'a' },
      { limit: 1.5 },
      { limit: -2 },
      { limit: Number.NaN },
      { reverse: 1 },
      { gte: 7 },
    ]) {
      await rejects(() => tx.iterator(range as never).next(), 'ERR_INVALID_ARGUMENT');
    }
    tx.delete('own');
  });
  assert.deepEqual(await all(db), []);
});

test('the longest key and a value of a megabyte go through a transaction', async () => {
  const db = await space.open();
  const key = 'k'.repeat(65_536);
  const value = 'v'.repeat(2 ** 20);
  await db.transaction(async (tx) => tx.put(key, value));
  assert.equal(await db.transaction((tx) => tx.get(key)), value);
  assert.equal(await db.transaction(async (tx) => (await collect(tx.iterator({ gte: key })))[0]?.[0]), key);
});

test('transactions of closed and of read-only databases are refused', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  await db.close();
  await rejects(() => db.transaction(async () => 1), 'ERR_CLOSED');
  const reader = await space.open({ readOnly: true }, location);
  await rejects(() => reader.transaction(async () => 1), 'ERR_READ_ONLY');
});

test('a database that closes while a transaction runs refuses its reads and its commit with ERR_CLOSED', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  await db.put('k', 'v');
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const seen: unknown[] = [];
  let begun: () => void = () => {};
  const running = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const transaction = db.transaction(async (tx) => {
    tx.put('k', 'changed');
    begun();
    await gate;
    seen.push(await tx.get('l').catch((error) => error.code));
    seen.push(
      await tx
        .iterator()
        .next()
        .catch((error) => error.code),
    );
  });
  await running;
  await db.close(); // does not wait for the function
  go();
  await rejects(transaction, 'ERR_CLOSED');
  assert.deepEqual(seen, ['ERR_CLOSED', 'ERR_CLOSED']);
  assert.deepEqual(await all(await space.open({}, location)), [['k', 'v']]);
});

test('two objects over one database share its transactions: the later commit of a conflict is refused', async () => {
  const location = space.folder();
  const one = await space.open({}, location);
  const other = await space.open({}, location);
  await one.put('n', '1');
  await rejects(
    one.transaction(
      async (tx) => {
        const n = await tx.get('n');
        await other.transaction(async (inner) => inner.put('n', '5'));
        tx.put('n', `${n}+`);
      },
      { retries: 0 },
    ),
    'ERR_CONFLICT',
  );
  assert.equal(await one.get('n'), '5');
});

test.run();
