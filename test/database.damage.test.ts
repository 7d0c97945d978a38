// Damaged files: reported as ERR_CORRUPTION, never read as other values or as none; what is whole stays readable, and
// what a crash has torn off the end of the log was never acknowledged.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { open, ThermoclineError } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Random, RUNS, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: damage');
const space = new Workspace();
test.after(() => space.clean());

const COUNT = 400;
const keyOf = (i: number) => `key${String(i).padStart(4, '0')}`;
const text = new Random(3);
/** Incompressible, so that a flipped byte is in somebody's value. */
const VALUES = Array.from({ length: COUNT }, () => text.bytes(450).toString('base64'));

function files(location: string, extension: string): string[] {
  const folder = path.join(location, 'hot');
  return readdirSync(folder)
    .filter((name) => name.endsWith(extension))
    .map((name) => path.join(folder, name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

/** Flips one bit, runs `body`, and flips it back. */
async function flipped(file: string, offset: number, body: () => Promise<void>): Promise<void> {
  const bytes = readFileSync(file);
  const change = () => {
    bytes[offset] = (bytes[offset] as number) ^ 0x10;
    writeFileSync(file, bytes);
  };
  change();
  try {
    await body();
  } finally {
    change();
  }
}

function isCorruption(error: unknown): error is ThermoclineError {
  if (error instanceof ThermoclineError && error.code === 'ERR_CORRUPTION') return true;
  throw error;
}

/** A closed database whose records are all in one table. */
async function inTables(): Promise<string> {
  const location = space.folder();
  const db = await space.open({ shards: 1 }, location);
  await db.putMany(VALUES.map((value, i) => [keyOf(i), value]));
  await db.flush();
  await db.close();
  return location;
}

/** Reads everything in every way. Whatever does not fail has to be right. Gives how many keys failed. */
async function readsRightOrFails(db: TextDatabase): Promise<number> {
  const gets = await Promise.allSettled(VALUES.map((_, i) => db.get(keyOf(i))));
  let failed = 0;
  for (const [i, outcome] of gets.entries()) {
    if (outcome.status === 'fulfilled') assert.equal(outcome.value, VALUES[i]);
    else if (isCorruption(outcome.reason)) failed++;
    try {
      assert.equal(db.getSync(keyOf(i)), VALUES[i]);
      assert.equal(outcome.status, 'fulfilled', `get of ${keyOf(i)} failed for the damage of another key`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      isCorruption(error);
    }
  }
  for (const reverse of [false, true]) {
    let seen = 0;
    try {
      for await (const [key, value] of db.iterator({ reverse })) {
        const i = reverse ? COUNT - 1 - seen : seen;
        assert.deepEqual([key, value], [keyOf(i), VALUES[i]]);
        seen++;
      }
      assert.equal(seen, COUNT, 'a walk that met damage looked like one that ended');
      assert.equal(failed, 0, 'a walk did not meet the damage');
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      isCorruption(error);
    }
  }
  try {
    assert.deepEqual(await db.getMany(VALUES.map((_, i) => keyOf(i))), VALUES);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    isCorruption(error);
  }
  return failed;
}

test('a flipped bit anywhere in a table is reported, and no read gives a wrong value', () =>
  seeded(async (random) => {
    const location = await inTables();
    const [table] = files(location, '.sst') as [string];
    const { size } = statSync(table);
    let damaged = 0;
    const offsets = [0, size - 1, size - 60, ...Array.from({ length: 12 * RUNS }, () => random.below(size))];
    for (const offset of offsets) {
      await flipped(table, offset, async () => {
        let db: TextDatabase;
        try {
          db = await space.open({}, location);
        } catch (error) {
          if (isCorruption(error)) damaged++;
          return;
        }
        if ((await readsRightOrFails(db)) > 0) damaged++;
        await db.close();
      });
    }
    assert.ok(damaged > 5, `${damaged} of ${offsets.length} flips were noticed`);
    const db = await space.open({}, location);
    assert.equal(await readsRightOrFails(db), 0, 'the table is whole again');
  }));

test('damage in one block leaves the records of all others readable, in the same turn and the same call', async () => {
  const location = await inTables();
  const [table] = files(location, '.sst') as [string];
  await flipped(table, statSync(table).size >> 1, async () => {
    const db = await space.open({ memory: { hotCache: 0 } }, location);
    const failed = await readsRightOrFails(db);
    assert.ok(failed > 0 && failed < COUNT / 10, `${failed} keys failed`);
    await db.close();
  });
});

test('a missing or cut table is reported when the database is opened', async () => {
  const location = await inTables();
  const copy = space.folder();
  const [table] = files(location, '.sst') as [string];
  const changes: ((file: string) => void)[] = [
    (file) => rmSync(file),
    (file) => truncateSync(file, 0),
    (file) => truncateSync(file, statSync(file).size - 1),
    (file) => truncateSync(file, statSync(file).size >> 1),
  ];
  for (const change of changes) {
    cpSync(location, copy, { recursive: true });
    change(path.join(copy, 'hot', path.basename(table)));
    for (const readOnly of [false, true]) await rejects(() => open(copy, { readOnly }), 'ERR_CORRUPTION');
    cpSync(table, path.join(copy, 'hot', path.basename(table)));
    const db = await space.open({}, copy);
    assert.equal(await readsRightOrFails(db), 0, 'refusing has harmed nothing');
    await db.close();
    rmSync(copy, { recursive: true });
  }
});

test('a damaged manifest is reported when the database is opened', async () => {
  const location = await inTables();
  const manifest = path.join(location, 'hot', readFileSync(path.join(location, 'hot', 'CURRENT'), 'utf8').trim());
  const whole = readFileSync(manifest);
  for (const offset of [10, whole.length >> 1]) {
    await flipped(manifest, offset, () => rejects(() => open(location), 'ERR_CORRUPTION').then(() => {}));
  }
  rmSync(manifest);
  await rejects(() => open(location), 'ERR_CORRUPTION');
  writeFileSync(manifest, whole);
  assert.equal(await readsRightOrFails(await space.open({}, location)), 0);
});

/** What a crash would leave: a copy of the folder while the records are in the log alone. */
async function inLog(count: number, shards = 4): Promise<string> {
  const db = await space.open({ shards });
  for (let i = 0; i < count; i++) {
    if (i % 10 === 9)
      await db.batch([keyOf(i), `${keyOf(i)}/twin`].map((key) => ({ type: 'put', key, value: VALUES[i] as string })));
    else await db.put(keyOf(i), VALUES[i] as string);
  }
  const copy = space.folder();
  cpSync(db.location, copy, { recursive: true });
  await db.close();
  return copy;
}

/** The records that are there are the first ones, batches whole. Gives how many. */
async function isPrefix(location: string): Promise<number> {
  const db = await space.open({}, location);
  const keys = await db.keys().nextMany(10_000);
  const singles = keys.filter((key) => !key.includes('/'));
  for (const [i, key] of singles.entries()) {
    assert.equal(key, keyOf(i));
    assert.equal(await db.get(key), VALUES[i]);
    assert.equal(keys.includes(`${key}/twin`), i % 10 === 9, `half a batch at ${key}`);
  }
  await db.close();
  return singles.length;
}

test('a log cut anywhere opens with what it still holds: the first writes, batches whole', () =>
  seeded(async (random) => {
    const count = 40;
    const image = await inLog(count);
    const [log] = files(image, '.log') as [string];
    const { size } = statSync(log);
    assert.ok(size > count * 600, 'the records are in the log');
    const cuts = [0, 1, 5, 7, 8, 300, 600, 601, ...Array.from({ length: 6 * RUNS }, () => random.below(size))];
    let fewest = count;
    for (const cut of cuts) {
      const copy = space.folder();
      cpSync(image, copy, { recursive: true });
      truncateSync(path.join(copy, 'hot', path.basename(log)), size - cut);
      const found = await isPrefix(copy);
      // A record takes at least 600 bytes of the log; the one at the cut is lost.
      assert.ok(found >= count - 1 - cut / 600, `${found} records after a cut of ${cut} bytes`);
      if (cut === 0) assert.equal(found, count);
      else assert.ok(found < count);
      fewest = Math.min(fewest, found);
      rmSync(copy, { recursive: true });
    }
    assert.ok(fewest < count - 5);
  }));

test('zeros behind the end of the log, as some file systems leave them, lose nothing', async () => {
  const image = await inLog(20);
  const [log] = files(image, '.log') as [string];
  writeFileSync(log, Buffer.concat([readFileSync(log), Buffer.alloc(5000)]));
  assert.equal(await isPrefix(image), 20);
});

test('a flipped bit amid the log is refused with ERR_CORRUPTION, for that write was acknowledged', () =>
  seeded(async (random) => {
    const image = await inLog(60);
    const [log] = files(image, '.log') as [string];
    const { size } = statSync(log);
    // Not in the last records: there damage cannot be told from a write that a crash has torn.
    for (let i = 0; i < 15 * RUNS; i++) {
      const offset = random.below(size - 3000);
      await flipped(log, offset, async () => {
        for (const readOnly of [false, true]) {
          await rejects(() => open(image, { readOnly }), 'ERR_CORRUPTION').catch((error) => {
            error.message += ` (bit flipped at ${offset} of ${size})`;
            throw error;
          });
        }
      });
    }
    assert.equal(await isPrefix(image), 60, 'refusing has harmed nothing');
  }));

test.run();
