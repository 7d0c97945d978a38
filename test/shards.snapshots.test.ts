// db.shards.snapshot and restore: what is in them, moments, damage, streams.

import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { suite } from 'uvu';
import { type ShardProgress, ThermoclineError } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { type Random, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

/** What a damaged stream may be refused as: within a name or a length it looks like another kind of error. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ERR_CORRUPTION',
  'ERR_FORMAT_VERSION',
  'ERR_INVALID_ARGUMENT',
  'ERR_NOT_FOUND',
]);
const test = suite('shards: snapshots');
const space = new Workspace();
test.after(() => space.clean());

const SHARDS = 4;
const names = Array.from({ length: 2000 }, (_, i) => `user/${i}`);

async function filled(tiers = false, location = space.folder()): Promise<TextDatabase> {
  const options = { shards: SHARDS, ...(tiers && { tiers: { warm: {}, cold: {} } }) };
  const db = await space.open(options, location);
  await db.putMany(names.map((name): [string, string] => [name, `first ${name}`]));
  return db;
}

async function all(db: TextDatabase): Promise<Map<string, string>> {
  const records = new Map<string, string>();
  for await (const [key, value] of db.iterator()) records.set(key, value);
  return records;
}

/** What a shard of the records holds, by its slots. */
async function of(db: TextDatabase, id: number, records: Map<string, string>): Promise<Map<string, string>> {
  const { slots } = await db.shards.get(id);
  const owns = (slot: number) => slots.some(([first, last]) => first <= slot && slot <= last);
  return new Map([...records].filter(([key]) => owns(db.shards.slotOf(key))));
}

async function sound(db: TextDatabase): Promise<void> {
  const { problems } = await db.verify();
  assert.deepEqual(problems, []);
}

/** The first record of the shard that is of one there was at first. */
const keyOf = async (db: TextDatabase, id: number) => [...(await of(db, id, await all(db))).keys()][0] as string;

test('a shard comes back as it was, and the others stay as they are', async () => {
  const db = await filled();
  const before = await all(db);
  const dir = space.folder('snapshot');
  const taken = await db.shards.snapshot(1, dir);
  const mine = await of(db, 1, before);
  assert.deepEqual([taken.shards, taken.keys], [[1], mine.size]);
  assert.equal(taken.files, readdirSync(dir).length - 1);
  assert.equal(taken.linked, taken.files, 'the same disk takes hard links');
  await db.putMany(names.map((name): [string, string] => [name, `second ${name}`]));
  await db.delete(names[0] as string);
  await db.put('new', 'new');
  const after = await all(db);
  for (const key of mine.keys()) await db.get(key); // into the cache
  assert.deepEqual(await db.shards.restore(dir), [1]);
  const expected = new Map(after);
  for (const key of (await of(db, 1, after)).keys()) expected.delete(key);
  for (const [key, value] of mine) expected.set(key, value);
  assert.deepEqual(
    await all(db),
    new Map([...expected].sort(([a], [b]) => (Buffer.from(a) < Buffer.from(b) ? -1 : 1))),
  );
  for (const [key, value] of mine) assert.equal(await db.get(key), value);
  assert.equal((await db.shards.get(1)).generation, 1);
  await sound(db);
  await db.close();
  const again = await space.open({}, db.location);
  assert.deepEqual(await all(again), await all(again));
  for (const [key, value] of mine) assert.equal(await again.get(key), value);
  assert.deepEqual(await again.shards.restore(dir), [1], 'a snapshot can be restored again');
  await sound(again);
});

test('a snapshot of several shards, of all tiers, goes into another database', async () => {
  const db = await filled(true);
  await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => key.endsWith('1') });
  await db.tiers.migrate({ from: 'hot', to: 'warm', filter: (key) => key.endsWith('2') });
  await db.delete('user/11');
  await db.put('user/21', 'again');
  await db.deleteRange({ gte: 'user/3', lt: 'user/4' });
  const dir = space.folder('snapshot');
  await db.shards.snapshot([2, 0], dir);
  assert.ok(readdirSync(dir).some((name) => name.includes('-cold-')));
  const target = await space.open({ shards: SHARDS, tiers: { warm: {}, cold: {} } });
  await target.put('user/5', 'in the way');
  assert.deepEqual((await target.shards.restore(dir)).sort(), [0, 2]);
  const source = await all(db);
  for (const id of [0, 2]) {
    assert.deepEqual(await of(target, id, await all(target)), await of(db, id, source), `shard ${id}`);
  }
  await sound(target);
  await target.tiers.migrate({ from: 'cold', to: 'hot' });
  for (const id of [0, 2]) assert.deepEqual(await of(target, id, await all(target)), await of(db, id, source));
  const plain = await space.open({ shards: SHARDS });
  await rejects(plain.shards.restore(dir), 'ERR_INVALID_ARGUMENT', /tier/);
});

