// Compression as an option of open: what reaches the disk, and what is refused.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Compression, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('open: compression');
const space = new Workspace();
test.after(() => space.clean());

const COUNT = 20_000;
const key = (i: number) => `person/${String(i).padStart(6, '0')}`;
const value = (i: number) => `{"name":"person number ${i}","city":"Trondheim","country":"Norway","tags":["a","b"]}`;

/** Writes the same records, compacts, and gives the bytes of the tables. */
async function tableBytes(location: string, compression: Compression): Promise<number> {
  const db = await open(location, { compression, valueEncoding: 'utf8' });
  await db.putMany(Array.from({ length: COUNT }, (_, i) => [key(i), value(i)]));
  await db.flush();
  await db.compact();
  const { tableBytes } = db.stats().disk;
  await db.close();
  return tableBytes;
}

test('the bottom level is compressed as the last name says, and reads the same', async () => {
  const sizes: Record<string, number> = {};
  for (const compression of [
    'none',
    'lz4',
    'snappy',
    'zstd:12',
    ['none', 'lz4'],
    ['zstd', 'none'],
  ] satisfies Compression[]) {
    const location = space.folder();
    sizes[String(compression)] = await tableBytes(location, compression);
    const db = space.adopt(await open(location, { valueEncoding: 'utf8' }));
    assert.deepEqual(await db.getMany([key(0), key(COUNT - 1)]), [value(0), value(COUNT - 1)]);
    assert.equal((await db.keys().nextMany(COUNT + 1)).length, COUNT);
    await db.close();
  }
  const { none = 0, lz4 = 0, snappy = 0, 'zstd:12': zstd = 0 } = sizes;
  assert.ok(lz4 * 2 < none && snappy * 2 < none, JSON.stringify(sizes));
  assert.ok(zstd < lz4 && zstd < snappy, JSON.stringify(sizes));
  assert.ok(Math.abs((sizes['none,lz4'] ?? 0) - lz4) < lz4 / 20, JSON.stringify(sizes));
  assert.ok(Math.abs((sizes['zstd,none'] ?? 0) - none) < none / 20, JSON.stringify(sizes));
});

test('a small database is compressed by default', async () => {
  const none = await tableBytes(space.folder(), 'none');
  const location = space.folder();
  const db = space.adopt(await open(location, { valueEncoding: 'utf8' }));
  await db.putMany(Array.from({ length: COUNT }, (_, i) => [key(i), value(i)]));
  await db.flush();
  await db.compact();
  assert.ok(db.stats().disk.tableBytes * 2 < none);
});

test('a trained dictionary makes small alike values smaller', async () => {
  const plain = await tableBytes(space.folder(), 'zstd');
  const trained = await tableBytes(space.folder(), { levels: 'zstd', dictionary: '16KB' });
  assert.ok(trained < plain, `${trained} with, ${plain} without`);
});

test('compact() rewrites what an earlier opening compressed otherwise', async () => {
  const location = space.folder();
  const before = await tableBytes(location, 'none');
  const db = space.adopt(await open(location, { compression: 'zstd:6' }));
  assert.equal(db.stats().disk.tableBytes, before);
  await db.compact();
  assert.ok(db.stats().disk.tableBytes * 2 < before);
  assert.equal((await db.get(key(77)))?.toString(), value(77));
});

test('wrong compression is refused, by what is wrong with it', async () => {
  const refuses = async (compression: unknown, message: RegExp) => {
    await rejects(() => open(space.folder(), { compression } as never), 'ERR_INVALID_ARGUMENT', message);
  };
  for (const wrong of [null, 5, true, [], [5], ['lz4', null], {}, { levels: 5 }]) await refuses(wrong, /compression/);
  await refuses('gzip', /unknown name 'gzip'; use none, lz4, snappy, zstd/);
  await refuses(['lz4', 'zstd:23'], /'zstd:23' must be from 1 to 22/);
  await refuses(Array(8).fill('lz4'), /1 to 7/);
  await refuses({ levels: 'lz4', dictionary: '4KB' }, /needs zstd/);
  await refuses({ levels: 'zstd', dictionary: '2MB' }, /at most 1MB/);
  await refuses({ levels: 'zstd', dictionary: -1 }, /compression.dictionary/);
  await refuses({ levels: 'zstd', dict: 1 }, /'dict' of compression; known are levels, dictionary/);
});

test.run();
