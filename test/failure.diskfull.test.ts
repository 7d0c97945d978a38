// A full disk: what is refused and how, what goes on, how resume() continues, and that nothing acknowledged is lost and
// nothing is there in part. Needs the right to mount a small file system; skipped by name where that is missing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { suite } from 'uvu';
import { destroy, type OpenOptions, open, ThermoclineError } from '../lib/index.ts';
import { check, rejects } from './helpers/expect.ts';
import { SmallDisk } from './helpers/pipeline/small-disk.ts';
import type { TextDatabase } from './helpers/workspace.ts';

const disk = SmallDisk.mount(48);
const test = suite(disk === undefined ? 'failure: full disk (needs root to mount a disk)' : 'failure: full disk');
const it = disk === undefined ? test.skip : test;
const opened = new Set<TextDatabase>();

test.after.each(async () => {
  disk?.makeRoom();
  await Promise.allSettled([...opened].map((db) => db.close()));
  for (const db of opened) await destroy(db.location);
  opened.clear();
});
test.after(() => disk?.unmount());

const there = () => disk as SmallDisk;

async function openSmall(options: Partial<OpenOptions> = {}, location = there().folder()): Promise<TextDatabase> {
  const db = await open(location, {
    memory: { writeBuffer: '4MB', hotCache: 0, blockCache: '1MB' },
    compression: 'none', // else compactions make room again and again
    ...options,
    keyEncoding: 'utf8',
    valueEncoding: 'utf8',
  });
  opened.add(db);
  return db;
}

/** Incompressible enough, and no page of it is like another. */
function filler(i: number, bytes: number): string {
  let text = '';
  for (let j = 0; text.length < bytes; j++) text += ((i * 2654435761 + j * 40503) >>> 0).toString(36);
  return text.slice(0, bytes);
}

interface Attempts {
  /** Numbers of batches by how they ended. */
  acknowledged: number[];
  refused: { i: number; error: ThermoclineError }[];
}

const WIDTH = 5;
const keysOf = (i: number) => Array.from({ length: WIDTH }, (_, j) => `${j}/${i}`);

/** Writes batches until some are refused for good, `callers` at a time, half of them durable. */
async function writeUntilFull(db: TextDatabase, callers: number, start = 0): Promise<Attempts> {
  const attempts: Attempts = { acknowledged: [], refused: [] };
  let next = start;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let failures = 0; failures < 2; ) {
        const i = next++;
        const operations = keysOf(i).map((key) => ({ type: 'put' as const, key, value: `${i}:${filler(i, 3000)}` }));
        try {
          await db.batch(operations, { durability: caller % 2 === 0 ? 'wal' : 'fsync' });
          attempts.acknowledged.push(i);
        } catch (error) {
          assert.ok(error instanceof ThermoclineError, String(error));
          attempts.refused.push({ i, error });
          failures++;
        }
      }
    }),
  );
  return attempts;
}

/** Every acknowledged batch is there, every other one whole or absent. */
async function verify(db: TextDatabase, { acknowledged, refused }: Attempts): Promise<void> {
  for (const i of acknowledged) {
    const value = `${i}:${filler(i, 3000)}`;
    assert.deepEqual(await db.getMany(keysOf(i)), Array(WIDTH).fill(value), `batch ${i} was acknowledged`);
  }
  for (const { i } of refused) {
    const found = (await db.getMany(keysOf(i))).filter((value) => value !== undefined);
    assert.ok(found.length === 0 || found.length === WIDTH, `${found.length} records of batch ${i}, which was refused`);
  }
}

it('writes reject with ERR_NO_SPACE, then ERR_READ_ONLY with the cause and the way out; none hangs', async () => {
  const db = await openSmall();
  const attempts = await writeUntilFull(db, 20);
  assert.equal(attempts.refused.length, 40);
  const codes = attempts.refused.map(({ error }) => error.code);
  assert.ok(codes.includes('ERR_NO_SPACE'), codes.join());
  for (const code of codes) assert.ok(code === 'ERR_NO_SPACE' || code === 'ERR_READ_ONLY', code);
  const error = await rejects(() => db.put('k', 'v'), 'ERR_READ_ONLY', /No space left on device.*resume\(\)/);
  assert.ok(!error.message.includes('reopen'));
  await verify(db, attempts);
});

