// db.shards.freeze and thaw: who is refused, who waits, and what is said of a frozen shard.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import { destroy } from '../lib/index.ts';
import { lines, succeed, thermocline } from './cli.helper.test.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('shards: freezing');
const space = new Workspace();
test.after(() => space.clean());

const names = Array.from({ length: 1000 }, (_, i) => `user/${i}`);

async function filled(options: object = {}): Promise<TextDatabase> {
  const db = await space.open({ shards: 4, ...options }, space.folder());
  await db.putMany(names.map((name): [string, string] => [name, `value of ${name}`]));
  return db;
}

/** A key of a shard. */
async function keyOf(db: TextDatabase, id: number): Promise<string> {
  for (const name of names) if ((await db.shards.of(name)).id === id) return name;
  throw new Error(`no name belongs to shard ${id}`);
}

test('a frozen shard is in the archive, and thaw brings it back', async () => {
  const db = await filled();
  const before = await db.shards.get(1);
  assert.equal(before.state, 'live');
  assert.equal(before.archive, undefined);
  await db.shards.freeze(1);
  const { state, temperature, keys, bytes, archive, tiers } = await db.shards.get(1);
  assert.deepEqual(
    { state, temperature, keys, live: tiers.hot.keys },
    { state: 'frozen', temperature: 'frozen', keys: before.keys, live: 0 },
  );
  assert.deepEqual(archive, { keys, bytes });
  const stats = db.stats().perShard.find(({ id }) => id === 1);
  assert.deepEqual([stats?.state, stats?.archiveBytes, stats?.keys], ['frozen', bytes, 0]);
  const key = await keyOf(db, 1);
  await rejects(db.get(key), 'ERR_FROZEN');
  await rejects(db.getMany([await keyOf(db, 0), key]), 'ERR_FROZEN');
  await rejects(db.has(key), 'ERR_FROZEN');
  throws(() => db.getSync(key), 'ERR_FROZEN');
  await rejects(db.iterator().next(), 'ERR_FROZEN');
  assert.deepEqual((await db.verify()).problems, []);
  await db.shards.thaw(1);
  assert.equal((await db.shards.get(1)).state, 'live');
  assert.deepEqual(
    await db.getMany(names),
    names.map((name) => `value of ${name}`),
  );
  assert.ok(!existsSync(join(db.location, 'archive')));
});

test('writes thaw, in their order, and so do reads if the options say so', async () => {
  const db = await filled({ freeze: { thawOnAccess: true } });
  const key = await keyOf(db, 2);
  await db.shards.freeze(2);
  assert.equal(await db.get(key), `value of ${key}`);
  await db.shards.freeze(2);
  await rejects(db.iterator().next(), 'ERR_FROZEN');
  const writes = [db.put(key, 'first'), db.batch([{ type: 'put', key, value: 'second' }]), db.put('free', 'v')];
  await Promise.all(writes);
  assert.equal(await db.get(key), 'second');
  assert.equal((await db.shards.get(2)).state, 'live');
  await db.shards.freeze(2);
  await db.deleteRange({ gte: 'user/', lt: 'user0' });
  const left: string[] = [];
  for await (const [name] of db.iterator()) left.push(name);
  assert.deepEqual(left, ['free']);
});

test('conditional writes and transactions thaw what they read', async () => {
  const db = await filled();
  const [key, other] = [await keyOf(db, 1), await keyOf(db, 2)];
  const freeze = async (...ids: number[]) => {
    for (const id of ids) await db.shards.freeze(id);
  };
  await freeze(1, 3);
  assert.equal(await db.putIf(key, 'v', { absent: true }), false);
  assert.equal(await db.putIf(key, 'new', { equals: `value of ${key}` }), true);
  assert.equal(await db.get(key), 'new');
  assert.equal((await db.shards.get(3)).state, 'frozen', 'only what is needed');

  await freeze(1);
  await rejects(db.batch([{ type: 'del', key, if: { equals: 'old' } }]), 'ERR_CONDITION');
  assert.equal((await db.shards.get(1)).state, 'live');

  await freeze(1, 2);
  let runs = 0;
  await db.transaction(async (tx) => {
    runs++;
    const [value] = await tx.getMany([key]);
    if (await tx.has(other)) tx.put(other, `${value}er`);
  });
  assert.deepEqual([runs, await db.get(other)], [3, 'newer'], 'once for each shard, and once for good');

  await freeze(1);
  await rejects(
    db.transaction(async (tx) => void (await tx.iterator().next())),
    'ERR_FROZEN',
  );
  await rejects(
    db.transaction((tx) => tx.get(key), { signal: AbortSignal.abort() }),
    'ERR_ABORTED',
  );
  assert.equal((await db.shards.get(1)).state, 'frozen');
  const refused = await db.transaction(async (tx) => {
    const failure = await tx.get(key).catch((error) => error.code);
    tx.put('free', 'v');
    return failure;
  });
  assert.deepEqual([refused, await db.get('free')], ['ERR_FROZEN', 'v'], 'who handles the error goes on');
  assert.equal(await db.transaction((tx) => tx.get(key), { retries: 0 }), 'new', 'a thaw is no conflict');
});

