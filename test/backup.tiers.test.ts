// Backups of databases with colder tiers and frozen shards: one moment over all, and everything comes back.

import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { backups, type Database, destroy, open, restore, verifyBackups } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('backup: tiers and frozen shards');
const space = new Workspace();
test.after(() => space.clean());

const text = { valueEncoding: 'utf8' } as const;
type Text = Database<string, string>;

async function make(options = {}): Promise<Text> {
  return space.adopt(await open(space.folder(), { ...text, tiers: { warm: {}, cold: {} }, shards: 3, ...options }));
}

const put = (db: Text, from: number, to: number, value: string) =>
  db.putMany(Array.from({ length: to - from }, (_, i) => [`key/${from + i}`, `${value} ${from + i}`]));
const content = async (db: Text) => new Map(await db.iterator().nextMany(1_000_000));

/** Opens a restored database, thaws it, and gives all that is in it. */
async function contentAt(location: string): Promise<Map<string, string>> {
  const db = space.adopt(await open(location, { ...text, createIfMissing: false }));
  assert.deepEqual((await db.verify()).problems, []);
  for (const { id } of await db.shards.list()) await db.shards.thaw(id);
  const all = await content(db);
  await db.close();
  return all;
}

function filesOf(dir: string, wanted: RegExp): string[] {
  return readdirSync(dir, { recursive: true })
    .map((name) => path.join(dir, String(name)))
    .filter((file) => statSync(file).isFile() && wanted.test(file));
}

/** Records are in it, whether in a table or in the log. */
function largest(dir: string): string {
  return filesOf(dir, /\.(sst|log)$/).sort((a, b) => statSync(b).size - statSync(a).size)[0] as string;
}

function replaceFolder(from: string, to: string): void {
  rmSync(to, { recursive: true });
  cpSync(from, to, { recursive: true });
}

/** Gives an archive the name of another. */
function renameArchive(dir: string): void {
  const [name] = readdirSync(path.join(dir, 'archive')) as [string];
  const digit = name.endsWith('0') ? '1' : '0';
  cpSync(path.join(dir, 'archive', name), path.join(dir, 'archive', name.slice(0, -1) + digit), { recursive: true });
  rmSync(path.join(dir, 'archive', name), { recursive: true });
}

/** RocksDB writes it in hexadecimal and has no checksum of it. */
function flipMetadata(file: string): void {
  const lines = readFileSync(file, 'latin1').split('\n');
  const at = lines.findIndex((line) => line.startsWith('metadata '));
  const hex = (lines[at] as string).slice('metadata '.length);
  const bytes = Buffer.from(hex, 'hex');
  const number = bytes.indexOf('cold 1') + 'cold '.length;
  bytes[number] = '2'.charCodeAt(0);
  lines[at] = `metadata ${bytes.toString('hex').toUpperCase()}`;
  writeFileSync(file, lines.join('\n'), 'latin1');
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 0x40;
  writeFileSync(file, bytes);
}

/** Records in every tier, newer ones above older ones, markers and a range delete that colder tiers have yet to see. */
async function spread(db: Text): Promise<void> {
  await put(db, 0, 3000, 'cold');
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await put(db, 1000, 4000, 'warm');
  await db.tiers.migrate({ from: 'hot', to: 'warm' });
  await put(db, 2000, 5000, 'hot');
  for (let i = 0; i < 100; i++) await db.delete(`key/${i}`);
  await db.deleteRange({ gte: 'key/15', lt: 'key/16' });
}

