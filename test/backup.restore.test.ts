// db.backup, restore, verify: what comes back, what is refused, what damage is found.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { backups, type Database, open, restore, verifyBackups } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('backup and restore');
const space = new Workspace();
test.after(() => space.clean());

const text = { valueEncoding: 'utf8' } as const;
type Text = Database<string, string>;

async function make(options = {}): Promise<Text> {
  return space.adopt(await open(space.folder(), { ...text, ...options }));
}

function put(db: Text, from: number, to: number, value: string): Promise<number> {
  return db.putMany(Array.from({ length: to - from }, (_, i) => [`key/${from + i}`, `${value} ${from + i}`]));
}

/** Everything in a database that is made of a backup. */
async function restored(dir: string, options?: { id: number }): Promise<Map<string, string>> {
  const location = space.folder();
  await restore(dir, location, options);
  const db = space.adopt(await open(location, { ...text, createIfMissing: false }));
  assert.deepEqual((await db.verify()).problems, []);
  const all = new Map(await db.iterator().nextMany(1_000_000));
  await db.close();
  return all;
}

async function content(db: Text): Promise<Map<string, string>> {
  return new Map(await db.iterator().nextMany(1_000_000));
}

/** Files below a folder, by how `wanted` likes their path. */
function filesOf(dir: string, wanted: RegExp): string[] {
  return readdirSync(dir, { recursive: true })
    .map((name) => path.join(dir, String(name)))
    .filter((file) => statSync(file).isFile() && wanted.test(file));
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 0x40;
  writeFileSync(file, bytes);
}

test('a restored database holds what the database held at the backup', async () => {
  const db = await make({ shards: 3 });
  await put(db, 0, 3000, 'one');
  await db.flush();
  await put(db, 2000, 4000, 'two'); // in memory and the log alone
  await db.put('short', 'lived', { ttl: 3_600_000 });
  await db.deleteRange({ gte: 'key/100', lt: 'key/200' });
  const expected = await content(db);
  const dir = space.folder();
  const before = Date.now();
  const info = await db.backup(dir);
  assert.equal(info.id, 1);
  assert.ok(info.bytes > 10_000 && info.files > 2);
  assert.ok(+info.created >= before - 2000 && +info.created <= Date.now() + 1000);
  await put(db, 0, 10, 'later');
  assert.deepEqual(await restored(dir), expected);
});

test('writes waiting in this turn are in the backup', async () => {
  const db = await make();
  const dir = space.folder();
  void db.put('a', 'x');
  await db.backup(dir);
  assert.deepEqual([...(await restored(dir))], [['a', 'x']]);
});

test('backups are incremental, each comes back by its number, and old ones go', async () => {
  const db = await make();
  const dir = space.folder();
  await put(db, 0, 20_000, 'x'.repeat(100));
  await db.flush();
  await db.compact();
  await db.backup(dir);
  const copied = () => filesOf(dir, /\.sst$/).reduce((sum, file) => sum + statSync(file).size, 0);
  const first = copied();
  const states = [await content(db)];
  for (let i = 2; i <= 4; i++) {
    await db.put('generation', String(i));
    await db.backup(dir);
    states.push(await content(db));
  }
  assert.ok(copied() < first * 1.1, `${first} bytes of tables became ${copied()}`);
  assert.deepEqual(
    (await backups(dir)).map(({ id }) => id),
    [1, 2, 3, 4],
  );
  for (const id of [1, 3]) assert.deepEqual(await restored(dir, { id }), states[id - 1]);
  await db.backup(dir, { keep: 2 });
  assert.deepEqual(
    (await backups(dir)).map(({ id }) => id),
    [4, 5],
  );
  assert.deepEqual(await restored(dir, { id: 4 }), states[3]);
  await rejects(restore(dir, space.folder(), { id: 1 }), 'ERR_NOT_FOUND', /no backup 1/);
});

test('a backup beside writers is one moment: batches are whole, and nothing acknowledged before is missing', async () => {
  const db = await make({ shards: 4 });
  let stop = false;
  let acknowledged = -1;
  const writing = (async () => {
    for (let i = 0; !stop; i++) {
      const operations = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => {
        return { type: 'put' as const, key: `{${name}}`, value: String(i) };
      });
      await db.batch([...operations, { type: 'put', key: `log/${i}`, value: 'x'.repeat(500) }]);
      acknowledged = i;
    }
  })();
  const dir = space.folder();
  const least: number[] = [];
  for (let i = 0; i < 4; i++) {
    while (acknowledged < (i + 1) * 300) await new Promise((resolve) => setTimeout(resolve, 1));
    least.push(acknowledged);
    await db.backup(dir);
  }
  stop = true;
  await writing;
  for (const [i, atLeast] of least.entries()) {
    const all = await restored(dir, { id: i + 1 });
    const last = Number(all.get('{a}'));
    assert.ok(last >= atLeast, `backup ${i + 1} has ${last}, ${atLeast} was acknowledged`);
    for (const name of ['b', 'c', 'd', 'e', 'f']) assert.equal(all.get(`{${name}}`), String(last));
    assert.equal(all.size, 6 + last + 1);
    for (let n = 0; n <= last; n++) assert.ok(all.has(`log/${n}`), `log/${n} of ${last}`);
  }
});

