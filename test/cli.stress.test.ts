// thermocline stress: it passes on a sound database, and finds what is broken on purpose.

import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { type Database, open } from '../lib/index.ts';
import { figures, thermocline as run, start, succeed, Workplace } from './cli.helper.test.ts';

const test = suite('command line: stress');
const place = new Workplace();
test.after(() => place.remove());

/** Stresses a database for seconds until something has been written, of which a busy machine may need several. */
async function stressed(db: string, ...flags: string[]): Promise<void> {
  const args = ['stress', db, '--duration', '1s', '--crash-every', '0', '--keep'];
  let { written = 0 } = figures(await succeed([...args, ...flags]));
  while (written < 1000) written += figures(await succeed(args)).written ?? 0;
}

let original: Promise<string> | undefined;

/** A small database that a stress test has made and kept: a copy, to be changed. */
async function kept(name: string): Promise<string> {
  original ??= (async () => {
    const db = place.path('original.db');
    await stressed(db, '--records', '1000');
    return db;
  })();
  const db = place.path(name);
  for (const part of ['', '.stress']) cpSync(`${await original}${part}`, `${db}${part}`, { recursive: true });
  return db;
}

async function change(location: string, make: (db: Database<string, Buffer>) => Promise<unknown>): Promise<void> {
  const db = await open(location);
  await make(db);
  await db.close();
}

/** Runs the test again, which must fail with a line like this, and leave everything for whoever looks into it. */
async function finds(location: string, what: RegExp): Promise<void> {
  const { code, stdout, stderr } = await run(['stress', location, '--duration', '1s', '--crash-every', '0']);
  assert.equal(code, 1, stdout + stderr);
  assert.match(stdout, what);
  assert.match(stderr, /mismatch.*is kept in/);
  assert.ok(existsSync(location) && existsSync(`${location}.stress`));
}

/** A record, any. */
async function first(db: Database<string, Buffer>): Promise<[string, Buffer]> {
  return (await db.iterator({ gte: 'w001' }).next()) as [string, Buffer];
}

test('kills, reopens, checks every record, and leaves nothing behind', async () => {
  const db = place.path('sound.db');
  const args = ['stress', db, '--duration', '8s', '--crash-every', '1', '--records', '5000', '--seed', '7'];
  const told = figures(await succeed(args));
  assert.equal(told.mismatches, 0);
  assert.ok((told.kills as number) >= 2, `${told.kills} kills`);
  assert.ok((told.whole_checks as number) >= 2);
  assert.ok((told.records_checked as number) > 1000);
  for (const call of ['put', 'delete', 'batch', 'deleteRange', 'transaction', 'iterator', 'rangeBySlots', 'snapshot']) {
    assert.ok((told[`calls.${call}`] as number) > 0, call);
  }
  assert.ok((told.peak_memory as number) > 10e6 && (told.peak_files as number) > 0);
  assert.ok(!existsSync(db) && !existsSync(`${db}.stress`));
});

test('a database that was kept is checked and gone on with', async () => {
  const db = await kept('again.db');
  const told = figures(await succeed(['stress', db, '--duration', '1s', '--crash-every', '0']));
  assert.ok((told.whole_checks as number) >= 2);
  const { code, stderr } = await run(['stress', db, '--records', '2000']);
  assert.equal(code, 2);
  assert.match(stderr, /leave out --records/);
});

test('a record that is gone is found', async () => {
  const db = await kept('gone.db');
  await change(db, async (open) => open.delete((await first(open))[0]));
  await finds(db, /w001\/\d+ is absent, but version \d+ was acknowledged/);
});

test('a changed byte is found', async () => {
  const db = await kept('byte.db');
  await change(db, async (open) => {
    const [key, value] = await first(open);
    value[value.length - 6] = (value[value.length - 6] as number) ^ 1;
    await open.put(key, value);
  });
  await finds(db, /w001\/\d+ is damaged: its checksum is wrong/);
});

test('a value under another key is found', async () => {
  const db = await kept('swapped.db');
  await change(db, async (open) => {
    const [[a], [, b]] = (await open.iterator({ gte: 'w001' }).nextMany(2)) as [[string, Buffer], [string, Buffer]];
    await open.put(a, b);
  });
  await finds(db, /w001\/\d+ has the value of key number \d+/);
});

test('a record nobody wrote is found', async () => {
  const db = await kept('foreign.db');
  await change(db, (open) => open.put('w001/x', Buffer.from('x')));
  await finds(db, /w001\/x was never written/);
});

test('money that is gone from an account is found', async () => {
  const db = await kept('accounts.db');
  await change(db, async (open) => open.put('account/000', (await open.get('account/001')) as Buffer));
  await change(db, (open) => open.delete('account/001'));
  await finds(db, /there are 7 accounts and not 8/);
});

test('a database that has gone back in time is found: acknowledged writes are missing', async () => {
  const db = await kept('past.db');
  cpSync(db, `${db}.copy`, { recursive: true });
  await stressed(db);
  // As if the store had acknowledged what it had not written: nothing is damaged, only older.
  rmSync(db, { recursive: true });
  renameSync(`${db}.copy`, db);
  await finds(db, /has version \d+, but version \d+ was acknowledged/);
});

test('a damaged table is found', async () => {
  const db = await kept('table.db');
  await change(db, (open) => open.flush());
  const hot = join(db, 'hot');
  for (const table of readdirSync(hot).filter((name) => name.endsWith('.sst'))) {
    const file = join(hot, table);
    if (statSync(file).size > 20_000) truncateSync(file, statSync(file).size - 100);
  }
  await finds(db, /ERR_CORRUPTION|orruption/);
});

test('memory and files above their limits fail the test', async () => {
  const args = ['--duration', '5s', '--crash-every', '0', '--records', '1000'];
  const memory = await run(['stress', place.path('memory.db'), ...args, '--max-memory', '30MB']);
  assert.equal(memory.code, 1);
  assert.match(memory.stdout, /bytes of memory, more than 31457280/);
  const files = await run(['stress', place.path('files.db'), ...args, '--max-files', '16']);
  assert.equal(files.code, 1);
  assert.match(files.stdout, /open files, more than 16/);
});

test('Ctrl-C ends with the summary, and what was written is checked', async () => {
  const { child, ended } = start('main', ['stress', place.path('interrupted.db'), '--duration', '1h']);
  while (!existsSync(place.path('interrupted.db/hot/CURRENT'))) await sleep(20);
  await sleep(1000);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 130, stderr);
  const told = figures(stdout);
  assert.equal(told.mismatches, 0);
  assert.ok((told.whole_checks as number) >= 1);
  assert.equal(stderr, 'thermocline: interrupted; no mismatch so far\n');
});

test('what cannot be tested is refused', async () => {
  const none = await run(['stress', place.path('none.db'), '--durability', 'none']);
  assert.deepEqual([none.code, none.stderr.includes('--crash-every 0')], [2, true]);
  const other = await run(['stress', place.path('.')]);
  assert.deepEqual([other.code, other.stderr.includes('no stress test has kept it')], [2, true]);
  const time = await run(['stress', place.path('time.db'), '--duration', 'soon']);
  assert.equal(time.code, 2);
});

test('a database without a log is tested without kills', async () => {
  const db = place.path('nolog.db');
  const args = ['--duration', '2s', '--crash-every', '0', '--records', '1000', '--durability', 'none'];
  assert.equal(figures(await succeed(['stress', db, ...args])).mismatches, 0);
});

test.run();