test('what is in any tier comes back, and a later backup copies only what is new', async () => {
  const db = await make();
  await spread(db);
  const dir = space.folder();
  const states = [await content(db)];
  const first = await db.backup(dir);
  const size = () => filesOf(dir, /\.sst$/).reduce((sum, file) => sum + statSync(file).size, 0);
  const before = size();
  assert.ok(first.bytes > before, 'all tiers count');
  await put(db, 5000, 5010, 'later');
  states.push(await content(db));
  await db.backup(dir);
  assert.ok(size() < before + 20_000, `${before} bytes became ${size()}`);
  await db.tiers.migrate({ from: 'cold', to: 'hot' });
  states.push(states[1] as Map<string, string>);
  await db.backup(dir);
  assert.deepEqual((await verifyBackups(dir)).problems, []);
  for (const [i, state] of states.entries()) {
    const location = space.folder();
    await restore(dir, location, { id: i + 1 });
    assert.deepEqual(readdirSync(location).sort(), ['LOCK', 'cold', 'hot', 'tier-paths', 'warm']);
    assert.deepEqual(await contentAt(location), state);
    assert.ok(!existsSync(path.join(location, 'tier-paths')), 'the database knows by now');
    assert.deepEqual(await contentAt(location), state);
  }
  await db.backup(dir, { keep: 1 });
  assert.equal((await backups(dir)).length, 1);
  assert.deepEqual(
    [...readdirSync(path.join(dir, 'warm/meta')), ...readdirSync(path.join(dir, 'cold/meta'))],
    ['4', '4'],
    'parts of deleted backups are gone',
  );
});

test('a backup beside writers and migration is one moment', async () => {
  const db = await make();
  let stop = false;
  let acknowledged = -1;
  const writing = (async () => {
    for (let i = 0; !stop; i++) {
      const operations = ['a', 'b', 'c'].map((name) => ({ type: 'put' as const, key: `{${name}}`, value: String(i) }));
      await db.batch([...operations, { type: 'put', key: `log/${i}`, value: 'x'.repeat(200) }]);
      acknowledged = i;
    }
  })();
  const moving = (async () => {
    for (let i = 0; !stop; i++) {
      const ways = [
        ['hot', 'cold'],
        ['cold', 'hot'],
        ['hot', 'warm'],
        ['warm', 'cold'],
        ['cold', 'warm'],
      ] as const;
      const [from, to] = ways[i % ways.length] as (typeof ways)[number];
      await db.tiers.migrate({ from, to });
    }
  })();
  const dir = space.folder();
  const least: number[] = [];
  for (let i = 0; i < 4; i++) {
    while (acknowledged < (i + 1) * 150) await new Promise((resolve) => setTimeout(resolve, 1));
    least.push(acknowledged);
    await db.backup(dir);
  }
  stop = true;
  await Promise.all([writing, moving]);
  for (const [i, atLeast] of least.entries()) {
    const location = space.folder();
    await restore(dir, location, { id: i + 1 });
    const all = await contentAt(location);
    const last = Number(all.get('{a}'));
    assert.ok(last >= atLeast, `backup ${i + 1} has ${last}, ${atLeast} was acknowledged`);
    assert.deepEqual([all.get('{b}'), all.get('{c}'), all.size], [String(last), String(last), last + 4]);
  }
});

test('frozen shards come back frozen, from one copy for all backups', async () => {
  const db = await make({ tiers: { cold: {} } });
  await put(db, 0, 2000, 'v');
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await put(db, 1000, 3000, 'w');
  const all = await content(db);
  await db.shards.freeze(1);
  const dir = space.folder();
  const info = await db.backup(dir);
  await db.put('later', 'x');
  await db.backup(dir);
  const archives = readdirSync(path.join(dir, 'archive'));
  assert.equal(archives.length, 1);
  await db.shards.thaw(1);
  await db.backup(dir);
  const location = space.folder();
  await restore(dir, location, { id: info.id });
  const again = space.adopt(await open(location, text));
  assert.deepEqual(
    (await again.shards.list()).map(({ state }) => state),
    ['live', 'frozen', 'live'],
  );
  await again.close();
  assert.deepEqual(await contentAt(location), all);
  const third = space.folder();
  await restore(dir, third, { id: 3 });
  assert.deepEqual(await contentAt(third), new Map([...all, ['later', 'x']]));
  await db.backup(dir, { keep: 1 });
  assert.deepEqual(readdirSync(path.join(dir, 'archive')), [], 'no backup needs it any more');
});

