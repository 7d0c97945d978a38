// Databases without a log: fixed at creation, what they refuse, and what they keep.

import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import type { WriteOptions } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { startProgram } from './helpers/pipeline/program.ts';
import type { UnloggedWriter } from './helpers/pipeline/unlogged-writer.ts';
import { expire } from './helpers/pipeline/waiting.ts';
import { seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite("durability: 'none'");
const space = new Workspace();
test.after(() => space.clean());

const NONE = { durability: 'none' } as const;

test('whether there is a log is fixed when the database is created', async () => {
  const without = space.folder();
  const db = await space.open(NONE, without);
  await db.put('k', 'v');
  await db.close();
  for (const durability of ['wal', 'fsync'] as const) {
    await rejects(() => space.open({ durability }, without), 'ERR_INVALID_ARGUMENT', /'none'/);
    await rejects(() => space.open({ durability, readOnly: true }, without), 'ERR_INVALID_ARGUMENT', /'none'/);
  }
  const again = await space.open(NONE, without);
  assert.equal(await again.get('k'), 'v');
  await again.close();
  const reader = await space.open({ ...NONE, readOnly: true }, without);
  assert.equal(await reader.get('k'), 'v');
  await reader.close();

  const withLog = space.folder();
  await (await space.open({}, withLog)).close();
  await rejects(() => space.open(NONE, withLog), 'ERR_INVALID_ARGUMENT', /'none'.*log/);
  await (await space.open({ durability: 'fsync' }, withLog)).close();
});

test('the same holds where the database is open already in this process', async () => {
  const without = space.folder();
  const db = await space.open(NONE, without);
  for (const durability of ['wal', 'fsync'] as const) {
    await rejects(() => space.open({ durability }, without), 'ERR_INVALID_ARGUMENT', /'none'/);
  }
  const second = await space.open(NONE, without);
  await second.put('k', 'v');
  assert.equal(await db.get('k'), 'v');

  const withLog = space.folder();
  await space.open({}, withLog);
  await rejects(() => space.open(NONE, withLog), 'ERR_INVALID_ARGUMENT', /'none'/);
  assert.equal((await space.open({ durability: 'fsync' }, withLog)).status, 'open');
});

test('opened without a word about durability, a database is what it was created as', async () => {
  const without = space.folder();
  await (await space.open(NONE, without)).close();
  const db = await space.open({}, without);
  const shared = await space.open({}, without);
  for (const each of [db, shared]) {
    await each.put('k', 'v');
    await rejects(() => each.put('k', 'w', { durability: 'wal' }), 'ERR_INVALID_ARGUMENT', /no log/);
    throws(() => each.commit([]), 'ERR_INVALID_ARGUMENT', /no log/);
  }
  await shared.close();
  await db.close();
  const reader = await space.open({ readOnly: true }, without);
  assert.equal(await reader.get('k'), 'v');
  await reader.close();

  const withLog = space.folder();
  const logged = await space.open({}, withLog);
  await logged.put('k', 'v', { durability: 'fsync' });
  assert.equal(logged.stats().writes.fsyncs, 1);
});

test('no write may ask for a log, and none that does is begun', async () => {
  const db = await space.open(NONE);
  let ran = false;
  for (const durability of ['wal', 'fsync'] as const) {
    const options: WriteOptions = { durability };
    const refused: (() => unknown)[] = [
      () => db.put('k', 'v', options),
      () => db.delete('k', options),
      () => db.batch([{ type: 'put', key: 'k', value: 'v' }], options),
      () => db.batch([{ type: 'put', key: 'k', value: 'v', if: { absent: true } }], options),
      () => db.putMany([['k', 'v']], options),
      () => db.putIf('k', 'v', { absent: true }, options),
      () => db.deleteIf('k', { equals: 'v' }, options),
      () => db.beginBatch(options),
      () =>
        db.transaction(async (tx) => {
          ran = true;
          tx.put('k', 'v');
        }, options),
    ];
    for (const call of refused) await rejects((async () => call())(), 'ERR_INVALID_ARGUMENT', /no log/);
  }
  throws(() => db.commit([{ type: 'put', key: 'k', value: 'v' }]), 'ERR_INVALID_ARGUMENT', /no log/);
  assert.equal(ran, false);
  assert.equal(await db.get('k'), undefined);
  assert.deepEqual([db.stats().writes.commits, db.stats().writes.fsyncs], [0, 0]);
});

async function writeInEveryWay(db: TextDatabase): Promise<Map<string, string>> {
  await db.putMany(Array.from({ length: 5000 }, (_, i) => [`many/${i}`, 'x'.repeat(100)]));
  await Promise.all([
    db.put('put', '1'),
    db.put('deleted', '1'),
    db.batch([
      { type: 'put', key: 'batch/a', value: '1' },
      { type: 'put', key: 'batch/b', value: '2' },
    ]),
    db.beginBatch().put('steps', '1').deleteRange({ prefix: 'many/4' }).commit(),
    db.putIf('if', '1', { absent: true }),
    db.transaction(async (tx) => tx.put('tx', String(await tx.get('nothing')))),
    db.put('short', '1', { ttl: 1 }),
    db.put('long', '1', { ttl: 3_600_000 }),
  ]);
  await db.delete('deleted');
  await db.deleteRange({ prefix: 'many/3' });
  const left = new Map<string, string>();
  for (let i = 0; i < 5000; i++) if (!/^[34]/.test(`${i}`)) left.set(`many/${i}`, 'x'.repeat(100));
  for (const key of ['put', 'batch/a', 'steps', 'if', 'long']) left.set(key, '1');
  return left.set('batch/b', '2').set('tx', 'undefined');
}

test('a clean close keeps everything, without a flush before it', async () => {
  const location = space.folder();
  const db = await space.open({ ...NONE, shards: 8 }, location);
  const expected = await writeInEveryWay(db);
  await expire(1);
  await db.close();
  const again = await space.open(NONE, location);
  const found = new Map<string, string>();
  for await (const [key, value] of again.iterator()) found.set(key, value);
  assert.deepEqual(found, new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))));
  await again.close();
});