test('`as` replaces a shard of another id, and slots that do not agree are refused by name', async () => {
  const db = await filled();
  const dir = space.folder('snapshot');
  await db.shards.snapshot(3, dir);
  assert.deepEqual(await db.shards.restore(dir, { as: 3 }), [3]);
  await rejects(db.shards.restore(dir, { as: 0 }), 'ERR_INVALID_ARGUMENT', /slots 12288-16383.*slots 0-4095/);
  await rejects(db.shards.restore(dir, { as: 9 }), 'ERR_NOT_FOUND', /shard 9/);
  const other = await space.open({ shards: 3 });
  await rejects(other.shards.restore(dir), 'ERR_INVALID_ARGUMENT', /split or merge/);
  const several = space.folder('several');
  await db.shards.snapshot([0, 1], several);
  await rejects(db.shards.restore(several, { as: 0 }), 'ERR_INVALID_ARGUMENT', /2 shards/);
});

test('several shards are of one moment: batches across them are whole while writes go on', async () => {
  const db = await space.open({ shards: SHARDS });
  const keys = Array.from({ length: 64 }, (_, i) => `account/${i}`);
  let round = 0;
  let stop = false;
  const writer = (async () => {
    while (!stop) {
      const value = String(++round);
      await db.batch(keys.map((key) => ({ type: 'put' as const, key, value })));
      await db.put(`filler/${round % 5000}`, 'x'.repeat(2000));
    }
  })();
  const dirs = Array.from({ length: 6 }, () => space.folder('moment'));
  const floors: number[] = [];
  await Promise.all(
    dirs.map(async (dir, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 30));
      floors[i] = Number(await db.get('account/0')) || 0;
      await db.shards.snapshot([0, 1, 2, 3], dir);
    }),
  );
  stop = true;
  await writer;
  for (const [i, dir] of dirs.entries()) {
    const copy = await space.open({ shards: SHARDS });
    await copy.shards.restore(dir);
    const values = new Set(await copy.getMany(keys));
    assert.equal(values.size, 1, `a batch is torn: ${[...values]}`);
    const [value] = [...values];
    assert.ok(Number(value ?? 0) >= (floors[i] as number), 'what was acknowledged before is in it');
    await sound(copy);
    await copy.close();
  }
});

test('open views go on showing what was there, open transactions conflict', async () => {
  const db = await filled();
  const dir = space.folder('snapshot');
  const key = await keyOf(db, 0);
  await db.shards.snapshot(0, dir);
  await db.put(key, 'later');
  const view = await db.snapshot();
  const walk = db.iterator();
  assert.ok(await walk.next());
  let tries = 0;
  await db.transaction(async (tx) => {
    const seen = await tx.get(key);
    if (++tries === 1) {
      assert.equal(seen, 'later');
      await db.shards.restore(dir);
    } else assert.equal(seen, `first ${key}`);
    tx.put('outcome', `saw ${seen}`);
  });
  assert.equal(tries, 2, 'the first try conflicted');
  assert.equal(await db.get('outcome'), `saw first ${key}`);
  assert.equal(await view.get(key), 'later');
  assert.equal(await db.get(key), `first ${key}`);
  const walked = new Map<string, string>();
  for (let next = await walk.next(); next; next = await walk.next()) walked.set(...next);
  if (walked.has(key)) assert.equal(walked.get(key), 'later');
  await walk.close();
  await view.close();
});