test('colder tiers come to the folders that are given, and those of the original are left alone', async () => {
  const cold = path.join(space.folder(), 'slow-disk');
  const db = await make({ tiers: { cold: { path: cold } } });
  await spread2(db);
  const state = await content(db);
  const dir = space.folder();
  await db.backup(dir);

  const location = space.folder();
  const other = path.join(space.folder(), 'other-disk');
  mkdirSync(other, { recursive: true });
  await restore(dir, location, { tiers: { cold: { path: other } } });
  const reader = space.adopt(await open(location, { ...text, readOnly: true }));
  assert.deepEqual(await content(reader), state, 'also before it was ever opened for writing');
  await reader.close();
  assert.deepEqual(await contentAt(location), state);
  assert.ok(existsSync(path.join(other, 'CURRENT')));

  const unopened = space.folder();
  await restore(dir, unopened);
  await destroy(unopened);
  assert.ok(!existsSync(unopened));
  assert.deepEqual(await content(db), state, 'the original still has its cold tier');

  await rejects(
    restore(dir, space.folder(), { tiers: { cold: { path: other } } }),
    'ERR_INVALID_ARGUMENT',
    /not empty/,
  );
  await rejects(
    restore(dir, space.folder(), { tiers: { warm: { path: 'x' } } }),
    'ERR_INVALID_ARGUMENT',
    /no warm tier/,
  );
  await rejects(restore(dir, space.folder(), { tiers: { cold: { paths: 'x' } } } as never), 'ERR_INVALID_ARGUMENT');
  await rejects(restore(dir, space.folder(), { tiers: { cold: { path: '' } } }), 'ERR_INVALID_ARGUMENT');
});

async function spread2(db: Text): Promise<void> {
  await put(db, 0, 500, 'cold');
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await put(db, 400, 600, 'hot');
}

test('a restored database and its original never take the cold tier of the other', async () => {
  const cold = path.join(space.folder(), 'slow-disk');
  const options = { ...text, tiers: { cold: { path: cold } } };
  const db = await make(options);
  await spread2(db);
  const state = await content(db);
  const dir = space.folder();
  await db.backup(dir);
  await db.close();
  const location = space.folder();
  await restore(dir, location);
  await rejects(open(location, options), 'ERR_INVALID_ARGUMENT', /the restored cold tier is at/);
  await rejects(open(location, { ...options, readOnly: true }), 'ERR_INVALID_ARGUMENT', /the restored cold tier is at/);
  const copy = space.adopt(await open(location, text));
  await copy.tiers.migrate({ from: 'hot', to: 'cold' });
  await copy.close();
  await rejects(open(location, options), 'ERR_INVALID_ARGUMENT', /another database/);
  const mine = path.join(location, 'cold');
  await rejects(
    open(db.location, { ...text, tiers: { cold: { path: mine } } }),
    'ERR_INVALID_ARGUMENT',
    /another database/,
  );
  const original = space.adopt(await open(db.location, options));
  assert.deepEqual(await content(original), state);
  const again = space.adopt(await open(location, text));
  assert.deepEqual(await content(again), state);
  await again.backup(dir); // of the same database, it says
  const third = space.folder();
  await restore(dir, third);
  assert.deepEqual(await contentAt(third), state);
});

test('folders that restores have begun are filled again, and tiers need folders of their own', async () => {
  const db = await make();
  await spread(db);
  const state = await content(db);
  const dir = space.folder();
  await db.backup(dir);
  const location = space.folder();
  mkdirSync(path.join(location, 'warm'), { recursive: true }); // killed before the mark
  mkdirSync(path.join(location, 'disks/cold'), { recursive: true });
  const refused = ['hot', 'hot/x', 'hot.restoring', 'archive', 'topics', '.', '..', 'warm', 'warm/x', 'x'];
  for (const name of refused) {
    const tiers = { cold: { path: name }, ...(name === 'x' ? { warm: { path: 'x' } } : {}) };
    await rejects(restore(dir, location, { tiers }), 'ERR_INVALID_ARGUMENT', /cannot be put in/);
  }
  const inside = { cold: { path: path.join(dir, 'cold/x') } };
  await rejects(restore(dir, location, { tiers: inside }), 'ERR_INVALID_ARGUMENT', /cannot be put in/);
  await rejects(restore(dir, path.join(dir, 'x')), 'ERR_INVALID_ARGUMENT', /folder of the backups/);
  assert.deepEqual(readdirSync(location).sort(), ['disks', 'warm']);
  await restore(dir, location, { tiers: { cold: { path: 'disks/cold' } } });
  assert.deepEqual(await contentAt(location), state);
});

