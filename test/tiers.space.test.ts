// Tiers on disks that run full: small file systems of their own. Where this process may not mount, nothing is tested.

import assert from 'node:assert/strict';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { type Alert, open, ThermoclineError } from '../lib/index.ts';
import { SmallDisk } from './helpers/small-disk.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('tiers: space');
const space = new Workspace();
const disks: SmallDisk[] = [];
test.after(async () => {
  for (const disk of disks) disk.unmount();
  await space.clean();
});

function mount(megabytes: number): SmallDisk | undefined {
  const parent = space.folder();
  mkdirSync(parent, { recursive: true });
  const disk = SmallDisk.mount(path.join(parent, 'disk'), megabytes);
  if (disk !== undefined) disks.push(disk);
  return disk;
}

/** Does not compress. */
function noise(seed: number, bytes: number): Buffer {
  const value = Buffer.allocUnsafe(bytes);
  let x = seed * 2654435761 + 1;
  for (let i = 0; i < bytes; i++) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    value[i] = x >>> 24;
  }
  return value;
}

const key = (i: number) => `key/${String(i).padStart(6, '0')}`;
const MEMORY = { hotCache: '1MB', blockCache: '4MB', writeBuffer: '4MB' } as const;

test('a colder disk that is full raises an alert and fails no write', async () => {
  const disk = mount(16);
  if (disk === undefined) return;
  const db = await open(space.folder(), {
    memory: MEMORY,
    alerts: { migrationSeconds: 1 },
    tiers: { hot: { capacity: '2MB' }, cold: { path: path.join(disk.path, 'cold'), writeBuffer: '1MB' } },
  });
  space.adopt(db);
  const { bavail, bsize } = statfsSync(disk.path);
  writeFileSync(path.join(disk.path, 'other'), Buffer.alloc(bavail * bsize - 256 * 1024));
  const alerts: Alert[] = [];
  db.on('alert', (alert) => alerts.push(alert));
  const written = 4_000;
  for (let i = 0; i < written; i += 100) {
    await db.putMany(Array.from({ length: 100 }, (_, j): [string, Buffer] => [key(i + j), noise(i + j, 2000)]));
  }
  await db.flush();
  while (!alerts.some(({ name, active }) => name === 'migration' && active)) await sleep(20);
  assert.match(alerts.find(({ name }) => name === 'migration')?.cause ?? '', /cold tier/);
  assert.match((await db.tiers.report()).trouble ?? '', /cold tier/);
  await db.put('after', noise(1, 10));
  assert.deepEqual(await db.get('after'), noise(1, 10));
  for (let i = 0; i < written; i += 71) assert.deepEqual(await db.get(key(i)), noise(i, 2000), key(i));
  await db.close();
});

test('writes wait while migration makes room on a full hot disk, and none is lost', async () => {
  const disk = mount(48);
  if (disk === undefined) return;
  const location = path.join(disk.path, 'db');
  const options = {
    memory: MEMORY,
    tiers: { hot: { reserve: '20MB' }, cold: { path: path.join(space.folder(), 'cold') } },
  } as const;
  const db = await open(location, options);
  space.adopt(db);
  // 50 MB, more than the disk holds.
  const written = 25_000;
  for (let i = 0; i < written; i += 500) {
    await db.putMany(Array.from({ length: 500 }, (_, j): [string, Buffer] => [key(i + j), noise(i + j, 2000)]));
  }
  const { tiers } = await db.tiers.report();
  assert.ok((tiers[1]?.movedIn.bytes ?? 0) > 15e6, 'much of it lies on the other disk');
  for (let i = 0; i < written; i += 997) assert.deepEqual(await db.get(key(i)), noise(i, 2000), key(i));
  await db.close();
  const again = await open(location, options);
  let found = 0;
  for await (const name of again.keys()) {
    assert.equal(name, key(found));
    found++;
  }
  assert.equal(found, written);
  await again.close();
});

test('a hot disk that nothing makes room on refuses writes whole, and takes them again once there is room', async () => {
  const disk = mount(48);
  if (disk === undefined) return;
  const location = path.join(disk.path, 'db');
  const db = await open(location, {
    memory: MEMORY,
    // Full from the beginning.
    tiers: { hot: { reserve: '16MB' }, cold: { path: path.join(space.folder(), 'cold'), capacity: 1 } },
  });
  space.adopt(db);
  await db.put('before', noise(0, 10));
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  let refused: unknown;
  let written = 0;
  for (; refused === undefined; written++) {
    const batch = Array.from({ length: 100 }, (_, j) => ({
      type: 'put' as const,
      key: key(written * 100 + j),
      value: noise(written * 100 + j, 2000),
    }));
    await db.batch(batch).catch((error: unknown) => {
      refused = error;
    });
  }
  assert.ok(refused instanceof ThermoclineError && refused.code === 'ERR_NO_SPACE', String(refused));
  written--;
  const names: string[] = [];
  for await (const name of db.keys()) names.push(name);
  assert.deepEqual(names, ['before', ...Array.from({ length: written * 100 }, (_, i) => key(i))]);
  disk.resize(256);
  // Without anybody's doing.
  for (let tries = 0; ; tries++) {
    const accepted = await db.put('after', noise(1, 10)).then(
      () => true,
      (error: ThermoclineError) => {
        assert.equal(error.code, 'ERR_NO_SPACE');
        return false;
      },
    );
    if (accepted) break;
    assert.ok(tries < 500);
    await sleep(20);
  }
  assert.deepEqual(await db.get('after'), noise(1, 10));
  await db.close();
});

test.run();