test('a database without a log is backed up whole', async () => {
  const db = await make({ durability: 'none' });
  await put(db, 0, 500, 'v');
  const dir = space.folder();
  await db.backup(dir);
  assert.deepEqual(await restored(dir), await content(db));
});

test('a restored database goes on, and its backups go on in the same folder', async () => {
  const db = await make();
  const dir = space.folder();
  await put(db, 0, 100, 'v');
  await db.backup(dir);
  const location = space.folder();
  await restore(dir, location);
  const again = space.adopt(await open(location, text));
  await again.put('more', 'x');
  await again.backup(dir);
  assert.deepEqual(await restored(dir), await content(again));
});

test('what is not a place for backups, or not for this database, is refused and left as it is', async () => {
  const db = await make();
  await db.put('a', '1');
  const other = await make();
  const dir = space.folder();
  await other.backup(dir);
  await rejects(db.backup(dir), 'ERR_INVALID_ARGUMENT', /another database/);
  assert.equal((await backups(dir)).length, 1);
  await rejects(db.backup(db.location), 'ERR_INVALID_ARGUMENT', /something else/);
  await rejects(db.backup(other.location), 'ERR_INVALID_ARGUMENT', /something else/);
  const mine = space.folder();
  mkdirSync(mine);
  writeFileSync(path.join(mine, 'letter.txt'), 'x');
  await rejects(db.backup(mine), 'ERR_INVALID_ARGUMENT', /letter\.txt/);
  await rejects(db.backup(path.join(mine, 'letter.txt')), 'ERR_INVALID_ARGUMENT', /is a file/);
  assert.deepEqual(readdirSync(mine), ['letter.txt']);
  for (const wrong of ['', 5, undefined]) await rejects(db.backup(wrong as string), 'ERR_INVALID_ARGUMENT');
  for (const keep of [0, -1, 1.5, '3'])
    await rejects(db.backup(mine, { keep } as never), 'ERR_INVALID_ARGUMENT', /keep/);
  await rejects(db.backup(mine, { keeps: 3 } as never), 'ERR_INVALID_ARGUMENT', /'keeps'/);
});

test('restore refuses a place that holds something, and leaves it as it is', async () => {
  const db = await make();
  await db.put('a', '1');
  const dir = space.folder();
  await db.backup(dir);
  await rejects(restore(dir, db.location), 'ERR_INVALID_ARGUMENT', /not empty \(hot is in it\)/);
  assert.equal(await db.get('a'), '1');
  const file = path.join(space.root, 'file');
  writeFileSync(file, 'x');
  await rejects(restore(dir, file), 'ERR_INVALID_ARGUMENT', /is a file/);
  const nowhere = path.join(space.root, 'nowhere');
  await rejects(restore(nowhere, space.folder()), 'ERR_NOT_FOUND', /no backups/);
  await rejects(backups(nowhere), 'ERR_NOT_FOUND');
  assert.ok(!existsSync(nowhere), 'asking made a folder');
  await rejects(restore(dir, space.folder(), { id: 9 }), 'ERR_NOT_FOUND', /no backup 9/);
});

