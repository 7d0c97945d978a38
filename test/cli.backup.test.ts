import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import { lines, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: backup, restore, verify');
const place = new Workplace();
test.after(() => place.remove());

test('a database goes into a folder of backups and comes back', async () => {
  const db = place.path('a.db');
  const dir = place.path('backups');
  await succeed(['put', db, 'city', 'Oslo']);
  const [id, created, bytes, files] = (await succeed(['backup', db, dir])).trim().split('\t');
  assert.equal(id, '1');
  assert.ok(Math.abs(Date.parse(created as string) - Date.now()) < 60_000);
  assert.ok(Number(bytes) > 0 && Number(files) > 0);
  await succeed(['put', db, 'city', 'Bergen']);
  for (let i = 0; i < 3; i++) await succeed(['backup', db, dir, '--keep', '2']);
  assert.deepEqual(
    lines(await succeed(['verify', dir])).map((line) => line.split('\t')[0]),
    ['3', '4'],
  );
  await succeed(['restore', dir, place.path('b.db')]);
  assert.equal(await succeed(['get', place.path('b.db'), 'city']), await succeed(['get', db, 'city']));
  await succeed(['restore', dir, place.path('c.db'), '--id', '3']);
  const wrong = await thermocline(['restore', dir, place.path('d.db'), '--id', '1']);
  assert.deepEqual([wrong.code, /ERR_NOT_FOUND/.test(wrong.stderr)], [1, true]);
  const full = await thermocline(['restore', dir, db]);
  assert.deepEqual([full.code, /not empty/.test(full.stderr)], [1, true]);
});

test('verify of a sound database gives its figures, of a damaged one the damage and exit code 1', async () => {
  const db = place.path('v.db');
  const rows = Array.from({ length: 3000 }, (_, i) => `{"id":"${i}","v":"${'y'.repeat(80)}"}\n`).join('');
  await succeed(['load', db, place.file('rows.jsonl', rows), '--key', 'id']);
  const found = lines(await succeed(['verify', db])).map((line) => line.split('\t'));
  const figures = Object.fromEntries(found);
  assert.deepEqual([figures.records, figures.shadowed, figures.problems], ['3000', '0', '0']);
  const shards = found.filter(([name]) => name === 'shard');
  assert.deepEqual(
    shards.map(([, id, tier]) => `${id} ${tier}`),
    ['0 hot', '1 hot', '2 hot', '3 hot'],
  );
  assert.equal(
    shards.reduce((sum, cells) => sum + Number(cells[3]), 0),
    3000,
  );
  const hot = join(db, 'hot');
  const table = readdirSync(hot)
    .filter((name) => name.endsWith('.sst'))
    .map((name) => join(hot, name))
    .sort((a, b) => readFileSync(b).length - readFileSync(a).length)[0] as string;
  const bytes = readFileSync(table);
  bytes[500] = (bytes[500] as number) ^ 1;
  writeFileSync(table, bytes);
  const { code, stdout, stderr } = await thermocline(['verify', db]);
  assert.equal(code, 1);
  assert.match(stdout, /problem: table \d+\.sst: .*[Cc]orruption/);
  assert.match(stderr, /is damaged: \d+ problems? \(ERR_CORRUPTION\)/);
});

test.run();
