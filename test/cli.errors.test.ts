import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: errors');
const place = new Workplace();
const db = place.path('some.db');

test.before(async () => {
  await succeed(['put', db, 'k', 'v']);
});
test.after(() => place.remove());

/** Runs a command that must fail: nothing on standard output, and one line that fits. */
async function fail(args: string[], code: number, line: RegExp, input?: string): Promise<void> {
  const ended = await thermocline(args, input);
  const command = `thermocline ${args.join(' ')}`;
  assert.match(ended.stderr, line, command);
  assert.match(ended.stderr, /^thermocline: [^\n]+\n$/, `${command}: one line`);
  assert.deepEqual([ended.code, ended.stdout], [code, ''], command);
}

test('a database that is not there is named, and none is created', async () => {
  const missing = place.path('missing.db');
  const line = /there is no database at .*missing\.db; .*load.* create one \(ERR_NOT_FOUND\)/;
  await Promise.all([
    fail(['get', missing, 'k'], 1, line),
    fail(['scan', missing], 1, line),
    fail(['count', missing], 1, line),
    fail(['stats', missing], 1, line),
    fail(['del', missing, 'k'], 1, line),
  ]);
  assert.equal(existsSync(missing), false);
});

test('a database that another process has open is refused with ERR_LOCKED', async () => {
  const held = await open(db);
  try {
    await Promise.all([
      fail(['get', db, 'k'], 1, /\(ERR_LOCKED\)$/m),
      fail(['put', db, 'k', 'w'], 1, /\(ERR_LOCKED\)$/m),
      fail(['load', db, '-', '--format', 'jsonl', '--key', 'id'], 1, /\(ERR_LOCKED\)$/m, '{"id":1}\n'),
    ]);
  } finally {
    await held.close();
  }
  assert.equal(await succeed(['get', db, 'k']), 'v\n');
});

test('several processes read one database at the same time', async () => {
  const values = await Promise.all(Array.from({ length: 4 }, () => succeed(['get', db, 'k'])));
  assert.deepEqual(values, ['v\n', 'v\n', 'v\n', 'v\n']);
});

test('a file where the database should be is told apart from a database', async () => {
  const file = place.file('people.csv', 'id\n1\n');
  await fail(['get', file, 'k'], 1, /is a file, and a database is a folder; the database is the first argument/);
  await fail(['load', file, db, '--format', 'csv', '--key', 'id'], 1, /people\.csv|some\.db/);
});

test('a folder that holds something else is refused and left alone', async () => {
  const folder = place.path('photos');
  mkdirSync(folder);
  place.file('photos/a.jpg', 'x');
  await fail(['scan', folder], 1, /\(ERR_\w+\)$/m);
});

test('a file that is not there is named before a database is created', async () => {
  const fresh = place.path('fresh.db');
  await fail(
    ['load', fresh, place.path('no.csv'), '--key', 'id'],
    1,
    /cannot read .*no\.csv: there is no such file \(ENOENT\)/,
  );
  await fail(['load', fresh, place.folder, '--format', 'csv', '--key', 'id'], 1, /it is a folder \(EISDIR\)/);
  const wrongName = place.file('data.txt', 'x\n');
  await fail(['load', fresh, wrongName, '--format', 'wordnet'], 1, /data\.txt is no WordNet file/);
  const csv = place.file('a.csv', 'key,v\n1,2\n');
  await fail(['load', fresh, csv, '--key', 'id'], 2, /has no column 'id'; its columns are key, v/);
  assert.equal(existsSync(fresh), false);
});

test('a command typed wrongly ends with 2 and says what is wrong', async () => {
  const csv = place.file('b.csv', 'id\n1\n');
  await Promise.all([
    fail(['get', db], 2, /missing required argument 'key'/),
    fail(['get', db, 'a', 'b'], 2, /too many arguments/),
    fail(['lode', db], 2, /unknown command 'lode' \(Did you mean load\?\)/),
    fail(['scan', db, '--limt', '3'], 2, /unknown option '--limt' \(Did you mean --limit\?\)/),
    fail(['scan', db, '--limit', 'many'], 2, /whole number/),
    fail(['scan', db, '--limit', '-1'], 2, /whole number/),
    fail(['scan', db, '--gt', 'a', '--gte', 'b'], 2, /--gt or --gte, not both/),
    fail(['scan', db, '--lt', 'a', '--lte', 'b'], 2, /--lt or --lte, not both/),
    fail(['scan', db, '--keys', '--values'], 2, /--keys or --values, not both/),
    fail(['put', db, 'k', 'v', '--durability', 'much'], 2, /Allowed choices are .*wal/),
    fail(['load', db, csv], 2, /--key <column>, or --key-template/),
    fail(['load', db, csv, '--key', 'id', '--key-template', '{id}'], 2, /--key or --key-template, not both/),
    fail(['load', db, csv, '--key-template', 'x/{id'], 2, /write \{column\}/),
    fail(['load', db, csv, '--key', 'id', '--batch-size', '0'], 2, /whole number from 1/),
    fail(['load', db, csv, '--key', 'id', '--format', 'xml'], 2, /csv, tsv, jsonl, wordnet/),
    fail(['load', db, place.file('c.dat', 'x'), '--key', 'id'], 2, /does not tell its format; say --format/),
    fail(['load', db, '-', '--key', 'id'], 2, /does not tell its format; say --format/),
    fail(['load', db, csv, place.file('d.jsonl', ''), '--key', 'id'], 2, /different formats/),
    fail(['load', db, place.folder, '--format', 'wordnet', '--key', 'id'], 2, /leave out --key/),
  ]);
});

test('without a command the help goes to standard error, and --help to standard output', async () => {
  const none = await thermocline([]);
  assert.deepEqual([none.code, none.stdout], [2, '']);
  const help = await thermocline(['--help']);
  assert.deepEqual([help.code, help.stderr], [0, '']);
  for (const command of ['load', 'get', 'put', 'del', 'scan', 'count', 'stats']) {
    assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
    assert.match(none.stderr, new RegExp(`^  ${command} `, 'm'));
  }
});

test('THERMOCLINE_DEBUG adds the stack', async () => {
  const { stderr } = await thermocline(['get', db, 'nowhere'], '', { THERMOCLINE_DEBUG: '1' });
  assert.match(stderr, /^thermocline: there is no key 'nowhere'[^\n]*\n.*\n\s+at /);
});

test.run();