test('a damaged, cut or foreign backup is refused, and nothing is made of it', async () => {
  const db = await make();
  await put(db, 0, 5000, 'v');
  await db.flush();
  await put(db, 0, 50, 'w');
  const sound = space.folder();
  await db.backup(sound);
  assert.deepEqual(await verifyBackups(sound).then(({ problems }) => problems), []);
  const tables = filesOf(sound, /\.sst$/).length;
  assert.ok(tables > 0);
  const damages: [string, (dir: string) => void][] = [
    ['a byte of a table', (dir) => flip(filesOf(dir, /\.sst$/)[0] as string, 2000)],
    ['a byte of the log', (dir) => flip(filesOf(dir, /\.log$/)[0] as string, 100)],
    ['a byte of the manifest', (dir) => flip(filesOf(dir, /MANIFEST/)[0] as string, 50)],
    ['bytes at the end of a table', (dir) => appendFileSync(filesOf(dir, /\.sst$/)[0] as string, 'x')],
    ['an empty table', (dir) => writeFileSync(filesOf(dir, /\.sst$/)[0] as string, '')],
    ['nonsense for its list of files', (dir) => writeFileSync(path.join(dir, 'hot/meta/1'), 'nonsense')],
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

test('a restore that was cut short is done again', async () => {
  const db = await make();
  await put(db, 0, 100, 'v');
  const dir = space.folder();
  await db.backup(dir);
  const location = space.folder();
  mkdirSync(path.join(location, 'hot.restoring'), { recursive: true });
  writeFileSync(path.join(location, 'hot.restoring/000001.sst'), 'half');
  await rejects(() => open(location, text), 'ERR_INVALID_ARGUMENT', /hot\.restoring/);
  await restore(dir, location);
  const again = space.adopt(await open(location, text));
  assert.deepEqual(await content(again), await content(db));
  assert.ok(!existsSync(path.join(location, 'hot.restoring')));
});

test('a backup, a check and a restore are aborted by their signals', async () => {
  const db = await make();
  const dir = space.folder();
  const location = space.folder();
  await db.putMany(Array.from({ length: 4000 }, (_, i) => [`key/${i}`, randomBytes(4000).toString('hex')]));
  await db.flush();
  const reason = new Error('enough');
  const run = async (start: (signal: AbortSignal) => Promise<unknown>) => {
    const controller = new AbortController();
    const running = start(controller.signal);
    controller.abort(reason);
    assert.equal((await rejects(running, 'ERR_ABORTED')).cause, reason);
    await rejects(start(AbortSignal.abort(reason)), 'ERR_ABORTED');
    await rejects(() => start('soon' as never), 'ERR_INVALID_ARGUMENT', /signal/);
  };
  await run((signal) => db.backup(dir, { signal }));
  // It may have begun or not.
  assert.deepEqual(existsSync(path.join(dir, 'hot', 'meta')) ? await backups(dir) : [], []);
  await run((signal) => db.verify({ signal }));
  await db.backup(dir);
  await run((signal) => restore(dir, location, { signal }));
  assert.equal(existsSync(path.join(location, 'hot')), false);
  await restore(dir, location);
  const again = space.adopt(await open(location, text));
  const told: number[] = [];
  const { problems, counts } = await again.verify({
    onProgress: ({ bytes, totalBytes }) => told.push(bytes / totalBytes),
  });
  assert.deepEqual(problems, []);
  assert.equal(
    counts.reduce((sum, { records }) => sum + records, 0),
    4000,
  );
  assert.equal(told.at(-1), 1);
});

test('a backup whose elders cannot be deleted is there, and says so', async () => {
  const db = await make();
  const dir = space.folder();
  await put(db, 0, 10, 'a');
  assert.equal((await db.backup(dir)).warning, undefined);
  mkdirSync(path.join(dir, 'warm'));
  writeFileSync(path.join(dir, 'warm', 'meta'), 'no folder');
  await put(db, 10, 20, 'b');
  const { id, warning } = await db.backup(dir, { keep: 1 });
  assert.equal(id, 2);
  assert.match(warning ?? '', /warm/);
  assert.deepEqual(await restored(dir), await content(db));
});

test('read-only and closed databases are not backed up', async () => {
  const db = await make();
  await db.put('a', '1');
  await db.close();
  await rejects(db.backup(space.folder()), 'ERR_CLOSED');
  await rejects(db.verify(), 'ERR_CLOSED');
  const reader = space.adopt(await open(db.location, { ...text, readOnly: true }));
  await rejects(reader.backup(space.folder()), 'ERR_READ_ONLY');
  assert.equal((await reader.verify()).problemCount, 0);
});

test('verify counts what there is, and names damage of tables', async () => {
  const db = await make({ shards: 2, compression: 'none' });
  await put(db, 0, 5000, 'v');
  await db.flush();
  await put(db, 5000, 5100, 'v');
  const report = await db.verify();
  assert.deepEqual([report.records, report.problemCount, report.problems], [5100, 0, []]);
  assert.ok(report.tables >= 2 && report.tableBytes > 50_000);
  await db.close();
  const tables = filesOf(path.join(db.location, 'hot'), /\.sst$/).sort((a, b) => statSync(b).size - statSync(a).size);
  const [first, second] = tables as [string, string];
  flip(first, Math.floor(statSync(first).size / 3));
  flip(second, Math.floor(statSync(second).size / 3));
  const before = tables.map((file) => readFileSync(file));
  const reader = space.adopt(await open(db.location, { ...text, readOnly: true }));
  const damaged = await reader.verify();
  await reader.close();
  for (const file of [first, second]) {
    assert.ok(
      damaged.problems.some((problem) => problem.startsWith(`table ${path.basename(file)}: `)),
      damaged.problems.join('\n'),
    );
  }
  assert.equal(damaged.problemCount, damaged.problems.length);
  assert.deepEqual(
    tables.map((file) => readFileSync(file)),
    before,
    'verify changed something',
  );
});

test.run();
