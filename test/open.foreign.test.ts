// Folders that hold something else, that cannot be read or written, or that a newer version has written: refused with
// what to do about it, and left as they were.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { destroy, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { available, changeMeta, makeForeign, readForeign, sealed } from './helpers/foreign.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('open: foreign folders');
const space = new Workspace();
test.after(() => space.clean());

const INVALID = 'ERR_INVALID_ARGUMENT';
const root = process.getuid?.() === 0;
/** A file of somebody else, which has to stay. */
function put(file: string, text = 'precious'): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

test('a folder of other files is refused, by the name of one of them, and left alone', async () => {
  const location = space.folder();
  put(path.join(location, 'holiday.jpg'));
  for (const options of [{}, { createIfMissing: true, errorIfExists: true }]) {
    await rejects(() => open(location, options), INVALID, /not empty.*holiday\.jpg.*choose an empty folder/);
  }
  assert.deepEqual(readdirSync(location), ['holiday.jpg']);
});

test('files that happen to bear the names of ours are not taken for a database', async () => {
  const file = space.folder();
  put(path.join(file, 'hot'));
  await rejects(() => open(file), INVALID, /hot/);
  await rejects(() => destroy(file), INVALID, /nothing was deleted/);
  const below = space.folder();
  put(path.join(below, 'hot', 'notes.txt'));
  await rejects(() => open(below), INVALID, /notes\.txt/);
  await rejects(() => destroy(below), INVALID, /nothing was deleted/);
  assert.equal(readFileSync(path.join(below, 'hot', 'notes.txt'), 'utf8'), 'precious');
});

test('an empty folder will do', async () => {
  const location = space.folder();
  mkdirSync(location);
  await (await space.open({}, location)).put('k', 'v');
});

test('a file is not a folder, and nothing can be below it', async () => {
  const file = space.folder('file');
  put(file);
  await rejects(() => open(file), INVALID, /is a file, not a folder/);
  await rejects(() => open(path.join(file, 'below')), 'ERR_IO', /Not a directory/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

test('a name that is too long for the file system is refused', async () => {
  await rejects(() => open(path.join(space.folder(), 'x'.repeat(300))), 'ERR_IO', /too long/);
});

test('destroy leaves what others have put among the files of the database', async () => {
  const location = space.folder();
  await (await space.open({}, location)).close();
  put(path.join(location, 'hot', 'notes.txt'));
  await destroy(location);
  assert.deepEqual(readdirSync(path.join(location, 'hot')), ['notes.txt']);
});

test('a CURRENT file that no RocksDB wrote is refused, again and again, and destroy keeps its hands off', async () => {
  for (const text of ['', 'MANIFEST-000001', 'MANIFEST-000001\n', 'hello\n']) {
    const location = space.folder();
    const current = path.join(location, 'hot', 'CURRENT');
    put(current, text);
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const readOnly of [false, true]) {
        await rejects(() => open(location, { readOnly }), 'ERR_CORRUPTION', /hot/);
      }
    }
    await assert.rejects(destroy(location));
    assert.equal(readFileSync(current, 'utf8'), text);
  }
});

/** For tests that need a package with binaries for this system. */
const withRocks = available ? test : test.skip;

withRocks('a RocksDB database of another program is refused, again and again, and keeps its records', async () => {
  for (const place of ['', 'hot']) {
    const location = space.folder();
    const foreign = path.join(location, place);
    await makeForeign(foreign, { a: '1', b: '2' });
    for (let attempt = 0; attempt < 3; attempt++) {
      await rejects(() => open(location), INVALID, /choose (an empty|another) folder/);
      await rejects(() => destroy(location), INVALID);
      assert.equal(await readForeign(foreign, 'a'), '1');
    }
    await rejects(() => open(location, { readOnly: true }), place === 'hot' ? INVALID : 'ERR_NOT_FOUND');
    assert.equal(await readForeign(foreign, 'b'), '2');
  }
});

withRocks('a newer format version is refused, says which it is, and what to do', async () => {
  const location = space.folder();
  const db = await space.open({ shards: 3 }, location);
  await db.put('k', 'v');
  await db.close();
  let before: Buffer = Buffer.alloc(0);
  await changeMeta(location, 3, 'format', (value) => {
    before = value;
    assert.deepEqual(value, sealed('format', Buffer.from([1, 0, 0, 0])), 'the record has the form it should have');
    return sealed('format', Buffer.from([7, 0, 0, 0]));
  });
  for (const readOnly of [false, true]) {
    await rejects(() => open(location, { readOnly }), 'ERR_FORMAT_VERSION', /format version 7.*update/);
  }
  await changeMeta(location, 3, 'format', () => before);
  assert.equal(await (await space.open({}, location)).get('k'), 'v');
});

withRocks('damage in the records about the database itself is reported, not repaired by guessing', async () => {
  const changes: [string, (value: Buffer) => Buffer | undefined][] = [
    ['format', (value) => Buffer.concat([Buffer.from([(value[0] as number) ^ 2]), value.subarray(1)])],
    ['format', () => sealed('format', Buffer.from([1]))],
    ['format', () => Buffer.alloc(0)],
    ['format', () => undefined],
    ['state', () => sealed('state', Buffer.from([9]))],
    ['state', () => undefined],
    ['shards', (value) => value.subarray(1)],
    ['shards', () => sealed('shards', Buffer.from('nonsense'))],
    ['shards', () => undefined],
    ['tier/hot', () => sealed('tier/hot', Buffer.from('short'))],
    ['tier/hot', () => undefined],
  ];
  for (const [key, change] of changes) {
    const location = space.folder();
    const db = await space.open({ shards: 2 }, location);
    await db.put('k', 'v');
    await db.close();
    let before: Buffer = Buffer.alloc(0);
    await changeMeta(location, 2, key, (value) => {
      before = Buffer.from(value);
      return change(value);
    });
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const readOnly of [false, true]) await rejects(() => open(location, { readOnly }), 'ERR_CORRUPTION');
    }
    await changeMeta(location, 2, key, () => before);
    assert.equal(await (await space.open({}, location)).get('k'), 'v', 'refusing has harmed nothing');
  }
});