test('a damaged, cut or foreign snapshot is refused by name and touches nothing', async () => {
  const db = await filled();
  const dir = space.folder('snapshot');
  await db.shards.snapshot([0, 1], dir);
  await db.put('after', 'the snapshot');
  const before = await all(db);
  const generations = (await db.shards.list()).map(({ generation }) => generation);
  const table = readdirSync(dir).find((name) => name.endsWith('.sst')) as string;
  const copy = () => {
    const to = space.folder('damaged');
    mkdirSync(to);
    for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(to, name));
    return to;
  };
  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path);
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] as number) ^ 0x10;
    writeFileSync(path, bytes);
  };
  await seeded(async (random: Random) => {
    const size = statSync(join(dir, table)).size;
    for (let i = 0; i < 10; i++) {
      const bad = copy();
      flip(join(bad, table), random.below(size));
      await rejects(db.shards.restore(bad), 'ERR_CORRUPTION', new RegExp(table));
    }
    const manifest = readFileSync(join(dir, 'SHARDS')).length;
    for (let i = 0; i < 20; i++) {
      const bad = copy();
      flip(join(bad, 'SHARDS'), 19 + random.below(manifest - 19));
      await rejects(db.shards.restore(bad), 'ERR_CORRUPTION', /manifest/);
    }
    for (let i = 0; i < 20; i++) {
      const bad = copy();
      writeFileSync(
        join(bad, 'SHARDS'),
        readFileSync(join(dir, 'SHARDS')).subarray(0, 19 + random.below(manifest - 19)),
      );
      await rejects(db.shards.restore(bad), 'ERR_CORRUPTION', /manifest/);
    }
  });
  const cut = copy();
  writeFileSync(join(cut, table), readFileSync(join(dir, table)).subarray(0, -1));
  await rejects(db.shards.restore(cut), 'ERR_CORRUPTION', /bytes instead of/);
  const missing = copy();
  rmSync(join(missing, table));
  await rejects(db.shards.restore(missing), 'ERR_CORRUPTION', /is missing/);
  const unfinished = copy();
  rmSync(join(unfinished, 'SHARDS'));
  await rejects(db.shards.restore(unfinished), 'ERR_NOT_FOUND', /never complete/);
  const foreign = copy();
  writeFileSync(join(foreign, 'SHARDS'), 'something else altogether, and long enough to be read');
  await rejects(db.shards.restore(foreign), 'ERR_INVALID_ARGUMENT', /not one of a Thermocline shard snapshot/);
  await rejects(db.shards.restore(space.folder('nothing')), 'ERR_NOT_FOUND', /no shard snapshot/);
  await rejects(db.shards.restore(db.location), 'ERR_NOT_FOUND');
  assert.deepEqual(await all(db), before);
  assert.deepEqual(
    (await db.shards.list()).map(({ generation }) => generation),
    generations,
  );
  await sound(db);
});

test('what stands in the way of a snapshot is refused, and stays', async () => {
  const db = await filled();
  const full = space.folder('full');
  mkdirSync(full);
  writeFileSync(join(full, 'mine.txt'), 'mine');
  await rejects(db.shards.snapshot(0, full), 'ERR_INVALID_ARGUMENT', /not empty/);
  assert.equal(readFileSync(join(full, 'mine.txt'), 'utf8'), 'mine');
  const dir = space.folder('partial');
  mkdirSync(`${dir}.partial`);
  writeFileSync(join(`${dir}.partial`, 'mine.txt'), 'mine');
  await rejects(db.shards.snapshot(0, dir), 'ERR_INVALID_ARGUMENT', /mine\.txt/);
  assert.equal(readFileSync(join(`${dir}.partial`, 'mine.txt'), 'utf8'), 'mine');
  const free = space.folder('free');
  await rejects(db.shards.snapshot(99, free), 'ERR_NOT_FOUND', /shard 99/);
  assert.ok(!existsSync(free) && !existsSync(`${free}.partial`));
  for (const bad of [-1, 1.5, 2 ** 32, '0', [], [0, 0], null]) {
    await rejects(db.shards.snapshot(bad as number, free), 'ERR_INVALID_ARGUMENT');
  }
  await rejects(db.shards.snapshot(0, ''), 'ERR_INVALID_ARGUMENT');
  await rejects(db.shards.snapshot(0, free, { keep: 1 } as never), 'ERR_INVALID_ARGUMENT', /keep/);
  await rejects(db.shards.restore(free, { at: 1 } as never), 'ERR_INVALID_ARGUMENT', /at/);
  mkdirSync(free);
  assert.deepEqual((await db.shards.snapshot(0, free)).shards, [0], 'an empty folder will do');
  const closed = await space.open({ shards: 1 });
  await closed.close();
  await rejects(closed.shards.snapshot(0, space.folder()), 'ERR_CLOSED');
  throws(() => closed.shards.snapshotStream(0), 'ERR_CLOSED');
});

test('progress reaches the end, and a signal ends the work', async () => {
  const db = await filled();
  const dir = space.folder('snapshot');
  const seen: ShardProgress[] = [];
  const { bytes } = await db.shards.snapshot([0, 1, 2], dir, { onProgress: (progress) => seen.push(progress) });
  assert.deepEqual(seen.at(-1), { bytes, totalBytes: bytes });
  await db.shards.restore(dir, { onProgress: (progress) => seen.push(progress) });
  assert.deepEqual(seen.at(-1), { bytes, totalBytes: bytes });
  const reason = new Error('enough');
  const error = await rejects(
    db.shards.snapshot(0, space.folder('never'), { signal: AbortSignal.abort(reason) }),
    'ERR_ABORTED',
  );
  assert.equal(error.cause, reason);
  const controller = new AbortController();
  const target = space.folder('aborted');
  const running = db.shards.snapshot([0, 1, 2, 3], target, { signal: controller.signal });
  controller.abort(reason);
  await running.then(
    () => assert.ok(existsSync(target), 'it was done before'),
    (error: unknown) => {
      assert.equal((error as { code: string }).code, 'ERR_ABORTED');
      assert.ok(!existsSync(target) && !existsSync(`${target}.partial`));
    },
  );
});

