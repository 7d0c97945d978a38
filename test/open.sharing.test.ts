// open and destroy: creating, refusing, opening again, opening twice, removing.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { destroy, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const opening = suite('open: creating and sharing');
const space = new Workspace();

opening('creates the folder and those above it', async () => {
  const location = path.join(space.folder(), 'a', 'b', 'c');
  const db = await space.open({}, location);
  await db.put('k', 'v');
  assert.deepEqual(readdirSync(location).sort(), ['LOCK', 'hot']);
});

opening('with createIfMissing: false refuses where nothing is, and creates nothing', async () => {
  const location = space.folder();
  await rejects(() => open(location, { createIfMissing: false }), 'ERR_NOT_FOUND', /no database/);
  assert.equal(existsSync(location), false);
  mkdirSync(location);
  await rejects(() => open(location, { createIfMissing: false }), 'ERR_NOT_FOUND', /no database/);
  assert.deepEqual(readdirSync(location), []);
  await (await space.open({}, location)).close();
  await (await space.open({ createIfMissing: false }, location)).close();
});

opening('with errorIfExists: true refuses a database that exists, open or closed', async () => {
  const location = space.folder();
  const db = await space.open({ errorIfExists: true }, location);
  await db.put('k', 'v');
  await rejects(() => open(location, { errorIfExists: true }), 'ERR_INVALID_ARGUMENT', /exists/);
  await db.close();
  await rejects(() => open(location, { errorIfExists: true }), 'ERR_INVALID_ARGUMENT', /exists/);
  assert.equal((await space.open({}, location)).getSync('k'), 'v');
});

opening('the number of shards is that of the creation', async () => {
  for (const shards of [1, 3, 256]) {
    const location = space.folder();
    const db = await space.open({ shards }, location);
    assert.equal(db.stats().shards, shards);
    await db.put('k', 'v');
    await db.close();
    const again = await space.open({ shards: 7 }, location);
    assert.equal(again.stats().shards, shards);
    assert.equal(await again.get('k'), 'v');
    await again.close();
  }
});

opening('every preset and memory size serves', async () => {
  const location = space.folder();
  const sizes = { hotCache: '1.5 MiB', blockCache: 1 << 20, writeBuffer: '1MB' };
  const variants = [
    { preset: 'balanced' },
    { preset: 'production' },
    { preset: 'bulk-load' },
    { preset: 'low-memory' },
    { preset: 'low-memory', memory: { hotCache: 0 } },
    { memory: sizes },
    { threads: { read: 1, background: 1 } },
    { durability: 'wal' },
  ] as const;
  for (const [i, options] of variants.entries()) {
    const db = await space.open(options, location);
    await db.put(`k${i}`, 'v');
    assert.equal((await db.getMany(variants.map((_, j) => `k${j}`))).filter((value) => value === 'v').length, i + 1);
    await db.close();
  }
  const db = await space.open({ memory: sizes }, location);
  assert.equal(db.stats().memory.hotCacheCapacityBytes, 1.5 * 2 ** 20);
  assert.equal(db.stats().memory.blockCacheCapacityBytes, 2 ** 20);
});

opening('twice in one process gives two objects over one database', async () => {
  const location = space.folder();
  const first = await space.open({}, location);
  const second = await space.open({}, location);
  await first.put('a', 'from the first');
  assert.equal(second.getSync('a'), 'from the first');
  await second.put('b', 'from the second');
  await first.close();
  assert.equal(await second.get('b'), 'from the second');
  await second.put('c', '3');
  await rejects(() => first.get('a'), 'ERR_CLOSED');
  await second.close();
  const third = await space.open({}, location);
  assert.deepEqual(await third.getMany(['a', 'b', 'c']), ['from the first', 'from the second', '3']);
});

opening('by another path to the same folder shares too', async () => {
  const location = space.folder();
  const first = await space.open({}, location);
  const link = space.folder('link');
  symlinkSync(location, link);
  for (const other of [link, `${location}/`, path.join(location, '..', path.basename(location)), `${location}/./`]) {
    const second = await space.open({}, other);
    await first.put('via', other);
    assert.equal(second.getSync('via'), other);
    await second.close();
  }
});

opening('many times at once, while others close, never sees the folder locked or half open', async () => {
  const location = space.folder();
  await (await space.open({}, location)).close();
  const user = async (name: string) => {
    for (let round = 0; round < 8; round++) {
      const db = await open(location, { valueEncoding: 'utf8' });
      await db.put(`${name}/${round}`, name);
      assert.equal(db.getSync(`${name}/${round}`), name);
      await db.close();
    }
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(user));
  const db = await space.open({}, location);
  assert.equal((await db.keys().nextMany(1000)).length, 5 * 8);
});

opening('while the same database closes waits for it, and sees its last writes', async () => {
  const location = space.folder();
  for (let round = 0; round < 10; round++) {
    const db = await space.open({}, location);
    const written = db.put('round', String(round));
    const closing = db.close();
    const again = await space.open({}, location);
    await Promise.all([written, closing]);
    assert.equal(await again.get('round'), String(round));
    await again.close();
  }
});

