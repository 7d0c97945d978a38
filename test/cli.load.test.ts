import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite } from 'uvu';
import { durabilities } from '../lib/cli/durability.ts';
import { figures, lines, start, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: load');
const place = new Workplace();
test.after(() => place.remove());

let databases = 0;
const fresh = () => place.path(`${databases++}.db`);

test('CSV loads with a key template and whole rows as JSON, and the summary counts', async () => {
  const db = fresh();
  const csv = 'id,name\n1,Ann\n2,"Bo, Jr"\n';
  const summary = figures(await succeed(['load', db, place.file('a.csv', csv), '--key-template', 'user/{id}']));
  assert.deepEqual([summary.records, summary.rejected, summary.bytes], [2, 0, csv.length]);
  assert.ok((summary.seconds as number) > 0 && (summary.records_per_second as number) > 0);
  const expected = 'user/1\t{"id":"1","name":"Ann"}\nuser/2\t{"id":"2","name":"Bo, Jr"}\n';
  assert.equal(await succeed(['scan', db]), expected);
});

test('TSV loads one column as the value, from a file with named columns', async () => {
  const db = fresh();
  const file = place.file('a.tsv', '1\tx "y\tAnn\n2\tz\tBo\n');
  await succeed(['load', db, file, '--columns', 'id,note,name', '--key', 'name', '--value', 'note']);
  assert.equal(await succeed(['scan', db]), 'Ann\tx "y\nBo\tz\n');
});

test('JSON Lines load from several files, and a later row with the same key wins', async () => {
  const db = fresh();
  const first = place.file('1.jsonl', '{"id":1,"v":"old"}\n{"id":2,"v":"two"}\n');
  const second = place.file('2.ndjson', '{"id":1,"v":"new"}\n');
  const summary = figures(
    await succeed(['load', db, first, second, '--key', 'id', '--value', 'v', '--batch-size', '1']),
  );
  assert.equal(summary.records, 3);
  assert.equal(await succeed(['scan', db]), '1\tnew\n2\ttwo\n');
});

test('a load adds to a database that is there', async () => {
  const db = fresh();
  await succeed(['put', db, 'a', 'kept']);
  await succeed(['load', db, '-', '--format', 'csv', '--key', 'id', '--value', 'v'], 'id,v\nb,new\n');
  assert.equal(await succeed(['scan', db]), 'a\tkept\nb\tnew\n');
});

test('malformed rows are told with file and line and counted, and the load succeeds', async () => {
  const db = fresh();
  const file = place.file('bad.csv', 'id,v\n1,a\n2\n3,"b"c\n4,d\n');
  const { code, stdout, stderr } = await thermocline(['load', db, file, '--key', 'id', '--value', 'v']);
  assert.equal(code, 0);
  assert.deepEqual(lines(stderr), [
    `${file}:3: the row has 1 fields, and there are 2 columns`,
    `${file}:4: a closing quotation mark is followed by more text`,
  ]);
  assert.deepEqual([figures(stdout).records, figures(stdout).rejected], [2, 2]);
  assert.equal(await succeed(['scan', db]), '1\ta\n4\td\n');
});

test('the longest key loads, and a longer one is a malformed row and not the end of its batch', async () => {
  const db = fresh();
  // 'ü' is one UTF-16 unit and two bytes.
  const [longest, longer] = ['ü'.repeat(32_768), `${'ü'.repeat(32_768)}x`];
  for (const [name, text] of [
    ['long.csv', `id\na\n${longest}\n${longer}\nb\n`],
    ['long.jsonl', `{"id":"a"}\n{"id":"${longest}"}\n{"id":"${longer}"}\n{"id":"b"}\n`],
  ] as const) {
    const { code, stdout, stderr } = await thermocline(['load', db, place.file(name, text), '--key', 'id']);
    assert.deepEqual([code, figures(stdout).records, figures(stdout).rejected], [0, 3, 1], stderr);
    assert.match(stderr, new RegExp(`${name}:${name.endsWith('csv') ? 4 : 3}: the key is longer than 65536 bytes`));
  }
  const lengths = lines(await succeed(['scan', db, '--keys'])).map((key) => key.length);
  assert.deepEqual(lengths, [1, 1, 32_768]);
});

test('twenty malformed rows are shown and the others counted', async () => {
  const db = fresh();
  const input = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? `{"id":${i}}\n` : 'no\n')).join('');
  const { code, stdout, stderr } = await thermocline(['load', db, '-', '--format', 'jsonl', '--key', 'id'], input);
  assert.deepEqual([code, figures(stdout).records, figures(stdout).rejected], [0, 25, 25]);
  const shown = lines(stderr);
  assert.equal(shown.length, 21);
  assert.match(shown[0] as string, /^standard input:2: not JSON/);
  assert.match(shown[19] as string, /^standard input:40: not JSON/);
  assert.equal(shown[20], '... and 5 more malformed rows');
});

