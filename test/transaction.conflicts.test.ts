// Which writes by others conflict with which reads of a transaction: points, ranges and what never was there.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Transaction } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('transaction: conflicts');
const space = new Workspace();
test.after(() => space.clean());

type Tx = Transaction<string, string>;
type Read = (tx: Tx) => Promise<unknown>;
type Write = (db: TextDatabase) => Promise<unknown>;

async function walk(tx: Tx, range: Parameters<Tx['iterator']>[0], steps = Number.POSITIVE_INFINITY): Promise<void> {
  for await (const _ of tx.iterator(range)) if (--steps <= 0) break;
}

/** Stored before every case: 'there' and everything under 'r/'. */
async function prepare(db: TextDatabase): Promise<void> {
  await db.deleteRange({});
  await db.putMany([
    ['there', '1'],
    ['r/b', '1'],
    ['r/d', '1'],
    ['r/f', '1'],
  ]);
}

/** Runs the read, then the write of somebody else, then commits a write of its own. */
async function conflicts(db: TextDatabase, read: Read, write: Write): Promise<boolean> {
  await prepare(db);
  let wrote = false;
  const outcome = db.transaction(
    async (tx) => {
      await read(tx);
      if (!wrote) await write(db);
      wrote = true;
      tx.put('own', 'written');
    },
    { retries: 0 },
  );
  try {
    await outcome;
  } catch {
    await rejects(outcome, 'ERR_CONFLICT', /try it again/);
    assert.equal(await db.get('own'), undefined, 'a refused transaction wrote something');
    return true;
  }
  assert.equal(await db.get('own'), 'written');
  return false;
}

const writesOf = (key: string): Record<string, Write> => ({
  put: (db) => db.put(key, '2'),
  'put of the same value': (db) => db.put(key, '1'),
  'put with a ttl': (db) => db.put(key, '2', { ttl: 1 }),
  'durable put': (db) => db.put(key, '2', { durability: 'fsync' }),
  delete: (db) => db.delete(key),
  batch: (db) =>
    db.batch([
      { type: 'put', key: 'unrelated', value: '2' },
      { type: 'put', key, value: '2' },
    ]),
  'a batch that puts and deletes': (db) =>
    db.batch([
      { type: 'put', key, value: '2' },
      { type: 'del', key },
    ]),
  beginBatch: (db) => db.beginBatch().delete(key).commit(),
  commit: (db) => db.commit([{ type: 'put', key, value: '2' }]).applied,
  putMany: (db) => db.putMany([[key, '2']]),
  deleteRange: (db) => db.deleteRange({ gte: key, lte: key }),
  'deleteRange without an end': (db) => db.deleteRange({ gte: key }),
  'deleteRange in a batch': (db) => db.beginBatch().deleteRange({ lte: key }).commit(),
  transaction: (db) => db.transaction(async (tx) => tx.put(key, '2')),
});

const reads: Record<string, Read> = {
  'get of a key that is there': (tx) => tx.get('there'),
  'has of a key that is there': (tx) => tx.has('there'),
  'getMany with the key among others': (tx) => tx.getMany(['x', 'there', 'y']),
};

test('a point that was read conflicts with every way to write it', async () => {
  const db = await space.open({ shards: 4 });
  for (const [readName, read] of Object.entries(reads)) {
    for (const [writeName, write] of Object.entries(writesOf('there'))) {
      assert.equal(await conflicts(db, read, write), true, `${readName}, ${writeName}`);
    }
  }
});

test('a key that was read as missing conflicts when it is written', async () => {
  const db = await space.open({ shards: 4 });
  for (const read of [
    (tx: Tx) => tx.get('missing'),
    (tx: Tx) => tx.has('missing'),
    (tx: Tx) => tx.getMany(['missing']),
  ]) {
    for (const [name, write] of Object.entries(writesOf('missing'))) {
      assert.equal(await conflicts(db, read, write), true, name);
    }
  }
});

