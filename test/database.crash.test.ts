// A process killed amid its writes: what it had acknowledged is there, batches are whole or absent.

import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { start } from './helpers/child.ts';
import { type Random, RUNS, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('database: crash');
const space = new Workspace();
test.after(() => space.clean());

/** Per kind and writer, the numbers that were acknowledged. */
type Acknowledged = Map<string, Set<number>>;

/** Runs a writer until it has noted so many bytes of acknowledgements, then kills it. */
async function writeAndKill(location: string, round: number, bytes: number): Promise<Acknowledged> {
  const file = space.folder('acknowledged');
  writeFileSync(file, '');
  const child = start('crash-writer.ts', [location, String(round), file]);
  while (child.process.exitCode === null && statSync(file).size < bytes) await sleep(2);
  const { signal, stderr } = await child.kill('SIGKILL');
  assert.equal(signal, 'SIGKILL', `the writer ended by itself: ${stderr}`);
  const acknowledged: Acknowledged = new Map();
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    const [kind, writer, number] = line.split(' ') as [string, string, string];
    const name = `${kind}/${writer}`;
    if (!acknowledged.has(name)) acknowledged.set(name, new Set());
    acknowledged.get(name)?.add(Number(number));
  }
  return acknowledged;
}

async function putsAreThere(db: TextDatabase, writer: string, numbers: Set<number>): Promise<void> {
  for (const n of numbers) {
    const values = await db.getMany(Array.from({ length: 20 }, (_, i) => `put/${writer}/${n}/${i}`));
    for (const value of values) assert.equal(value, `${n}`.padEnd(200, '.'), `put ${n} of ${writer}`);
  }
}

async function batchesAreWhole(db: TextDatabase, writer: string, numbers: Set<number>): Promise<void> {
  const parts = new Map<number, number>();
  for await (const [key, value] of db.iterator({ prefix: `batch/${writer}/` })) {
    const [n, i] = key.split('/').slice(2).map(Number) as [number, number];
    assert.equal(value, `${n}`.padEnd(i * 100, '.'));
    parts.set(n, (parts.get(n) ?? 0) + 1);
  }
  for (const [n, count] of parts) assert.equal(count, 7, `batch ${n} of ${writer}`);
  for (const n of numbers) assert.ok(parts.has(n), `batch ${n} of ${writer} was acknowledged`);
  // Batches are applied in the order of the calls, and this key is in each.
  const latest = Number(await db.get(`latest/${writer}`));
  assert.equal(latest, Math.max(...parts.keys()));
}

async function isKept(db: TextDatabase, acknowledged: Acknowledged): Promise<void> {
  for (const [name, numbers] of acknowledged) {
    const [kind, writer] = name.split('/') as [string, string];
    if (kind === 'put') await putsAreThere(db, writer, numbers);
    else if (kind === 'batch') await batchesAreWhole(db, writer, numbers);
    else if (kind === 'version') {
      const version = Number(await db.get(`version/${writer}`));
      assert.ok(version >= Math.max(...numbers), `version ${version} of ${writer}`);
    } else if (kind === 'deletion') {
      const keys = await db.keys({ prefix: `deleted/${writer}/` }).nextMany(1e6);
      for (const key of keys) assert.ok(!numbers.has(Number(key.split('/')[2])), `${key} was deleted`);
    } else assert.fail(`what is '${name}'?`);
  }
}

test('every acknowledged write survives SIGKILL, round after round', () =>
  seeded(async (random: Random) => {
    const location = space.folder();
    const rounds: Acknowledged[] = [];
    for (let round = 0; round < 4 * RUNS; round++) {
      rounds.push(await writeAndKill(location, round, 5000 + random.below(60_000)));
      const db = await space.open({}, location);
      await isKept(db, rounds.at(-1) as Acknowledged);
      // Not every time, so that recovery also meets logs of several lives.
      if (round % 2 === 1) await db.flush();
      await db.close();
    }
    const db = await space.open({}, location);
    for (const acknowledged of rounds) await isKept(db, acknowledged);
    await db.compact();
    for (const acknowledged of rounds) await isKept(db, acknowledged);
  }));

test('a process killed while it creates a database leaves a folder that opens', () =>
  seeded(async (random: Random) => {
    for (let round = 0; round < 6 * RUNS; round++) {
      const location = space.folder();
      const child = start('creator.ts', [location]);
      assert.equal(await child.line(), 'opening');
      // Anywhere between before the first file and after the last.
      const until = performance.now() + random.below(60);
      while (performance.now() < until) await new Promise(setImmediate);
      await child.kill();
      const db = await space.open({ shards: 9 }, location);
      await db.put('k', 'v');
      await db.close();
      const again = await space.open({}, location);
      assert.equal(await again.get('k'), 'v');
      assert.ok([9, 24].includes(again.stats().shards), `${again.stats().shards} shards`);
      await again.close();
    }
  }));

test.run();
