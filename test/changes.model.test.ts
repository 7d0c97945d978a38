// Replaying the feed into a map gives the database: random writes of every kind, many in flight at once, with flushes,
// compactions, reopenings and readers that fall behind.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { ThermoclineError } from '../lib/index.ts';
import { type Random, RUNS, seeded } from './helpers/random.ts';
import { Replay, recordsOf } from './helpers/replay.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('changes: model');
const space = new Workspace();
test.after(() => space.clean());

const key = (random: Random) => `k${random.below(60)}`;
const value = (random: Random) => 'v'.repeat(random.below(random.below(10) === 0 ? 5000 : 50)) + random.below(1000);

function write(db: TextDatabase, random: Random): Promise<unknown> {
  switch (random.below(9)) {
    case 0:
      return db.delete(key(random));
    case 1: {
      const operations = Array.from({ length: random.below(40) }, () =>
        random.below(4) === 0
          ? { type: 'del' as const, key: key(random) }
          : { type: 'put' as const, key: key(random), value: value(random) },
      );
      return db.batch(operations);
    }
    case 2: {
      const [a, b] = [key(random), key(random)].sort() as [string, string];
      return db.deleteRange(random.below(3) === 0 ? { gte: b } : { gte: a, lt: b });
    }
    case 3: {
      const batch = db.beginBatch();
      for (let i = random.below(20); i >= 0; i--) {
        if (random.below(8) === 0) batch.deleteRange({ prefix: `k${random.below(6)}` });
        else batch.put(key(random), value(random));
      }
      return batch.commit();
    }
    case 4:
      return db.transaction(async (tx) => {
        const name = key(random);
        const old = (await tx.get(name)) ?? '';
        tx.put(name, `${old.slice(-20)}!`);
        tx.delete(key(random));
      });
    case 5:
      return db.putIf(key(random), value(random), { absent: true });
    case 6:
      return db.putMany(Array.from({ length: random.below(50) }, () => [key(random), value(random)]));
    default:
      return db.put(key(random), value(random));
  }
}

async function history(random: Random, tiers: boolean): Promise<void> {
  const location = space.folder();
  const options = { changes: true, shards: 1 + random.below(4), memory: { writeBuffer: '1MB' } };
  let db = await space.open({ ...options, ...(tiers ? { tiers: { cold: {} } } : {}) }, location);
  const replay = new Replay<string>();
  let feed = db.changes({ since: 0 });
  for (let step = 0; step < 60; step++) {
    const writes: Promise<unknown>[] = [];
    for (let i = random.below(12); i >= 0; i--) writes.push(write(db, random));
    for (const result of await Promise.allSettled(writes)) {
      const conflict = result.status === 'rejected' && result.reason instanceof ThermoclineError;
      if (result.status === 'rejected' && !(conflict && result.reason.code === 'ERR_CONFLICT')) throw result.reason;
    }
    const chance = random.below(10);
    if (chance === 0) await db.flush();
    if (chance === 1) await db.compact();
    if (chance === 2 && tiers) await db.tiers.migrate({ from: 'hot', to: 'cold' });
    if (chance === 3) {
      await db.close();
      db = await space.open({}, location);
      feed = db.changes({ since: replay.sequence });
    }
    if (random.below(3) === 0) {
      const end = db.changes().sequence;
      await db.put('marker', String(step));
      await replay.follow(feed, end + 1);
      assert.deepEqual(replay.sorted(), await recordsOf(db));
    }
  }
  const all = new Replay<string>();
  const end = db.changes().sequence;
  await db.put('marker', 'end');
  await all.follow(db.changes({ since: 0 }), end + 1);
  assert.deepEqual(all.sorted(), await recordsOf(db), 'the whole feed makes the whole database');
  await db.close();
}

for (const tiers of [false, true]) {
  test(`replaying the feed gives the database${tiers ? ', with records in another tier' : ''}`, () =>
    seeded(async (random) => {
      for (let run = 0; run < 2 * RUNS; run++) await history(random, tiers);
    }));
}

test.run();
