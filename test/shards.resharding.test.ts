// db.shards.split and merge: through the API, against a map, with everything else going on.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { suite } from 'uvu';
import { type Database, open, type ShardMoveProgress } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('shards: splits and merges');
const space = new Workspace();
test.after(() => space.clean());

const text = { valueEncoding: 'utf8' } as const;
type Texts = Database<string, string>;

async function filled(shards: number, records = 2000): Promise<[Texts, Map<string, string>]> {
  const db = space.adopt(await open(space.folder(), { ...text, shards }));
  const model = new Map(Array.from({ length: records }, (_, i): [string, string] => [`user/${i}`, `value of ${i}`]));
  await db.putMany(model);
  return [db, model];
}

async function expectModel(db: Texts, model: ReadonlyMap<string, string>): Promise<void> {
  const sorted = [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const found: [string, string][] = [];
  for await (const entry of db.iterator()) found.push(entry);
  assert.deepEqual(found, sorted);
  assert.deepEqual((await db.verify()).problems, []);
}

test('a split halves a shard, and a merge joins it again', async () => {
  const [db, model] = await filled(2);
  const [kept, added] = await db.shards.split(0);
  assert.deepEqual([kept, added], [0, 2]);
  const shards = await db.shards.list();
  assert.deepEqual(
    shards.map(({ id }) => id),
    [0, 2, 1],
  );
  assert.equal(shards[0]?.slots[0]?.[0], 0);
  assert.equal(shards[1]?.slots[0]?.[1], 8191);
  const share = (shards[0]?.keys ?? 0) / ((shards[0]?.keys ?? 0) + (shards[1]?.keys ?? 0));
  assert.ok(share > 0.4 && share < 0.6, String(share));
  for (const shard of shards) {
    assert.ok(shard.created !== undefined && shard.lastAccess !== undefined);
    assert.deepEqual([shard.temperature, shard.state], ['hot', 'live']);
  }
  await expectModel(db, model);
  assert.deepEqual(await db.shards.merge(2, 0), [2]);
  assert.deepEqual(await db.shards.merge(2, 1), [2]);
  assert.equal((await db.shards.list()).length, 1);
  await expectModel(db, model);
});

test('at names the first slot of the new shard, and walks by slot follow', async () => {
  const [db, model] = await filled(1);
  await db.shards.split(0, { at: 12_000 });
  assert.deepEqual((await db.shards.get(0)).slots, [[0, 11_999]]);
  assert.deepEqual((await db.shards.get(1)).slots, [[12_000, 16_383]]);
  for (const [from, to] of [
    [0, 11_999],
    [12_000, 16_383],
    [11_000, 13_000],
  ] as const) {
    const found: string[] = [];
    for await (const [key] of db.shards.rangeBySlots(from, to)) found.push(key);
    const wanted = [...model.keys()].filter((key) => db.shards.slotOf(key) >= from && db.shards.slotOf(key) <= to);
    assert.deepEqual(found, wanted.sort());
  }
});

test('what is impossible is refused, and nothing has changed', async () => {
  const [db, model] = await filled(4);
  const calls: (() => unknown)[] = [
    () => db.shards.split(-1),
    () => db.shards.split(1.5),
    () => db.shards.split(0, { at: 16_384 }),
    () => db.shards.split(0, { at: '7' as never }),
    () => db.shards.split(0, { slot: 7 } as never),
    () => db.shards.merge(0, 1, { at: 7 } as never),
    () => db.shards.split(0, { signal: {} as never }),
    () => db.shards.merge(0, 1, { onProgress: 1 as never }),
    () => db.shards.merge(0, undefined as never),
  ];
  for (const call of calls) throws(call, 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.split(9), 'ERR_NOT_FOUND');
  await rejects(db.shards.merge(0, 9), 'ERR_NOT_FOUND');
  await rejects(db.shards.split(0, { at: 0 }), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.split(0, { at: 9000 }), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.merge(0, 2), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.merge(1, 1), 'ERR_INVALID_ARGUMENT');
  assert.deepEqual(
    (await db.shards.list()).map(({ generation }) => generation),
    [0, 0, 0, 0],
  );
  await expectModel(db, model);
  const location = db.location;
  await db.close();
  throws(() => db.shards.split(0), 'ERR_CLOSED');
  const reader = space.adopt(await open(location, { ...text, readOnly: true }));
  await rejects(reader.shards.split(0), 'ERR_READ_ONLY');
});

test('a move can be watched, paused, and aborted by signal or by hand', async () => {
  const [db, model] = await filled(1);
  await rejects(db.shards.split(0, { signal: AbortSignal.abort(new Error('no')) }), 'ERR_ABORTED');
  const paused = db.shards.split(0);
  paused.pause();
  const waiting = db.shards.split(0);
  waiting.abort('changed my mind');
  const error = await rejects(waiting, 'ERR_ABORTED');
  assert.equal((error as Error).cause, 'changed my mind');
  await db.put('user/7', 'while it was paused');
  model.set('user/7', 'while it was paused');
  paused.resume();
  await paused;
  assert.equal(paused.progress.phase, 'switched');
  const seen: ShardMoveProgress[] = [];
  await db.shards.merge(0, 1, { onProgress: (progress) => seen.push(progress) });
  const last = seen.at(-1);
  assert.equal(last?.phase, 'switched');
  assert.equal(last?.copiedRecords, model.size);
  assert.ok(last.copiedBytes > 0 && last.totalBytes >= last.copiedBytes);
  await expectModel(db, model);
});

test('a move that waits behind others, or for a thread, is aborted at once', async () => {
  const [db, model] = await filled(4);
  // Three of them: the engine has two threads for moves.
  const running = db.shards.split(0);
  running.pause();
  while (running.progress.phase === 'waiting') await sleep(1);
  const controllers = [new AbortController(), new AbortController()] as const;
  const waiting = controllers.map(({ signal }, i) => db.shards.split(1 + i, { signal }));
  for (const [i, controller] of [...controllers.entries()].reverse()) {
    controller.abort(new Error(`no ${i}`));
    const error = await rejects(waiting[i] as Promise<unknown>, 'ERR_ABORTED');
    assert.equal((error.cause as Error).message, `no ${i}`);
  }
  running.resume();
  assert.equal((await running).length, 2);
  assert.equal((await db.shards.list()).length, 5);
  await expectModel(db, model);
});

test('closing ends a split that is paused', async () => {
  const [db, model] = await filled(1);
  const { location } = db;
  const move = db.shards.split(0);
  move.pause();
  const rejected = rejects(move, 'ERR_ABORTED');
  await db.close();
  await rejected;
  const again = space.adopt(await open(location, text));
  assert.equal((await again.shards.list()).length, 1);
  await expectModel(again, model);
});

test('snapshots, iterators and transactions that were open see what they did', async () => {
  const [db, model] = await filled(1);
  const before = new Map(model);
  const snapshot = await db.snapshot();
  const iterator = db.iterator();
  const first = await iterator.next();
  await rejects(
    db.transaction(
      async (tx) => {
        assert.equal(await tx.get('user/1'), 'value of 1');
        await db.shards.split(0);
        await db.put('user/2', 'changed');
        assert.equal(await tx.get('user/2'), 'value of 2');
        await tx.put('user/3', 'by the transaction');
      },
      { retries: 0 },
    ),
    'ERR_CONFLICT',
  );
  model.set('user/2', 'changed');
  await db.transaction(async (tx) => {
    assert.equal(await tx.get('user/1'), 'value of 1');
    await db.shards.merge(0, 1);
    await tx.put('user/1', 'by the transaction');
  });
  model.set('user/1', 'by the transaction');
  const rest = [first, ...(await iterator.nextMany(10_000))];
  assert.deepEqual(new Map(rest as [string, string][]), before);
  await iterator.close();
  assert.equal(await snapshot.get('user/2'), 'value of 2');
  await snapshot.close();
  await expectModel(db, model);
});

test('random operations are those of a map while shards are split and merged', async () => {
  const key = fc.integer({ min: 0, max: 120 }).map((n) => (n < 20 ? `{tag}${n}` : `k${n}`));
  const operation = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('put' as const), key, fc.string()) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('del' as const), key, fc.constant('')) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('range' as const), key, key) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('get' as const), key, fc.constant('')) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('scan' as const), key, fc.constant('')) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('move' as const), key, fc.constant('')) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 30, maxLength: 120 }), async (operations) => {
      const db = space.adopt(await open(space.folder(), { ...text, shards: 2 }));
      const model = new Map<string, string>();
      let move: Promise<unknown> = Promise.resolve();
      for (const [kind, name, value] of operations) {
        if (kind === 'put') {
          await db.put(name, value);
          model.set(name, value);
        } else if (kind === 'del') {
          await db.delete(name);
          model.delete(name);
        } else if (kind === 'range') {
          await db.deleteRange({ gte: name, lt: value });
          for (const one of [...model.keys()]) if (one >= name && one < value) model.delete(one);
        } else if (kind === 'get') {
          assert.equal(await db.get(name), model.get(name));
          assert.equal(db.getSync(name), model.get(name));
        } else if (kind === 'scan') {
          assert.deepEqual(new Map(await db.iterator().nextMany(1000)), model);
        } else {
          await move;
          const shards = await db.shards.list();
          const shard = await db.shards.of(name);
          const next = shards[shards.findIndex(({ id }) => id === shard.id) + 1];
          move =
            next !== undefined && shards.length > 3 ? db.shards.merge(shard.id, next.id) : db.shards.split(shard.id);
        }
      }
      await move;
      await expectModel(db, model);
      const { location } = db;
      await db.close();
      const again = space.adopt(await open(location, text));
      await expectModel(again, model);
      await again.close();
    }),
    { numRuns: Number(process.env.THERMOCLINE_SEQUENCES ?? 12) },
  );
});

test('autoSplit splits what grows', async () => {
  const db = space.adopt(
    await open(space.folder(), { ...text, shards: 1, autoSplit: { maxBytes: '1MiB', minBytes: '200KiB' } }),
  );
  // Random, so that compression does not make it small.
  const model = new Map(
    Array.from({ length: 3000 }, (_, i): [string, string] => [`k${i}`, randomBytes(600).toString('base64')]),
  );
  await db.putMany(model);
  for (let waited = 0; (await db.shards.list()).length < 3; waited++) {
    assert.ok(waited < 600, 'no split came within a minute');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await expectModel(db, model);
});

test('options of autoSplit are checked', async () => {
  for (const autoSplit of [
    {},
    { maxBytes: '1KB' },
    { maxBytes: '10MB', minBytes: '5MB' },
    { minBytes: '5MB' },
    { maxBytes: '10MB', most: 1 },
    7,
  ]) {
    await rejects(open(space.folder(), { autoSplit } as never), 'ERR_INVALID_ARGUMENT');
  }
});

test.run();