opening('read-only beside a writer of the same process sees its writes and refuses its own', async () => {
  const writer = await space.open();
  const reader = await space.open({ readOnly: true }, writer.location);
  await writer.put('k', 'v');
  assert.equal(await reader.get('k'), 'v');
  await rejects(() => reader.put('k', 'w'), 'ERR_READ_ONLY');
  assert.equal(await writer.get('k'), 'v');
});

opening('read-only refuses every write and serves every read', async () => {
  const location = space.folder();
  const before = await space.open({}, location);
  await before.putMany([['a', '1'], ['b', '2']]); // biome-ignore format: one line
  await before.close();
  const files = readdirSync(path.join(location, 'hot')).sort();
  const db = await space.open({ readOnly: true }, location);
  const other = await space.open({ readOnly: true }, location);
  await rejects(() => db.put('a', 'x'), 'ERR_READ_ONLY');
  await rejects(() => db.delete('a'), 'ERR_READ_ONLY');
  await rejects(() => db.batch([{ type: 'del', key: 'a' }]), 'ERR_READ_ONLY');
  await rejects(() => db.putMany([['a', 'x']]), 'ERR_READ_ONLY');
  await rejects(() => db.deleteRange({}), 'ERR_READ_ONLY');
  await rejects(() => db.flush(), 'ERR_READ_ONLY');
  await rejects(() => db.compact(), 'ERR_READ_ONLY');
  assert.equal(db.getSync('a'), '1');
  assert.deepEqual(await db.getMany(['a', 'b', 'c']), ['1', '2', undefined]);
  assert.deepEqual(await db.iterator({ reverse: true }).nextMany(9), [['b', '2'], ['a', '1']]); // biome-ignore format: one line
  const snapshot = await db.snapshot();
  assert.equal(await snapshot.get('b'), '2');
  assert.ok((await db.approximateSize()) >= 0);
  assert.equal(db.stats().shards, 4);
  await rejects(() => open(location), 'ERR_LOCKED', /read-only/);
  await Promise.all([db.close(), other.close()]);
  assert.deepEqual(readdirSync(path.join(location, 'hot')).sort(), files, 'no file was added or removed');
  assert.equal((await space.open({}, location)).getSync('a'), '1');
});

opening('read-only refuses where no database is', async () => {
  const location = space.folder();
  await rejects(() => open(location, { readOnly: true }), 'ERR_NOT_FOUND', /no database/);
  assert.equal(existsSync(location), false);
});
opening.run();

const destroying = suite('destroy');
destroying.after(() => space.clean());

destroying('removes the database and its folder, so that open creates it anew', async () => {
  const location = space.folder();
  const db = await space.open({ shards: 3 }, location);
  await db.put('k', 'v');
  await db.close();
  await destroy(location);
  assert.equal(existsSync(location), false);
  const again = await space.open({ shards: 2 }, location);
  assert.equal(again.stats().shards, 2);
  assert.equal(await again.get('k'), undefined);
});

destroying('of a folder that does not exist does nothing', async () => {
  const location = space.folder();
  await destroy(location);
  await destroy(path.join(location, 'below'));
  assert.equal(existsSync(location), false);
});

destroying('of an open database is refused with ERR_LOCKED, and harms nothing', async () => {
  const db = await space.open();
  await db.put('k', 'v');
  await rejects(() => destroy(db.location), 'ERR_LOCKED', /close it/);
  assert.equal(await db.get('k'), 'v');
  await db.put('l', 'w');
  await db.close();
  const again = await space.open({}, db.location);
  assert.deepEqual(await again.getMany(['k', 'l']), ['v', 'w']);
});

destroying('keeps the files that a user has put beside the database', async () => {
  const location = space.folder();
  await (await space.open({}, location)).close();
  writeFileSync(path.join(location, 'notes.txt'), 'mine');
  await destroy(location);
  assert.deepEqual(readdirSync(location), ['notes.txt']);
  assert.equal(readFileSync(path.join(location, 'notes.txt'), 'utf8'), 'mine');
});

destroying('refuses what is not ours: a folder of other files, an empty folder, a file', async () => {
  const foreign = space.folder();
  mkdirSync(path.join(foreign, 'hot'), { recursive: true });
  writeFileSync(path.join(foreign, 'hot', 'data.txt'), 'precious');
  await rejects(() => destroy(foreign), 'ERR_INVALID_ARGUMENT', /nothing was deleted/);
  assert.equal(readFileSync(path.join(foreign, 'hot', 'data.txt'), 'utf8'), 'precious');
  const empty = space.folder();
  mkdirSync(empty);
  await rejects(() => destroy(empty), 'ERR_INVALID_ARGUMENT', /nothing was deleted/);
  assert.ok(existsSync(empty));
  const file = space.folder('file');
  writeFileSync(file, 'precious');
  await rejects(() => destroy(file), 'ERR_INVALID_ARGUMENT', /nothing was deleted/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

destroying.run();