test('behind a paused split thaws, freezes, restores and writes that thaw are refused, and work once it goes on', async () => {
  const db = await filled();
  const folder = join(space.folder(), 'snapshot');
  await db.shards.snapshot(1, folder);
  await db.shards.freeze(2);
  const [key, other] = [await keyOf(db, 2), await keyOf(db, 0)];
  const move = db.shards.split(0);
  move.pause();
  while (move.progress.phase === 'waiting') await new Promise((resolve) => setImmediate(resolve));
  await rejects(db.shards.thaw(2), 'ERR_LOCKED');
  await rejects(db.shards.freeze(3), 'ERR_LOCKED');
  await rejects(db.shards.restore(folder), 'ERR_LOCKED');
  await rejects(db.put(key, 'refused'), 'ERR_LOCKED');
  await db.put(other, 'accepted');
  assert.equal((await db.shards.get(2)).state, 'frozen');
  move.resume();
  await move;
  await db.put(key, 'accepted');
  assert.deepEqual(await db.shards.restore(folder), [1]);
  assert.deepEqual(await db.getMany([key, other]), ['accepted', 'accepted']);
  assert.deepEqual((await db.verify()).problems, []);
});

test('wrong calls and options are refused', async () => {
  const db = await filled();
  await rejects(db.shards.freeze(77), 'ERR_NOT_FOUND');
  await rejects(db.shards.thaw(77), 'ERR_NOT_FOUND');
  await rejects(db.shards.freeze(-1), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.thaw(0, { often: true } as never), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.freeze(0, { signal: AbortSignal.abort() }), 'ERR_ABORTED');
  assert.equal((await db.shards.get(0)).state, 'live');
  await rejects(space.open({ freeze: { often: true } as never }, space.folder()), 'ERR_INVALID_ARGUMENT');
  await rejects(space.open({ freeze: { automatic: 1 } as never }, space.folder()), 'ERR_INVALID_ARGUMENT');
  await db.shards.freeze(0);
  await rejects(db.shards.split(0), 'ERR_FROZEN');
  await rejects(db.shards.snapshot(0, join(space.folder(), 'snapshot')), 'ERR_FROZEN');
  await db.close();
  const reader = await space.open({ readOnly: true }, db.location);
  await rejects(reader.shards.thaw(0), 'ERR_READ_ONLY');
  assert.equal((await reader.shards.get(0)).state, 'frozen');
  await reader.close();
  await destroy(db.location);
  assert.ok(!existsSync(db.location));
});

test('the command line freezes, shows and thaws', async () => {
  const db = await filled();
  const { location } = db;
  await db.close();
  const [id, state, bytes] = lines(await succeed(['shards', 'freeze', location, '3']))[0]?.split('\t') ?? [];
  assert.deepEqual([id, state], ['3', 'frozen']);
  const table = lines(await succeed(['shards', location])).map((line) => line.split('\t'));
  assert.deepEqual([table[3]?.[3], table[3]?.[7]], [bytes, 'frozen']);
  assert.notEqual((await thermocline(['count', location])).code, 0);
  assert.match(await succeed(['shards', 'thaw', location, '3']), /^3\tlive\t/);
  assert.deepEqual(lines(await succeed(['count', location])), ['1000']);
});

test.run();