test('writes reach no log file', async () => {
  const location = space.folder();
  const db = await space.open({ ...NONE, memory: { writeBuffer: '64MB' } }, location);
  const value = 'x'.repeat(1000);
  await db.putMany(Array.from({ length: 5000 }, (_, i) => [`k${i}`, value]));
  const hot = path.join(location, 'hot');
  const logs = readdirSync(hot).filter((name) => name.endsWith('.log'));
  const bytes = logs.reduce((sum, name) => sum + statSync(path.join(hot, name)).size, 0);
  assert.ok(bytes < 100_000, `${bytes} bytes in ${logs.join()}`);
  await db.flush();
  assert.equal(db.stats().writes.fsyncs, 0);
  assert.ok(db.stats().disk.tableBytes > 0);
});

test('SIGKILL keeps what was flushed, and of the rest whole batches without a gap', async () => {
  await seeded(async (random) => {
    for (let round = 0; round < 3; round++) {
      const args: UnloggedWriter = { location: space.folder(), width: 9, every: 20 + random.below(60) };
      const child = startProgram('unlogged-writer.ts', args);
      let flushed = -1;
      for (let flushes = 1 + random.below(6); flushes > 0; flushes--) flushed = Number(await child.line());
      await delay(random.below(80));
      child.process.kill('SIGKILL');
      // What it had reported before it died counts as well.
      const { stdout, stderr, signal } = await child.end;
      assert.equal(signal, 'SIGKILL', stderr);
      flushed = Number(stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').at(-1) ?? flushed);

      const db = await space.open(NONE, args.location);
      const last = Array.from({ length: args.width }, () => -1);
      const count = Array.from({ length: args.width }, () => 0);
      for await (const [key, value] of db.iterator()) {
        const [column, batch] = key.split('/').map(Number) as [number, number];
        assert.equal(value, `${batch}`.padEnd(200, '.'));
        last[column] = Math.max(last[column] as number, batch);
        count[column] = (count[column] as number) + 1;
      }
      const [end] = last as [number];
      assert.ok(end >= flushed, `batch ${flushed} was flushed, the last one found is ${end}`);
      assert.deepEqual(last, Array(args.width).fill(end), 'a batch is there in part');
      assert.deepEqual(count, Array(args.width).fill(end + 1), 'there is a gap');
      await db.close();
    }
  });
});

test.run();