test('--strict stops at the first malformed row with exit code 1, and what stands before it stays', async () => {
  const db = fresh();
  const file = place.file('strict.jsonl', '{"id":"a"}\n{"id":"b"}\nno\n{"id":"c"}\nno\n');
  const { code, stdout, stderr } = await thermocline(['load', db, file, '--key', 'id', '--strict']);
  assert.equal(code, 1);
  const [row, error, ...more] = lines(stderr);
  assert.match(row as string, /strict\.jsonl:3: not JSON/);
  assert.equal(error, `thermocline: stopped at the first malformed row; 2 records are kept in ${db}`);
  assert.deepEqual(more, []);
  assert.deepEqual([figures(stdout).records, figures(stdout).rejected], [2, 1]);
  assert.equal(await succeed(['scan', db, '--keys']), 'a\nb\n');
});

test('what comes before a file with wrong columns is kept, and the summary says how much', async () => {
  const db = fresh();
  const good = place.file('good.csv', 'id\n1\n2\n');
  const bad = place.file('bad2.csv', 'key\n3\n');
  const { code, stdout, stderr } = await thermocline(['load', db, good, bad, '--key', 'id']);
  assert.deepEqual([code, figures(stdout).records], [2, 2]);
  assert.match(stderr, /bad2\.csv has no column 'id'/);
  assert.equal(await succeed(['count', db]), '2\n');
});

test('each level of durability loads', async () => {
  for (const level of durabilities) {
    const db = fresh();
    await succeed(['load', db, '-', '--format', 'csv', '--key', 'id', '--durability', level], 'id\n1\n2\n');
    assert.equal(await succeed(['count', db]), '2\n', level);
  }
});

test('an empty file loads nothing', async () => {
  const db = fresh();
  const summary = figures(await succeed(['load', db, place.file('empty.jsonl', ''), '--key', 'id']));
  assert.deepEqual([summary.records, summary.rejected, summary.bytes], [0, 0, 0]);
});

test('WordNet loads from a file, with keys of its own', async () => {
  const db = fresh();
  const file = place.file(
    'index.adv',
    '  1 This software and database is being provided to you  \ndeep r 3 1 \\ 3 1 00306956 00307214 00307076  \n',
  );
  await succeed(['load', db, file, '--format', 'wordnet']);
  const [key, value] = (await succeed(['scan', db])).trimEnd().split('\t') as [string, string];
  assert.equal(key, 'word/r/deep');
  assert.deepEqual(JSON.parse(value).synsets, ['00306956', '00307214', '00307076']);
});

test('memory does not grow with the file', async () => {
  // 63 MB of text through a heap that holds 60: whoever keeps the rows dies of it.
  const { child, ended } = start('main', ['load', fresh(), '-', '--format', 'csv', '--key', 'id'], {
    NODE_OPTIONS: '--max-old-space-size=60',
  });
  const text = 'abcdefghij'.repeat(30);
  child.stdin.write('id,text\n');
  for (let i = 0; i < 200_000; i += 1000) {
    const rows = Array.from({ length: 1000 }, (_, j) => `${i + j},${text}\n`).join('');
    if (!child.stdin.write(rows)) await Promise.race([once(child.stdin, 'drain'), ended]);
  }
  child.stdin.end();
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 0, stderr.slice(0, 500));
  assert.equal(figures(stdout).records, 200_000);
});

test.run();