test('a stream takes shards over a socket into another database', async () => {
  const db = await filled();
  const target = await space.open({ shards: SHARDS });
  const received = new Promise<number[]>((resolve, reject) => {
    const server = createServer((socket) => {
      target.shards.restoreStream(socket).then(resolve, reject);
      server.close();
    }).listen(0, '127.0.0.1', () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      pipeline(db.shards.snapshotStream([1, 2]), socket).catch(reject);
    });
  });
  assert.deepEqual((await received).sort(), [1, 2]);
  for (const id of [1, 2]) assert.deepEqual(await of(target, id, await all(target)), await of(db, id, await all(db)));
  for (const one of [db, target]) assert.deepEqual(readdirSync(join(one.location, 'hot', 'ingest')), []);
  await sound(target);
});

test('a stream that is cut, damaged or none is refused and touches nothing', async () => {
  const db = await filled();
  const pieces: Buffer[] = [];
  for await (const piece of db.shards.snapshotStream(0)) pieces.push(piece as Buffer);
  const whole = Buffer.concat(pieces);
  await db.put(await keyOf(db, 0), 'later');
  const before = await all(db);
  const send = (bytes: Buffer) => db.shards.restoreStream(Readable.from([bytes], { objectMode: false }));
  await seeded(async (random) => {
    for (let i = 0; i < 20; i++) {
      await rejects(send(whole.subarray(0, random.below(whole.length))), 'ERR_CORRUPTION', /ends early/);
    }
    for (let i = 0; i < 20; i++) {
      const bad = Buffer.from(whole);
      const at = 40 + random.below(whole.length - 50);
      bad[at] = (bad[at] as number) ^ (1 << random.below(8));
      await assert.rejects(send(bad), (error) => error instanceof ThermoclineError && REFUSALS.has(error.code));
    }
  });
  const first = 27 + 10 + whole.readUInt16LE(27) + Number(whole.readBigUInt64LE(29));
  const twice = Buffer.concat([whole.subarray(0, first), whole.subarray(27)]);
  await rejects(send(twice), 'ERR_CORRUPTION', /a file twice/);
  await rejects(send(Buffer.from('GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n')), 'ERR_INVALID_ARGUMENT', /no stream/);
  await rejects(db.shards.restoreStream('bytes' as never), 'ERR_INVALID_ARGUMENT');
  assert.deepEqual(await all(db), before);
  assert.deepEqual(readdirSync(join(db.location, 'hot', 'ingest')), []);
  const idle = db.shards.snapshotStream(77);
  await rejects(async () => {
    for await (const _ of idle);
  }, 'ERR_NOT_FOUND');
  assert.deepEqual(await send(whole), [0]);
  await sound(db);
});

test('random operations, snapshots and restores agree with a map', async () => {
  await seeded(async (random) => {
    const db = await space.open({ shards: SHARDS, tiers: { cold: {} } });
    const slots = new Map((await db.shards.list()).map(({ id, slots: [range] }) => [id, range as [number, number]]));
    const owner = (key: string) => Math.floor(db.shards.slotOf(key) / 4096);
    assert.deepEqual(slots.get(1), [4096, 8191]);
    let model = new Map<string, string>();
    const kept: { dir: string; ids: number[]; was: Map<string, string> }[] = [];
    for (let step = 0; step < 60; step++) {
      const writes = Array.from({ length: random.below(80) }, () => `k${random.below(500)}`);
      await Promise.all(
        writes.map((key) => {
          if (random.below(4) === 0) {
            model.delete(key);
            return db.delete(key);
          }
          model.set(key, `${step}`);
          return db.put(key, `${step}`);
        }),
      );
      const what = random.below(8);
      if (what === 0) await db.tiers.migrate({ from: 'hot', to: 'cold' });
      else if (what === 1) await db.flush();
      else if (what === 2) {
        const from = `k${random.below(500)}`;
        await db.deleteRange({ gte: from, lt: `${from}~` });
        for (const key of model.keys()) if (key >= from && key < `${from}~`) model.delete(key);
      } else if (what <= 4) {
        const ids = [0, 1, 2, 3].filter(() => random.below(2) === 0);
        if (ids.length === 0) ids.push(0);
        const dir = space.folder('model');
        await db.shards.snapshot(ids, dir);
        kept.push({ dir, ids, was: new Map(model) });
      } else if (what === 5 && kept.length > 0) {
        const { dir, ids, was } = random.pick(kept);
        await db.shards.restore(dir);
        model = new Map([
          ...[...model].filter(([key]) => !ids.includes(owner(key))),
          ...[...was].filter(([key]) => ids.includes(owner(key))),
        ]);
      }
      if (step % 10 === 9) {
        assert.deepEqual(
          [...(await all(db))],
          [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
        );
        await sound(db);
      }
    }
  });
});

test.run();
