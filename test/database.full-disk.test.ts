// A disk that is full: writes fail with ERR_NO_SPACE, reads go on, and nothing that was acknowledged is lost.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { open, ThermoclineError } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { SmallDisk } from './helpers/small-disk.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: full disk');
const space = new Workspace();
const probe = SmallDisk.mount(space.folder('probe'), 1);
probe?.unmount();
/** Skipped by name where no file system can be mounted. */
const mounting = probe === undefined ? test.skip : test;
// Not compressed, or the disk would never be full of these values.
const SMALL = { shards: 2, memory: { writeBuffer: '1MB', hotCache: 0 }, compression: 'none' } as const;
const keyOf = (i: number) => `key${String(i).padStart(5, '0')}`;
const textOf = (i: number) => `${i}:`.padEnd(10_000, '0123456789abcdef');

async function onDisk(megabytes: number, body: (disk: SmallDisk, location: string) => Promise<void>): Promise<void> {
  const disk = SmallDisk.mount(space.folder('disk'), megabytes) as SmallDisk;
  try {
    await body(disk, path.join(disk.path, 'db'));
  } finally {
    disk.unmount();
  }
}
test.after(() => space.clean());

/** Writes until it fails. Gives how many were acknowledged, and the failure. */
async function fill(db: TextDatabase): Promise<{ written: number; error: ThermoclineError }> {
  for (let written = 0; written < 100_000; written++) {
    try {
      await db.put(keyOf(written), textOf(written));
    } catch (error) {
      assert.ok(error instanceof ThermoclineError, String(error));
      return { written, error };
    }
  }
  assert.fail('the disk never filled');
}

async function holds(db: TextDatabase, count: number): Promise<void> {
  const values = await db.getMany(Array.from({ length: count }, (_, i) => keyOf(i)));
  for (const [i, value] of values.entries()) if (value !== textOf(i)) assert.fail(`${keyOf(i)} of ${count} is lost`);
  let seen = 0;
  for await (const [key, value] of db.iterator({ lt: keyOf(count) })) {
    assert.equal(key, keyOf(seen));
    if (value !== textOf(seen++)) assert.fail(`${key} has another value`);
  }
  assert.equal(seen, count);
}

mounting('a write that does not fit rejects with ERR_NO_SPACE, later ones are refused, and reads go on', () =>
  onDisk(24, async (_, location) => {
    const db = await space.open(SMALL, location);
    const { written, error } = await fill(db);
    assert.ok(written > 100, `${written} records`);
    assert.equal(error.code, 'ERR_NO_SPACE', error.message);
    assert.match(error.message, /[Nn]o space/);
    for (let attempt = 0; attempt < 2; attempt++) {
      const later = await db.put('later', 'x').then(
        () => assert.fail('a write after a failed one was accepted'),
        (failure) => failure as ThermoclineError,
      );
      assert.ok(['ERR_READ_ONLY', 'ERR_NO_SPACE'].includes(later.code), later.message);
      assert.match(later.message, /resume|reopen/, 'the message says what to do');
    }
    await holds(db, written);
    await db.close();
  }),
);

mounting('after room was made resume() suffices, and everything acknowledged is there', () =>
  onDisk(24, async (disk, location) => {
    const db = await space.open(SMALL, location);
    const { written } = await fill(db);
    // Without more room it may find a little, or say that there is none.
    const early = await db.resume().catch((error: ThermoclineError) => error.code);
    assert.ok(early === undefined || early === 'ERR_NO_SPACE', String(early));
    disk.resize(96);
    await db.resume();
    await db.put('later', 'y');
    assert.equal(await db.get('later'), 'y');
    await holds(db, written);
    await db.flush();
    await db.close();
    const again = await space.open(SMALL, location);
    await holds(again, written);
    assert.equal(await again.get('later'), 'y');
    await again.close();
  }),
);

mounting('after room was made reopening suffices as well, even several times', () =>
  onDisk(24, async (disk, location) => {
    let total = 0;
    for (let round = 0; round < 2; round++) {
      const db = await space.open(SMALL, location);
      await holds(db, total);
      for (;;) {
        const failed = await db.put(keyOf(total), textOf(total)).catch((error) => error as ThermoclineError);
        if (failed !== undefined) {
          assert.equal(failed.code, 'ERR_NO_SPACE', failed.message);
          break;
        }
        total++;
      }
      await db.close();
      disk.resize(24 + 24 * (round + 1));
    }
    const db = await space.open(SMALL, location);
    await holds(db, total);
    await db.put(keyOf(total), textOf(total));
    await holds(db, total + 1);
    await db.close();
  }),
);

mounting('with many writes in flight each is acknowledged or refused, batches whole', () =>
  onDisk(24, async (disk, location) => {
    const db = await space.open(SMALL, location);
    const outcomes: boolean[] = [];
    while (outcomes.at(-1) !== false) {
      const batches = Array.from({ length: 20 }, (_, i) => {
        const n = outcomes.length + i;
        return db.batch([
          { type: 'put', key: `a${n}`, value: textOf(n) },
          { type: 'put', key: `b${n}`, value: textOf(n) },
        ]);
      });
      for (const { status } of await Promise.allSettled(batches)) outcomes.push(status === 'fulfilled');
    }
    await db.close();
    disk.resize(96);
    const again = await space.open(SMALL, location);
    for (const [n, acknowledged] of outcomes.entries()) {
      const [a, b] = await again.getMany([`a${n}`, `b${n}`]);
      assert.equal(a, b, `half of batch ${n}`);
      if (acknowledged) assert.equal(a, textOf(n), `batch ${n} was acknowledged`);
    }
    await again.close();
  }),
);

mounting('a database that cannot be created for lack of room says so, and can be created later', () =>
  onDisk(1, async (disk, location) => {
    const hog = await space.open({ shards: 1 }, path.join(disk.path, 'hog'));
    await hog.put('k', 'x'.repeat(700_000)).catch(() => {});
    for (let i = 0; i < 2000; i++) if (await hog.put(`k${i}`, 'x'.repeat(500)).then(() => false, () => true)) break; // biome-ignore format: one line
    await rejects(() => open(location, { shards: 8 }), 'ERR_NO_SPACE', /[Nn]o space/);
    await hog.close();
    disk.resize(32);
    const db = await space.open({ shards: 8 }, location);
    await db.put('k', 'v');
    assert.equal(await db.get('k'), 'v');
    await db.close();
    assert.ok(existsSync(path.join(location, 'hot')));
  }),
);

test.run();
