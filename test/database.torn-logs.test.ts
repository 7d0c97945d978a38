// A damaged length in a log or manifest looks to RocksDB like a record that a crash has torn, behind which it forgets
// everything, tables included. It has to be told from a real tear, before anything is changed.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('database: torn logs');
const space = new Workspace();
test.after(() => space.clean());

const COUNT = 25;
const KEYS = Array.from({ length: COUNT }, (_, i) => `key${String(i).padStart(2, '0')}`);
const BLOCK = 32_768;
const HEADER = 7; // checksum, length, type

/** Where the records of a log begin. */
function recordsOf(bytes: Buffer): number[] {
  const starts: number[] = [];
  let at = 0;
  while (at + HEADER <= bytes.length && bytes[at + 6] !== 0) {
    starts.push(at);
    at += HEADER + bytes.readUInt16LE(at + 4);
    if (BLOCK - (at % BLOCK) < HEADER) at += BLOCK - (at % BLOCK);
  }
  return starts;
}

/** A folder as a crash would leave it, its writes in the log or in tables. */
async function image(flushed: boolean): Promise<string> {
  const db = await space.open({ shards: 2 });
  for (const key of KEYS) await db.put(key, `value of ${key}`.repeat(10));
  if (flushed) await db.flush();
  const copy = space.folder();
  cpSync(db.location, copy, { recursive: true });
  await db.close();
  return copy;
}

/** The log that holds the writes. */
function logOf(location: string): string {
  const folder = path.join(location, 'hot');
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  const size = (name: string) => statSync(path.join(folder, name)).size;
  return logs.sort((a, b) => size(b) - size(a))[0] as string;
}

async function keysOf(location: string): Promise<string[]> {
  const db = await space.open({}, location);
  const keys = await db.keys().nextMany(1000);
  await db.close();
  return keys;
}

/** Damages the length of each record but the last so that it reaches past the end; every time the open is refused. */
async function refusesEach(original: string, name: string): Promise<number> {
  const whole = readFileSync(path.join(original, 'hot', name));
  const starts = recordsOf(whole).slice(0, -1);
  for (const start of starts) {
    const location = space.folder();
    cpSync(original, location, { recursive: true });
    const file = path.join(location, 'hot', name);
    const damaged = Buffer.from(whole);
    damaged[start + 5] = (damaged[start + 5] as number) ^ 0x80;
    for (const readOnly of [true, false]) {
      writeFileSync(file, damaged);
      await rejects(() => open(location, { readOnly }), 'ERR_CORRUPTION', /restore/);
    }
    writeFileSync(file, whole);
    assert.deepEqual(await keysOf(location), KEYS, `refusing has changed something (record at ${start} of ${name})`);
    rmSync(location, { recursive: true });
  }
  return starts.length;
}

test('a log with a damaged length is refused, and loses nothing once it is mended', async () => {
  const original = await image(false);
  assert.ok((await refusesEach(original, logOf(original))) >= COUNT - 1);
});

test('a manifest with a damaged length is refused, and no table is deleted for it', async () => {
  const original = await image(true);
  const manifest = readFileSync(path.join(original, 'hot', 'CURRENT'), 'utf8').trim();
  assert.ok((await refusesEach(original, manifest)) > 5);
});

test('a log that a crash has torn at any byte of its last record opens without that record', async () => {
  const original = await image(false);
  const log = logOf(original);
  const whole = readFileSync(path.join(original, 'hot', log));
  const last = recordsOf(whole).at(-1) as number;
  for (const end of [last, last + 1, last + 6, last + 7, last + 8, (last + whole.length) >> 1, whole.length - 1]) {
    const location = space.folder();
    cpSync(original, location, { recursive: true });
    writeFileSync(path.join(location, 'hot', log), whole.subarray(0, end));
    assert.deepEqual(await keysOf(location), KEYS.slice(0, -1));
    rmSync(location, { recursive: true });
  }
});

test.run();
