import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { figures, lines, start, succeed, untilHolds, Workplace } from './cli.helper.test.ts';

const test = suite('command line: interrupting a load');
const place = new Workplace();
const total = 1_000_000;
const key = (i: number) => String(i).padStart(7, '0');

test.before(async () => {
  const file = createWriteStream(place.path('rows.jsonl'));
  for (let i = 0; i < total; i += 10_000) {
    const text = Array.from({ length: 10_000 }, (_, j) => `{"id":"${key(i + j)}"}\n`).join('');
    if (!file.write(text)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
});
test.after(() => place.remove());

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends a load cleanly, and exactly the records of the summary are kept`, async () => {
    const db = place.path(`${signal}.db`);
    const { child, ended } = start('main', ['load', db, place.path('rows.jsonl'), '--key', 'id']);
    await untilHolds(db, 1_000_000);
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 130, stderr);
    const records = figures(stdout).records as number;
    assert.ok(records > 0 && records < total, `${records} records: the signal came too early or too late`);
    const count = records.toLocaleString('en-US');
    assert.equal(stderr, `thermocline: interrupted; ${count} records are kept in ${db}\n`);
    assert.equal(await succeed(['count', db]), `${records}\n`);
    assert.equal(await succeed(['scan', db, '--keys', '--reverse', '--limit', '1']), `${key(records - 1)}\n`);
    assert.equal(await succeed(['scan', db, '--keys', '--limit', '1']), `${key(0)}\n`);
  });
}

test('SIGINT ends a load that waits for standard input, and what was read is kept', async () => {
  const db = place.path('waiting.db');
  const { child, ended } = start('main', ['load', db, '-', '--format', 'jsonl', '--key', 'id']);
  child.stdin.write('{"id":"a"}\n{"id":"b"}\n');
  // The database is opened when the first rows have been read.
  await untilHolds(db, 1);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  assert.deepEqual([code, figures(stdout).records], [130, 2]);
  assert.deepEqual(lines(stderr), [`thermocline: interrupted; 2 records are kept in ${db}`]);
  assert.equal(await succeed(['scan', db, '--keys']), 'a\nb\n');
});

test('SIGINT keeps the records of the summary in a database without a log too', async () => {
  const db = place.path('none.db');
  const rows = place.path('rows.jsonl');
  const { child, ended } = start('main', ['load', db, rows, '--key', 'id', '--durability', 'none']);
  // Without a log there is nothing to see on the disk, so the time it takes to write some records has to do.
  await untilHolds(db, 1);
  await sleep(400);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 130, stderr);
  assert.equal(await succeed(['count', db]), `${figures(stdout).records}\n`);
});

test('an interrupted load can be done again', async () => {
  const db = place.path('SIGINT.db');
  const summary = figures(await succeed(['load', db, place.path('rows.jsonl'), '--key', 'id']));
  assert.equal(summary.records, total);
  assert.equal(await succeed(['count', db]), `${total}\n`);
});

test.run();