test('a range that was read conflicts with whatever is written in it, there before or not', async () => {
  const db = await space.open({ shards: 4 });
  const walks: Record<string, Read> = {
    prefix: (tx) => walk(tx, { prefix: 'r/' }),
    'bounds that include': (tx) => walk(tx, { gte: 'r/b', lte: 'r/f' }),
    'bounds that exclude': (tx) => walk(tx, { gt: 'r/a', lt: 'r/g' }),
    'no lower bound': (tx) => walk(tx, { lt: 'r/z' }),
    'no upper bound': (tx) => walk(tx, { gte: 'r/' }),
    everything: (tx) => walk(tx, {}),
    reverse: (tx) => walk(tx, { prefix: 'r/', reverse: true }),
    'under own writes': (tx) => {
      tx.put('r/c', 'own');
      tx.delete('r/d');
      return walk(tx, { prefix: 'r/' });
    },
  };
  for (const [readName, read] of Object.entries(walks)) {
    for (const key of ['r/b', 'r/c', 'r/f']) {
      for (const [writeName, write] of Object.entries(writesOf(key))) {
        assert.equal(await conflicts(db, read, write), true, `${readName}, ${writeName} of ${key}`);
      }
    }
  }
});

test('an empty range that was read conflicts with the first record in it (a phantom)', async () => {
  const db = await space.open({ shards: 4 });
  for (const [name, write] of Object.entries(writesOf('empty/x'))) {
    assert.equal(await conflicts(db, (tx) => walk(tx, { prefix: 'empty/' }), write), true, name);
  }
});

test('what lies outside of everything read conflicts with nothing', async () => {
  const db = await space.open({ shards: 4 });
  const others: Record<string, [Read, Write]> = {
    'another key': [(tx) => tx.get('there'), (db) => db.put('their', '2')],
    'a longer key': [(tx) => tx.get('there'), (db) => db.put('there ', '2')],
    'below an exclusive bound': [(tx) => walk(tx, { gt: 'r/b', lt: 'r/f' }), (db) => db.put('r/b', '2')],
    'above an exclusive bound': [(tx) => walk(tx, { gt: 'r/b', lt: 'r/f' }), (db) => db.put('r/f', '2')],
    'below an inclusive bound': [(tx) => walk(tx, { gte: 'r/b', lte: 'r/f' }), (db) => db.put('r/a', '2')],
    'above an inclusive bound': [(tx) => walk(tx, { gte: 'r/b', lte: 'r/f' }), (db) => db.put('r/f\0', '2')],
    'outside of a prefix': [(tx) => walk(tx, { prefix: 'r/' }), (db) => db.put('r', '2').then(() => db.put('r0', '2'))],
    'a range beside the key': [(tx) => tx.get('r/d'), (db) => db.deleteRange({ gt: 'r/d', lt: 'r/z' })],
    'a range that ends at the key': [(tx) => tx.get('r/d'), (db) => db.deleteRange({ gte: 'r/', lt: 'r/d' })],
    'an empty range': [(tx) => walk(tx, { gte: 'r/f', lt: 'r/b' }), (db) => db.put('r/d', '2')],
    'an empty range within a range': [(tx) => walk(tx, { gte: 'r/d', lt: 'r/d' }), (db) => db.deleteRange({})],
    'an empty range around a range': [(tx) => walk(tx, {}), (db) => db.deleteRange({ gt: 'r/d', lt: 'r/d' })],
    'a range beside a range': [(tx) => walk(tx, { gte: 'r/d' }), (db) => db.deleteRange({ lt: 'r/d' })],
    'nothing read at all': [async () => {}, (db) => db.deleteRange({})],
    'a walk that was never begun': [async (tx) => void tx.iterator({ prefix: 'r/' }), (db) => db.put('r/d', '2')],
    'a read of an own write': [
      async (tx) => {
        tx.put('there', 'own');
        await tx.get('there');
      },
      (db) => db.put('there', '2'),
    ],
    'a conditional write that wrote nothing': [
      (tx) => tx.get('there'),
      (db) => db.putIf('there', '2', { equals: 'something else' }),
    ],
    'a batch that was given up': [(tx) => tx.get('there'), async (db) => db.beginBatch().put('there', '2').rollback()],
    'a transaction that failed': [
      (tx) => tx.get('there'),
      (db) =>
        db
          .transaction(async (inner) => {
            inner.put('there', '2');
            throw new Error('mine');
          })
          .catch(() => {}),
    ],
  };
  for (const [name, [read, write]] of Object.entries(others)) {
    assert.equal(await conflicts(db, read, write), false, name);
  }
});