test('damage of any part is named, and nothing is made of it', async () => {
  const db = await make();
  await spread(db);
  await db.shards.freeze(0);
  const sound = space.folder();
  await db.backup(sound);
  const foreign = await make();
  await spread(foreign);
  const other = space.folder();
  await foreign.backup(other);
  const damages: [string, (dir: string) => void][] = [
    ['the cold tier of another database', (dir) => replaceFolder(path.join(other, 'cold'), path.join(dir, 'cold'))],
    ['a byte of what names the parts', (dir) => flipMetadata(path.join(dir, 'hot/meta/1'))],
    ['a byte of the cold tier', (dir) => flip(largest(path.join(dir, 'cold')), 500)],
    ['a byte of the warm tier', (dir) => flip(largest(path.join(dir, 'warm')), 500)],
    ['no cold tier', (dir) => rmSync(path.join(dir, 'cold'), { recursive: true })],
    ['no backup of the warm tier', (dir) => rmSync(path.join(dir, 'warm/meta/1'))],
    ['a byte of the archive', (dir) => flip(largest(path.join(dir, 'archive')), 300)],
    ['the archive of another', (dir) => renameArchive(dir)],
    ['no archive', (dir) => rmSync(path.join(dir, 'archive'), { recursive: true })],
  ];
  for (const [what, damage] of damages) {
    const dir = space.folder();
    cpSync(sound, dir, { recursive: true });
    damage(dir);
    const target = space.folder();
    await rejects(restore(dir, target), 'ERR_CORRUPTION', /backup 1 .*is damaged/);
    assert.ok(!existsSync(target), `${what}: something was made`);
    assert.ok((await verifyBackups(dir)).problems.length > 0, what);
  }
});

test('where a restore put a tier is forgotten once the database knows, even if the note of it comes back', async () => {
  const db = await make({ tiers: { cold: {} } });
  await spread2(db);
  const state = await content(db);
  const dir = space.folder();
  await db.backup(dir);
  const location = space.folder();
  await restore(dir, location);
  const note = path.join(location, 'tier-paths');
  const kept = readFileSync(note);
  assert.deepEqual(await contentAt(location), state);
  const elsewhere = path.join(space.folder(), 'other-disk');
  mkdirSync(path.dirname(elsewhere), { recursive: true });
  renameSync(path.join(location, 'cold'), elsewhere);
  writeFileSync(note, kept); // as a loss of power may leave it
  const moved = space.adopt(await open(location, { ...text, tiers: { cold: { path: elsewhere } } }));
  assert.deepEqual(await content(moved), state);
  await moved.close();
  assert.ok(!existsSync(note));
  assert.deepEqual(await contentAt(location), state);
});

test('a later backup keeps what a damaged one needs', async () => {
  const db = await make({ tiers: { cold: {} } });
  await spread2(db);
  for (const damage of [flipMetadata, (file: string) => writeFileSync(file, 'x')]) {
    const dir = space.folder();
    await db.backup(dir);
    const sound = readFileSync(path.join(dir, 'hot/meta/1'));
    damage(path.join(dir, 'hot/meta/1'));
    await db.backup(dir);
    writeFileSync(path.join(dir, 'hot/meta/1'), sound);
    assert.deepEqual((await verifyBackups(dir)).problems, []);
    assert.ok(existsSync(path.join(dir, 'cold/meta/1')));
    await db.backup(dir, { keep: 1 });
    assert.deepEqual(readdirSync(path.join(dir, 'cold/meta')).length, 1, 'what nothing needs goes');
  }
});

test.run();
