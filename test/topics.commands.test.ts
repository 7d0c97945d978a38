import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('topics: command line');
const place = new Workplace();
const db = place.path('topics.db');
test.after(() => place.remove());

test('create, append, read, tail and stats', async () => {
  assert.equal(await succeed(['topic', 'create', db, 'events', '--partitions', '2', '--segment-messages', '10']), '');
  assert.equal(await succeed(['topic', 'list', db]), 'events\n');
  assert.equal(await succeed(['topic', 'append', db, 'events', 'hello', '--partition', '1']), '1\t0\n');
  const lines = Array.from({ length: 25 }, (_, i) => `line ${i}`);
  await succeed(['topic', 'append', db, 'events', '--partition', '1'], `${lines.join('\n')}\n`);
  const read = await succeed(['topic', 'read', db, 'events', '--partition', '1', '--offset', '24']);
  assert.equal(read, '1\t24\t\tline 23\n1\t25\t\tline 24\n');
  assert.equal(
    await succeed(['topic', 'read', db, 'events', '--partition', '1', '--limit', '2']),
    '1\t0\t\thello\n1\t1\t\tline 0\n',
  );
  assert.equal(await succeed(['topic', 'tail', db, 'events', '--limit', '1']), '1\t25\t\tline 24\n');
  await succeed(['topic', 'append', db, 'events', 'keyed', '--key', 'k', '--partition', '0', '--durability', 'fsync']);
  const [json] = (await succeed(['topic', 'read', db, 'events', '--json'])).split('\n');
  const { timestamp, ...message } = JSON.parse(json as string);
  assert.deepEqual(message, { partition: 0, offset: 0, key: 'k', value: 'keyed' });
  assert.ok(Math.abs(timestamp - Date.now()) < 3_600_000);
  const stats = await succeed(['topic', 'stats', db, 'events']);
  assert.match(stats, /^partition\tstart\tend\tsegments\tbytes\n0\t0\t1\t1\t\d+\n1\t0\t26\t2\t\d+\n$/);
  assert.equal(JSON.parse(await succeed(['topic', 'stats', db, 'events', '--json'])).messages, 27);
});

test('check finds damage, read goes past it, repair takes it away, delete takes all', async () => {
  const whole = await succeed(['topic', 'check', db, 'events']);
  assert.match(whole, /^partitions\t2\nsegments\t3\nbatches\t3\nmessages\t27\n/);
  const file = path.join(db, 'topics/events/1/00000000000000000001.log');
  const bytes = readFileSync(file);
  bytes[100] = (bytes[100] as number) ^ 4;
  writeFileSync(file, bytes);
  const checked = await thermocline(['topic', 'check', db, 'events']);
  assert.equal(checked.code, 1);
  assert.match(checked.stdout, /00000000000000000001\.log\tbyte 0\toffset 1\tdamaged\n/);
  assert.match(checked.stderr, /1 problem in the topic 'events'/);
  const read = await thermocline(['topic', 'read', db, 'events', '--partition', '1']);
  assert.equal(read.code, 1);
  assert.match(read.stderr, /is damaged at byte 0, where offset 1 should begin \(ERR_CORRUPTION\)/);
  const repaired = await succeed(['topic', 'repair', db, 'events']);
  assert.match(repaired, /^rewrittenSegments\t1\n/);
  assert.match(await succeed(['topic', 'check', db, 'events']), /\nmessages\t2\n/);
  assert.match(await succeed(['topic', 'repair', db, 'events', '--rewrite', '--compression', 'zstd']), /^rewritten/);
  assert.equal(await succeed(['topic', 'delete', db, 'events']), '');
  assert.equal(await succeed(['topic', 'list', db]), '');
});

test('what is typed wrongly is refused', async () => {
  for (const args of [
    ['topic', 'create', db, 'a/b'],
    ['topic', 'read', db, 'none'],
  ]) {
    assert.equal((await thermocline(args)).code, 1);
  }
  for (const args of [
    ['topic', 'create', db, 't', '--partitions', '0'],
    ['topic', 'create', db, 't', '--compression', 'rar'],
    ['topic', 'read', db, 't', '--offset', '1', '--timestamp', '1'],
    ['topic', 'repair', db, 't', '--compression', 'lz4'],
  ]) {
    assert.equal((await thermocline(args)).code, 2, args.join(' '));
  }
});

test.run();