test('a walk that ended early counts for the whole range it was asked for', async () => {
  const db = await space.open();
  assert.equal(
    await conflicts(
      db,
      (tx) => walk(tx, { prefix: 'r/' }, 1),
      (db) => db.put('r/e', '2'),
    ),
    true,
  );
  assert.equal(
    await conflicts(
      db,
      (tx) => walk(tx, { prefix: 'r/', limit: 1 }),
      (db) => db.put('r/e', '2'),
    ),
    true,
  );
});

test('writes that came before the transaction began, even in the same turn, conflict with nothing', async () => {
  const db = await space.open();
  await prepare(db);
  const writes = [db.put('there', '2'), db.deleteRange({ prefix: 'r/' })];
  const runs: unknown[] = [];
  await db.transaction(
    async (tx) => {
      runs.push(await tx.get('there'));
      await walk(tx, { prefix: 'r/' });
      tx.put('own', 'written');
    },
    { retries: 0 },
  );
  await Promise.all(writes);
  assert.deepEqual(runs, ['2']);
});

test('a transaction that only reads never conflicts, however much is written', async () => {
  const db = await space.open();
  await prepare(db);
  let runs = 0;
  const sum = await db.transaction(
    async (tx) => {
      runs++;
      const before = await tx.get('there');
      for (let i = 0; i < 20; i++) await db.batch([{ type: 'put', key: 'there', value: `${i}` }]);
      await db.deleteRange({});
      await walk(tx, {});
      return [before, await tx.get('there'), (await tx.getMany(['r/b', 'r/d'])).length];
    },
    { retries: 0 },
  );
  assert.deepEqual(sum, ['1', '1', 2]);
  assert.equal(runs, 1);
});

test('of two transactions that read what the other writes, one is refused (write skew)', async () => {
  const db = await space.open();
  await db.putMany([
    ['doctor/a', 'on call'],
    ['doctor/b', 'on call'],
  ]);
  let both: () => void = () => {};
  const met = new Promise<void>((resolve) => {
    both = resolve;
  });
  let read = 0;
  const leave = (name: string) =>
    db.transaction(async (tx) => {
      let onCall = 0;
      for await (const [, state] of tx.iterator({ prefix: 'doctor/' })) if (state === 'on call') onCall++;
      if (++read === 2) both();
      await met;
      if (onCall < 2) return false;
      tx.put(`doctor/${name}`, 'at home');
      return true;
    });
  const outcomes = await Promise.all([leave('a'), leave('b')]);
  assert.deepEqual(outcomes.sort(), [false, true]);
  const states = await db.getMany(['doctor/a', 'doctor/b']);
  assert.equal(states.filter((state) => state === 'on call').length, 1);
});

test('blind writes of the same keys do not conflict: the last commit stays', async () => {
  const db = await space.open();
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      db.transaction(
        async (tx) => {
          tx.put('a', `${i}`);
          tx.put('b', `${i}`);
        },
        { retries: 0 },
      ),
    ),
  );
  const [a, b] = await db.getMany(['a', 'b']);
  assert.ok(a !== undefined && a === b);
});

test.run();
