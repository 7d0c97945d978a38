import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { slotMap } from '../lib/cli/commands/shards.ts';
import { open } from '../lib/index.ts';
import { lines, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: shards');
const place = new Workplace();
test.after(() => place.remove());

test('a pipe gets a line a shard, and --json everything', async () => {
  const db = place.path('a.db');
  const rows = Array.from({ length: 300 }, (_, i) => `{"id":"${i}"}\n`).join('');
  await succeed(['load', db, place.file('rows.jsonl', rows), '--key', 'id']);
  const table = lines(await succeed(['shards', db])).map((line) => line.split('\t'));
  assert.deepEqual(
    table.map(([id, slots]) => [id, slots]),
    [
      ['0', '0-4095'],
      ['1', '4096-8191'],
      ['2', '8192-12287'],
      ['3', '12288-16383'],
    ],
  );
  assert.equal(
    table.reduce((sum, row) => sum + Number(row[2]), 0),
    300,
  );
  for (const row of table) assert.deepEqual([row.length, row[6], row[7]], [8, 'hot', 'live']);
  const shards = JSON.parse(await succeed(['shards', db, '--json']));
  assert.deepEqual(shards[1].slots, [[4096, 8191]]);
  assert.equal(shards[3].tiers.hot.keys, shards[3].keys);
});

test('with colder tiers every tier has its figures, behind the others', async () => {
  const location = place.path('tiered.db');
  const db = await open(location, { tiers: { cold: {} }, shards: 2, valueEncoding: 'utf8' });
  const names = Array.from({ length: 300 }, (_, i) => `user/${i}`);
  await db.putMany(names.map((name): [string, string] => [name, 'a value like all the others']));
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.putMany([['user/0', 'newer']]);
  await db.flush();
  await db.compact();
  const [list, owner] = [await db.shards.list(), await db.shards.of('user/0')];
  for (const { id, tiers, keys, bytes } of list) {
    assert.deepEqual(Object.keys(tiers), ['hot', 'cold']);
    assert.equal(tiers.cold?.keys, names.filter((name) => (db.shards.slotOf(name) < 8192 ? 0 : 1) === id).length);
    assert.equal(tiers.hot.keys, id === owner.id ? 1 : 0);
    assert.equal(keys, tiers.hot.keys + (tiers.cold?.keys ?? 0));
    assert.ok((tiers.cold?.tableBytes ?? 0) > 0);
    assert.equal(bytes, tiers.hot.tableBytes + (tiers.cold?.tableBytes ?? 0));
  }
  await db.close();
  const rows = lines(await succeed(['shards', location])).map((line) => line.split('\t'));
  assert.deepEqual(
    rows.map((row) => row.slice(8)),
    list.map(({ tiers: { hot, cold } }) => [hot.keys, hot.tableBytes, cold?.keys, cold?.tableBytes].map(String)),
  );
});

test('split and merge print the shards that hold the data now', async () => {
  const db = place.path('b.db');
  const rows = Array.from({ length: 300 }, (_, i) => `{"id":"${i}"}\n`).join('');
  await succeed(['load', db, place.file('more.jsonl', rows), '--key', 'id']);
  assert.deepEqual(lines(await succeed(['shards', 'split', db, '1', '--at', '5000'])), [
    '1\t4096-4999',
    '4\t5000-8191',
  ]);
  assert.deepEqual(lines(await succeed(['shards', 'merge', db, '4', '2'])), ['4\t5000-12287']);
  assert.equal(lines(await succeed(['shards', db])).length, 4);
  assert.deepEqual(lines(await succeed(['count', db])), ['300']);
  for (const [args, message] of [
    [['split', db, '9'], /there is no shard 9/],
    [['split', db, '0', '--at', '9000'], /without slots/],
    [['merge', db, '0', '4'], /no slots next to each other/],
    [['split', db, 'x'], /not a whole number/],
  ] as const) {
    const { code, stderr } = await thermocline(['shards', ...args]);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
});

test('the slot map has a character for every 64 slots', () => {
  const shards = [
    { id: 0, slots: [[0, 8191]] as [number, number][] },
    { id: 9, slots: [[8192, 16_383]] as [number, number][] },
  ];
  assert.deepEqual(lines(slotMap(shards)), [
    `     0  ${'0'.repeat(64)}`,
    `  4096  ${'0'.repeat(64)}`,
    `  8192  ${'1'.repeat(64)}`,
    ` 12288  ${'1'.repeat(64)}`,
    '',
    '        0 shard 0   1 shard 9',
  ]);
});

test.run();
