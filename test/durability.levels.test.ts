// durability 'wal' and 'fsync': as the default of a database and asked for by single writes; what is refused.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Durability, open, type WriteOptions } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('durability: levels');
const space = new Workspace();
test.after(() => space.clean());

type Way = (db: TextDatabase, key: string, options: WriteOptions | undefined) => Promise<unknown>;

/** Every way to write that takes a durability. Each writes the key, or something else if the key must exist. */
const WAYS: Record<string, Way> = {
  put: (db, key, options) => db.put(key, 'v', options),
  delete: (db, key, options) => db.delete(key, options),
  batch: (db, key, options) => db.batch([{ type: 'put', key, value: 'v' }], options),
  'conditional batch': (db, key, options) =>
    db.batch([{ type: 'put', key, value: 'v', if: { absent: true } }], options),
  putMany: (db, key, options) => db.putMany([[key, 'v']], options),
  putIf: (db, key, options) => db.putIf(key, 'v', { absent: true }, options),
  beginBatch: async (db, key, options) => db.beginBatch(options).put(key, 'v').commit(),
  transaction: (db, key, options) => db.transaction(async (tx) => tx.put(key, 'v'), options),
  createWriteStream: (db, key, options) =>
    new Promise((resolve, reject) => {
      db.createWriteStream(options).on('error', reject).on('finish', resolve).end([key, 'v']);
    }),
};

const fsyncs = (db: TextDatabase) => db.stats().writes.fsyncs;

for (const durability of [undefined, 'wal', 'fsync'] as const) {
  test(`a database opened with ${durability ?? 'no'} durability syncs what its default or the write asks for, and nothing else`, async () => {
    const db = await space.open(durability === undefined ? {} : { durability });
    for (const [name, write] of Object.entries(WAYS)) {
      for (const asked of [undefined, 'wal', 'fsync'] as const) {
        const before = fsyncs(db);
        await write(db, `${name} ${asked}`, asked === undefined ? undefined : { durability: asked });
        const synced = (asked ?? durability ?? 'wal') === 'fsync';
        assert.equal(fsyncs(db) - before, synced ? 1 : 0, `${name}, asked for ${asked}`);
      }
    }
  });
}

test('deleteIf and deleteRange are as durable as asked for and as the default', async () => {
  const db = await space.open({ durability: 'fsync' });
  await db.put('a', '1', { durability: 'wal' });
  assert.equal(fsyncs(db), 0);
  assert.equal(await db.deleteIf('a', { equals: '1' }, { durability: 'wal' }), true);
  assert.equal(fsyncs(db), 0);
  await db.put('a', '1', { durability: 'wal' });
  assert.equal(await db.deleteIf('a', { equals: '1' }), true);
  assert.equal(fsyncs(db), 1);
  await db.deleteRange({ prefix: 'a' });
  assert.equal(fsyncs(db), 2);
});

test('a conditional write that finds its condition unmet syncs nothing', async () => {
  const db = await space.open({ durability: 'fsync' });
  await db.put('a', '1', { durability: 'wal' });
  assert.equal(await db.putIf('a', '2', { absent: true }), false);
  await rejects(db.batch([{ type: 'put', key: 'b', value: '2', if: { equals: 'x' } }]), 'ERR_CONDITION');
  assert.equal(fsyncs(db), 0);
});

test('the durable writes of one turn share one sync', async () => {
  const db = await space.open();
  await Promise.all(Array.from({ length: 200 }, (_, i) => db.put(`k${i}`, 'v', { durability: 'fsync' })));
  assert.equal(fsyncs(db), 1);
  assert.equal(db.stats().writes.commits, 200);
});

test('every other level is refused before anything is written', async () => {
  const db = await space.open();
  const wrong = ['none', 'sync', 'WAL', '', true, 1, null, {}] as unknown[];
  for (const [name, write] of Object.entries(WAYS)) {
    for (const durability of wrong) {
      const options = { durability } as WriteOptions;
      // Methods that begin something throw at once; the others reject.
      const attempt = async () => write(db, 'k', options);
      await rejects(attempt(), 'ERR_INVALID_ARGUMENT', /durability/);
      assert.equal(await db.get('k'), undefined, `${name}: ${String(durability)}`);
    }
  }
  assert.equal(db.stats().writes.commits, 0);
});

test('open refuses a durability that does not exist', async () => {
  for (const durability of ['sync', '', true, 0, null]) {
    await rejects(
      () => open(space.folder(), { durability: durability as Durability }),
      'ERR_INVALID_ARGUMENT',
      /durability/,
    );
  }
});

test('the default belongs to the opening, not to the database', async () => {
  const location = space.folder();
  const first = await space.open({ durability: 'fsync' }, location);
  const second = await space.open({}, location);
  await first.put('a', '1');
  assert.equal(fsyncs(second), 1);
  await second.put('b', '2');
  assert.equal(fsyncs(second), 1);
  await first.close();
  await second.close();
  const again = await space.open({}, location);
  await again.put('c', '3');
  assert.equal(fsyncs(again), 0);
  assert.deepEqual(await again.getMany(['a', 'b', 'c']), ['1', '2', '3']);
});

test('commit() always promises both, so it takes no durability', async () => {
  const db = await space.open();
  const options = { durability: 'wal' } as object;
  throws(() => db.commit([{ type: 'put', key: 'k', value: 'v' }], options), 'ERR_INVALID_ARGUMENT', /durability/);
  assert.equal(await db.get('k'), undefined);
});

test('a read-only database refuses every write at every level', async () => {
  const location = space.folder();
  await (await space.open({}, location)).close();
  const db = await space.open({ readOnly: true }, location);
  for (const write of Object.values(WAYS)) {
    for (const durability of ['wal', 'fsync'] as const) {
      await rejects((async () => write(db, 'k', { durability }))(), 'ERR_READ_ONLY');
    }
  }
  await rejects(() => db.deleteRange({ prefix: 'k' }), 'ERR_READ_ONLY');
  await rejects(() => db.resume(), 'ERR_READ_ONLY');
});

test.run();
