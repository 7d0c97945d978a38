// More writes than the engine can take: it asks for a pause, then refuses; what it took is written.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite } from 'uvu';
import { ThermoclineError } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('writes: backpressure');
const space = new Workspace();
test.after(() => space.clean());

const MIB = 1 << 20;
/** The committer waits a second, or for more than there may be in flight, so that no write ends while others are sent. */
const HELD = { window: 1000, floor: '512MB', ceiling: '512MB' } as const;
const keyOf = (i: number) => `key${String(i).padStart(6, '0')}`;

test('a flood of writes asks for a pause by needsDrain, and says once when it is over', async () => {
  const db = await space.open({ group: HELD });
  const value = 'x'.repeat(MIB);
  assert.equal(db.needsDrain, false);
  let drained = 0;
  db.on('drain', () => drained++);
  const puts: Promise<void>[] = [];
  while (!db.needsDrain) puts.push(db.put(keyOf(puts.length), value));
  assert.ok(puts.length > 16 && puts.length < 64, `${puts.length} MiB`);
  await once(db, 'drain');
  assert.equal(db.needsDrain, false);
  await Promise.all(puts);
  await new Promise(setImmediate);
  assert.equal(drained, 1);
  assert.equal((await db.keys().nextMany(100)).length, puts.length);
});

test('a program that waits for drain gets through any amount of data', async () => {
  const db = await space.open({ maxInFlight: '2MB', memory: { writeBuffer: '8MB' } });
  const value = 'x'.repeat(100_000);
  const puts: Promise<void>[] = [];
  let pauses = 0;
  for (let i = 0; i < 200; i++) {
    puts.push(db.put(keyOf(i), value));
    if (!db.needsDrain) continue;
    pauses++;
    await once(db, 'drain');
  }
  await Promise.all(puts);
  assert.ok(pauses > 0);
  assert.equal((await db.keys().nextMany(1000)).length, 200);
});

test('a drain listener that throws keeps no promise waiting', async () => {
  const db = await space.open({ group: HELD });
  const uncaught = once(process, 'uncaughtException');
  db.once('drain', () => {
    throw new Error('thrown by a listener');
  });
  const puts: Promise<void>[] = [];
  while (!db.needsDrain) puts.push(db.put(keyOf(puts.length), 'x'.repeat(MIB)));
  await Promise.all(puts);
  assert.equal(((await uncaught)[0] as Error).message, 'thrown by a listener');
  assert.equal(await db.get('nothing'), undefined);
});

test('above maxInFlight writes are refused with ERR_BACKPRESSURE; the others are written, each in full', async () => {
  const db = await space.open({ maxInFlight: '8MB', group: HELD });
  const refused: number[] = [];
  const written: number[] = [];
  const values = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(4 * MIB, '.'));
  const puts = values.map((value, i) =>
    db.put(keyOf(i), value).then(
      () => written.push(i),
      (error) => {
        assert.ok(error instanceof ThermoclineError && error.code === 'ERR_BACKPRESSURE', String(error));
        assert.match(error.message, /drain/);
        refused.push(i);
      },
    ),
  );
  await Promise.all(puts);
  assert.ok(refused.length > 0 && written.length > 0, `${refused.length} refused, ${written.length} written`);
  assert.deepEqual(await db.keys().nextMany(100), written.map(keyOf)); // biome-ignore format: one line
  for (const i of written) assert.equal(Number.parseInt(db.getSync(keyOf(i)) as string, 10), i);
  assert.equal(db.stats().writes.backpressureRejections, refused.length);
  await db.put(keyOf(refused[0] as number), 'accepted now');
  assert.equal(await db.get(keyOf(refused[0] as number)), 'accepted now');
});

test('one write larger than maxInFlight passes when nothing else is under way', async () => {
  const db = await space.open({ maxInFlight: '1MB' });
  await db.put('large', 'x'.repeat(5 * MIB));
  await db.batch([
    { type: 'put', key: 'a', value: 'y'.repeat(2 * MIB) },
    { type: 'put', key: 'b', value: 'y'.repeat(2 * MIB) },
  ]);
  assert.equal((await db.get('large'))?.length, 5 * MIB);
  assert.deepEqual(await db.keys().nextMany(9), ['a', 'b', 'large']);
});

test('putMany paces itself, whatever the limit', async () => {
  for (const maxInFlight of ['1MB', '100KB', '3KB']) {
    const db = await space.open({ maxInFlight });
    const value = 'x'.repeat(2000);
    const entries = Array.from({ length: 3000 }, (_, i): [string, string] => [keyOf(i), value]);
    async function* source() {
      yield* entries;
    }
    assert.equal(await db.putMany(entries), 3000);
    assert.equal(await db.putMany(source()), 3000);
    assert.equal((await db.keys().nextMany(5000)).length, 3000);
    assert.equal(db.stats().writes.backpressureRejections, 0);
    await db.close();
  }
});

test.run();
