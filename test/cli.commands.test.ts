import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { lines, programFile, start, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: commands');
const place = new Workplace();
const db = place.path('letters.db');
const bytes = place.path('bytes.db');

const binary = Buffer.from([0x00, 0xff, 0x0a, 0x41]);

test.before(async () => {
  const letters = await open(db);
  await letters.batch([...'abcdefghij'].map((key) => ({ type: 'put', key, value: Buffer.from(key.toUpperCase()) })));
  await letters.close();
  const mixed = await open(bytes, { keyEncoding: 'buffer' });
  await mixed.batch([
    { type: 'put', key: Buffer.from('json'), value: Buffer.from('{"a":"\\n"}') },
    { type: 'put', key: Buffer.from('tab\there'), value: Buffer.from('two\nlines') },
    { type: 'put', key: Buffer.from([0xfe, 0x01]), value: binary },
    { type: 'put', key: Buffer.from('empty'), value: Buffer.alloc(0) },
  ]);
  await mixed.close();
});

test.after(() => place.remove());

test('put writes a record that get prints, and creates the database', async () => {
  const fresh = place.path('fresh.db');
  assert.equal(await succeed(['put', fresh, 'greeting', 'good day']), '');
  assert.equal(await succeed(['get', fresh, 'greeting']), 'good day\n');
  assert.equal(await succeed(['put', fresh, 'greeting', 'good night', '--durability', 'wal']), '');
  assert.equal(await succeed(['get', fresh, 'greeting']), 'good night\n');
});

test('a database without a log is read and written like any other, and fsync is refused there', async () => {
  const fresh = place.path('none.db');
  await succeed(['put', fresh, 'a', '1', '--durability', 'none']);
  await succeed(['put', fresh, 'b', '2']);
  assert.equal(await succeed(['del', fresh, 'a']), '1\n');
  assert.equal(await succeed(['scan', fresh]), 'b\t2\n');
  const refused = await thermocline(['put', fresh, 'c', '3', '--durability', 'fsync']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^thermocline: .*durability 'none'.* \(ERR_INVALID_ARGUMENT\)\n$/);
});

test('put takes a value from standard input, byte by byte as it is', async () => {
  const fresh = place.path('stdin.db');
  await succeed(['put', fresh, 'k', '-'], binary);
  assert.equal(await succeed(['get', fresh, 'k', '--base64']), `${binary.toString('base64')}\n`);
});

test('put takes a value in base64, and refuses what is not', async () => {
  const fresh = place.path('base64.db');
  await succeed(['put', fresh, 'k', binary.toString('base64'), '--base64']);
  assert.equal(await succeed(['get', fresh, 'k']), '\\x00\\xff\\nA\n');
  const wrong = await thermocline(['put', fresh, 'k', 'not base64!', '--base64']);
  assert.deepEqual([wrong.code, wrong.stderr], [2, 'thermocline: the value is not base64\n']);
});

test('keys and values that begin with a dash come after --', async () => {
  const fresh = place.path('dash.db');
  await succeed(['put', fresh, '--', '-k', '--v']);
  assert.equal(await succeed(['get', fresh, '--', '-k']), '--v\n');
});

test('empty keys and empty values are records', async () => {
  const fresh = place.path('empty.db');
  await succeed(['put', fresh, '', '']);
  assert.equal(await succeed(['get', fresh, '']), '\n');
  assert.equal(await succeed(['scan', fresh]), '\t\n');
});

test('get --raw writes the bytes and nothing more', async () => {
  const { child, ended } = start('main', ['get', db, 'a', '--raw']);
  child.stdin.end();
  assert.equal((await ended).stdout, 'A');
});

test('get of an absent key ends with 1 and says so on standard error alone', async () => {
  const { code, stdout, stderr } = await thermocline(['get', db, 'nowhere']);
  assert.deepEqual([code, stdout, stderr], [1, '', `thermocline: there is no key 'nowhere' in ${db}\n`]);
});

test('del deletes keys and prints how many there were', async () => {
  const fresh = place.path('del.db');
  await succeed(['put', fresh, 'a', '1']);
  await succeed(['put', fresh, 'b', '2']);
  assert.equal(await succeed(['del', fresh, 'a', 'nowhere', 'a']), '1\n');
  assert.equal(await succeed(['scan', fresh]), 'b\t2\n');
});

test('scan prints key, tab and value in the order of keys', async () => {
  const expected = [...'abcdefghij'].map((key) => `${key}\t${key.toUpperCase()}`);
  assert.deepEqual(lines(await succeed(['scan', db])), expected);
  assert.deepEqual(lines(await succeed(['scan', db, '--reverse'])), expected.reverse());
});

test('scan takes either end of a range, open or closed, a prefix and a limit', async () => {
  const keys = async (...flags: string[]) => lines(await succeed(['scan', db, '--keys', ...flags])).join('');
  const found = await Promise.all([
    keys('--gt', 'c', '--lt', 'f'),
    keys('--gte', 'c', '--lte', 'f'),
    keys('--gte', 'h'),
    keys('--limit', '3'),
    keys('--limit', '3', '--reverse', '--lt', 'f'),
    keys('--prefix', 'd'),
    keys('--prefix', 'x'),
    keys('--limit', '0'),
  ]);
  assert.deepEqual(found, ['de', 'cdef', 'hij', 'abc', 'edc', 'd', '', '']);
});

test('scan prints values alone, JSON lines, and what is no text escaped or in base64', async () => {
  const [values, json, plain, base64] = await Promise.all([
    succeed(['scan', db, '--values', '--limit', '2']),
    succeed(['scan', bytes, '--json']),
    succeed(['scan', bytes]),
    succeed(['scan', bytes, '--base64']),
  ]);
  assert.equal(values, 'A\nB\n');
  assert.deepEqual(
    lines(json).map((line) => JSON.parse(line)),
    [
      { key: 'empty', value: '' },
      { key: 'json', value: '{"a":"\\n"}' },
      { key: 'tab\there', value: 'two\nlines' },
      { keyBase64: '/gE=', valueBase64: binary.toString('base64') },
    ],
  );
  const escaped = ['empty\t', 'json\t{"a":"\\n"}', 'tab\\there\ttwo\\nlines', '\\xfe\\x01\t\\x00\\xff\\nA'];
  assert.deepEqual(lines(plain), escaped);
  assert.deepEqual(
    lines(base64).map((line) => line.split('\t')[1]),
    [
      '',
      Buffer.from('{"a":"\\n"}').toString('base64'),
      Buffer.from('two\nlines').toString('base64'),
      binary.toString('base64'),
    ],
  );
});

test('what scan --json prints can be loaded again as it is', async () => {
  const json = await succeed(['scan', db, '--json']);
  const copy = place.path('copy.db');
  await succeed(['load', copy, '-', '--format', 'jsonl', '--key', 'key', '--value', 'value'], json);
  assert.equal(await succeed(['scan', copy, '--json']), json);
});

test('count counts a whole database and a range', async () => {
  const counts = await Promise.all([
    succeed(['count', db]),
    succeed(['count', db, '--gt', 'b', '--lte', 'd']),
    succeed(['count', db, '--prefix', 'x']),
  ]);
  assert.deepEqual(counts, ['10\n', '2\n', '0\n']);
});

test('stats prints a name and a figure a line, and everything as one JSON object', async () => {
  const [text, json] = await Promise.all([succeed(['stats', db]), succeed(['stats', db, '--json'])]);
  const figures = new Map(lines(text).map((line) => line.split('\t') as [string, string]));
  assert.equal(figures.get('shards'), '4');
  for (const [name, figure] of figures) assert.match(figure, /^\d+$/, name);
  const all = JSON.parse(json);
  assert.equal(all.shards, 4);
  assert.deepEqual(
    [...figures.keys()],
    [
      'shards',
      ...Object.keys(all.disk).map((name) => `disk.${name}`),
      ...Object.keys(all.memory).map((name) => `memory.${name}`),
    ],
  );
  assert.equal(all.operations.put.operations, 0);
});

test('commands that read leave the folder as it is', async () => {
  const before = readdirSync(db).sort();
  await succeed(['scan', db, '--keys']);
  await succeed(['count', db]);
  assert.deepEqual(readdirSync(db).sort(), before);
});

test('a reader that goes away ends scan quietly, and the database can be opened again', async () => {
  const big = place.path('big.db');
  const rows = Array.from(
    { length: 50_000 },
    (_, i) => `{"id":"${String(i).padStart(6, '0')}","pad":"${'x'.repeat(100)}"}\n`,
  );
  await succeed(['load', big, place.file('big.jsonl', rows.join('')), '--key', 'id']);
  const { child, ended } = start('main', ['scan', big]);
  child.stdin.end();
  child.stdout.once('data', () => child.stdout.destroy());
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(await succeed(['count', big]), '50000\n');
});

test('scan | head works in a shell', async () => {
  const script = `set -o pipefail; "$0" "$1" scan "$2" | head -n 2`;
  const args = ['-c', script, process.execPath, programFile('main'), place.path('big.db')];
  const child = spawn('bash', args, { timeout: 60_000 });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(
    lines(stdout).map((line) => line.split('\t')[0]),
    ['000000', '000001'],
  );
});

test.run();
