// slowOperations(): what is kept of the slowest operations.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { throws } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('stats: slow operations');
const space = new Workspace();
test.after(() => space.clean());

test('off by default', async () => {
  const db = await space.open();
  await db.put('a', '1');
  assert.deepEqual(db.slowOperations(), []);
  await db.close();
});

test('each kind with the beginning of its key, its records, and stages that add up to the whole', async () => {
  const db = await open(space.folder(), {
    slowOperations: { keep: 100, keyPrefix: 6 },
    memory: { hotCache: 0 },
    valueEncoding: 'utf8',
  });
  await db.put('write/1', 'value', { durability: 'fsync' });
  await db.batch([
    { type: 'put', key: 'batch/1', value: 'value' },
    { type: 'put', key: 'batch/2', value: 'value' },
  ]);
  await db.getMany(['many/1', 'many/2', 'many/3']);
  await db.get('single');
  db.getSync('sync/1');
  await db.iterator({ gte: 'write', limit: 1 }).next();
  const kept = db.slowOperations();
  const found = kept.map(({ kind, keyPrefix, records }) => `${kind} ${keyPrefix.toString()} ${records}`);
  assert.deepEqual([...found].sort(), [
    'batch batch/ 2',
    'get single 1',
    'get sync/1 1',
    'getMany many/1 3',
    'scanChunk write/ 1',
    'write write/ 1',
  ]);
  for (const operation of kept) {
    const { queueSeconds, storeSeconds, syncSeconds, totalSeconds } = operation;
    assert.ok(Math.abs(queueSeconds + storeSeconds + syncSeconds - totalSeconds) < 1e-8, operation.kind);
    assert.ok(Date.now() - operation.ended.getTime() < 60_000);
    assert.equal(syncSeconds > 0, operation.kind === 'write', 'only that waited for a sync');
  }
  assert.deepEqual(
    kept.map(({ totalSeconds }) => totalSeconds),
    kept.map(({ totalSeconds }) => totalSeconds).sort((a, b) => b - a),
  );
  assert.equal(db.slowOperations({ clear: true }).length, 6);
  assert.deepEqual(db.slowOperations(), []);
  throws(() => db.slowOperations({ empty: true } as never), 'ERR_INVALID_ARGUMENT', /empty/);
  await db.close();
  throws(() => db.slowOperations(), 'ERR_CLOSED');
});

test('only so many are kept', async () => {
  const db = await space.open({ slowOperations: { keep: 3, keyPrefix: 0 } });
  for (let i = 0; i < 20; i++) await db.put(`key${i}`, 'value');
  const kept = db.slowOperations();
  assert.equal(kept.length, 3);
  assert.equal(kept[0]?.keyPrefix.length, 0);
  await db.close();
});

test.run();