it('every kind of write is refused while every kind of read goes on', async () => {
  const db = await openSmall();
  await db.put('before', 'v');
  const snapshot = await db.snapshot();
  const attempts = await writeUntilFull(db, 4);
  const some = attempts.acknowledged.slice(0, 50);
  const operations = [{ type: 'put' as const, key: 'k', value: 'v' }];
  const refusals: (() => PromiseLike<unknown>)[] = [
    () => db.put('k', 'v'),
    () => db.put('k', 'v', { durability: 'fsync' }),
    () => db.delete('before'),
    () => db.batch(operations),
    () => db.commit(operations).applied,
    () => db.commit(operations).durable,
    () => db.beginBatch().put('k', 'v').commit(),
    () => db.deleteRange({}),
    () => db.putIf('k', 'v', { absent: true }),
    () => db.putMany([['k', 'v']]),
    () => db.transaction(async (tx) => tx.put('k', 'v')),
    () => pipeline(Readable.from([['k', 'v']]), db.createWriteStream()),
  ];
  for (const refusal of refusals) await rejects(refusal, 'ERR_READ_ONLY', /No space left/);

  assert.equal(await db.get('before'), 'v');
  assert.equal(db.getSync('before'), 'v');
  assert.equal(await db.has('k'), false);
  for (const i of some) assert.ok((await db.getMany(keysOf(i))).every((value) => value?.startsWith(`${i}:`)));
  assert.equal((await db.iterator({ gte: 'b' }).nextMany(10)).length, 1);
  assert.deepEqual(await snapshot.iterator().nextMany(10), [['before', 'v']]);
  const seen = await db.transaction(async (tx) => [await tx.get('before'), await tx.get('k')]);
  assert.deepEqual(seen, ['v', undefined]);
  assert.equal(await db.putIf('before', 'w', { absent: true }), false);
  assert.equal(db.needsDrain, false);
  assert.equal(db.stats().writes.inFlightBytes, 0);
  await snapshot.close();
});

it('resume() is refused while the disk is full, and continues as soon as there is room', async () => {
  const db = await openSmall();
  const attempts = await writeUntilFull(db, 4);
  // A compaction that ends meanwhile gives some room back, and resume() may use it: until there is really none.
  for (;;) {
    there().fill();
    const refused = await db.resume().then(
      () => undefined,
      (error) => error,
    );
    if (refused !== undefined) {
      check(refused, 'ERR_NO_SPACE');
      break;
    }
    const { acknowledged, refused: more } = await writeUntilFull(
      db,
      4,
      attempts.acknowledged.length + attempts.refused.length,
    );
    attempts.acknowledged.push(...acknowledged);
    attempts.refused.push(...more);
  }
  await rejects(() => db.put('k', 'v'), 'ERR_READ_ONLY');
  assert.equal(await db.get('k'), undefined);
  await verify(db, attempts);
  // What was filled was not enough to go on with: a larger disk is.
  there().makeRoom();
  const more = there();
  await resized(more, 96, async () => {
    await db.resume();
    await db.put('wal', 'v');
    await db.put('fsync', 'v', { durability: 'fsync' });
    await db.transaction(async (tx) => tx.put('tx', String(await tx.get('wal'))));
    await verify(db, attempts);
    await db.flush();
    await db.close();
    const again = await openSmall({}, db.location);
    assert.deepEqual(await again.getMany(['wal', 'fsync', 'tx']), ['v', 'v', 'v']);
    await verify(again, attempts);
    await again.close();
    await destroy(again.location);
  });
});

it('fills up and continues several times over, and in the end everything acknowledged is there', async () => {
  const db = await openSmall();
  const all: Attempts = { acknowledged: [], refused: [] };
  let start = 0;
  for (let round = 0; round < 4; round++) {
    there().fill();
    const { acknowledged, refused } = await writeUntilFull(db, 8, start);
    all.acknowledged.push(...acknowledged);
    all.refused.push(...refused);
    start = Math.max(...acknowledged, ...refused.map(({ i }) => i)) + 1;
    there().makeRoom();
    await db.resume();
    const last = start++;
    await db.batch(keysOf(last).map((key) => ({ type: 'put', key, value: `${last}:${filler(last, 3000)}` })));
    all.acknowledged.push(last);
    await verify(db, all);
  }
  await db.close();
  const again = await openSmall({}, db.location);
  await verify(again, all);
});