/** Runs as a user who is not root, whom permissions bind. */
async function bound(body: () => Promise<void>): Promise<void> {
  if (root) process.seteuid?.(65_534);
  try {
    await body();
  } finally {
    if (root) process.seteuid?.(0);
  }
}

test('a folder that may not be read or written is refused with ERR_IO, for whatever it is wanted', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  await db.put('k', 'v');
  await db.close();
  chmodSync(space.root, 0o755);
  const refused = (folder: string) =>
    bound(async () => {
      for (const options of [{}, { readOnly: true }, { createIfMissing: false }]) {
        await rejects(() => open(folder, options), 'ERR_IO', /Permission denied/);
      }
      await rejects(() => destroy(folder), 'ERR_IO', /Permission denied/);
    });
  chmodSync(location, 0);
  await refused(location);
  await refused(path.join(location, 'below'));
  chmodSync(location, 0o755);
  chmodSync(path.join(location, 'hot'), 0);
  await refused(location);
  chmodSync(path.join(location, 'hot'), 0o755);

  const closed = space.folder();
  mkdirSync(closed, { mode: 0o500 });
  await bound(async () => {
    await rejects(() => open(path.join(closed, 'new')), 'ERR_IO', /Permission denied/);
    if (!root) return; // who owns the database may write to it
    await rejects(() => open(location), 'ERR_IO', /Permission denied/);
    await rejects(() => destroy(location), 'ERR_IO', /Permission denied/);
    const reader = await open(location, { readOnly: true });
    assert.deepEqual(await reader.get('k'), Buffer.from('v'));
    await reader.close();
  });
  assert.equal(existsSync(path.join(closed, 'new')), false);
  assert.equal(await (await space.open({}, location)).get('k'), 'v');
});

test('a read-only file system is refused for writing with ERR_READ_ONLY, and serves readers', async () => {
  const mounted = space.folder('mounted');
  mkdirSync(mounted);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', mounted], { stdio: 'ignore' });
  } catch {
    console.log('(skipped: a file system cannot be mounted here)');
    return;
  }
  try {
    const location = path.join(mounted, 'db');
    const db = await space.open({}, location);
    await db.put('k', 'v');
    await db.close();
    execFileSync('mount', ['-o', 'remount,ro', mounted]);
    await rejects(() => open(location), 'ERR_READ_ONLY', /Read-only file system/);
    await rejects(() => open(path.join(mounted, 'other')), 'ERR_READ_ONLY', /Read-only file system/);
    await rejects(() => destroy(location), 'ERR_READ_ONLY', /Read-only file system/);
    const reader = await space.open({ readOnly: true }, location);
    assert.equal(await reader.get('k'), 'v');
    await reader.close();
  } finally {
    execFileSync('umount', ['-l', mounted]);
  }
});

test.run();