it('durable writers that meet the full disk do not make it look like a failed sync, from which only reopening helps', async () => {
  // Groups of one write each, many of them at once: while one waits for its sync the next one is written.
  const db = await openSmall({ group: { floor: '1KB', ceiling: '1KB' } });
  for (let round = 0; round < 20; round++) {
    there().fill();
    for (let full = false; !full; ) {
      const writes = Array.from({ length: 60 }, (_, i) =>
        db.batch([{ type: 'put', key: `k${i}`, value: filler(i, 2000) }], { durability: i % 4 ? 'fsync' : 'wal' }),
      );
      for (const outcome of await Promise.allSettled(writes)) {
        if (outcome.status === 'fulfilled') continue;
        assert.ok(['ERR_NO_SPACE', 'ERR_READ_ONLY'].includes(outcome.reason.code), String(outcome.reason));
        assert.match(outcome.reason.message, /No space left/);
        full = true;
      }
    }
    there().makeRoom();
    await db.resume();
    await db.put('k', 'v', { durability: 'fsync' });
  }
});

it('without resume(), closing and opening again with room continues as well', async () => {
  const db = await openSmall();
  there().fill();
  const attempts = await writeUntilFull(db, 8);
  await db.close();
  there().makeRoom();
  const again = await openSmall({}, db.location);
  await verify(again, attempts);
  await again.put('k', 'v', { durability: 'fsync' });
});

it('a flush that meets the full disk rejects, and resume() continues from that too', async () => {
  const db = await openSmall();
  const value = filler(1, 30_000);
  for (let i = 0; i < 50; i++) await db.put(`k${i}`, value);
  there().fill();
  await rejects(() => db.flush(), 'ERR_NO_SPACE');
  assert.equal(await db.get('k7'), value);
  there().makeRoom();
  await db.resume();
  await db.put('after', 'v', { durability: 'fsync' });
  await db.flush();
  await db.close();
  const again = await openSmall({}, db.location);
  assert.equal((await again.keys().nextMany(100)).length, 51);
});

it('resume() on a database that lacks nothing does nothing', async () => {
  const db = await openSmall();
  await db.resume();
  await db.put('k', 'v');
  await db.resume();
  assert.equal(await db.get('k'), 'v');
});

it('opening on a full disk says so and harms nothing', async () => {
  const db = await openSmall();
  for (let i = 0; i < 50; i++) await db.put(`k${i}`, filler(i, 10_000));
  await db.close();
  there().fill();
  for (let attempt = 0; attempt < 3; attempt++) await rejects(() => openSmall({}, db.location), 'ERR_NO_SPACE');
  await rejects(() => openSmall(), 'ERR_NO_SPACE');
  // Reading needs no room.
  const reader = await openSmall({ readOnly: true }, db.location);
  assert.equal((await reader.keys().nextMany(100)).length, 50);
  await reader.close();
  there().makeRoom();
  const again = await openSmall({}, db.location);
  for (let i = 0; i < 50; i++) assert.equal(await again.get(`k${i}`), filler(i, 10_000));
});

it('closing a database without a log on a full disk rejects if it loses records, and then it is closed', async () => {
  const db = await openSmall({ durability: 'none' });
  for (let i = 0; i < 20; i++) await db.put(`flushed/${i}`, 'v');
  await db.flush();
  there().fill();
  const batches: Promise<void>[] = [];
  for (let i = 0; i < 40; i++) {
    batches.push(db.batch(keysOf(i).map((key) => ({ type: 'put', key, value: filler(i, 4000) }))));
  }
  await Promise.allSettled(batches);
  const closed = once(db, 'closed');
  await rejects(() => db.close(), 'ERR_NO_SPACE');
  await closed;
  assert.equal(db.status, 'closed');
  await rejects(() => db.get('k'), 'ERR_CLOSED');
  there().makeRoom();
  const again = await openSmall({ durability: 'none' }, db.location);
  assert.equal((await again.keys({ prefix: 'flushed/' }).nextMany(100)).length, 20);
  // Batches are whole, and they are the first ones.
  let expected = 0;
  while ((await again.get(`0/${expected}`)) !== undefined) expected++;
  assert.ok(expected < 40, 'nothing was lost, so there was no reason to reject');
  for (let i = 0; i < 40; i++) {
    const found = (await again.getMany(keysOf(i))).filter((value) => value !== undefined).length;
    assert.equal(found, i < expected ? WIDTH : 0, `batch ${i}`);
  }
});

/** Lets the body work on a larger disk, and makes it small again. */
async function resized(on: SmallDisk, mebibytes: number, body: () => Promise<void>): Promise<void> {
  on.resize(mebibytes);
  try {
    await body();
  } finally {
    on.resize(48);
  }
}

test.run();
