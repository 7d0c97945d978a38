// thermocline serve and thermocline stats of a live page: what they answer, whom they refuse, how they end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite } from 'uvu';
import type { Stats } from '../lib/index.ts';
import { lines, type Running, start, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: serve');
const place = new Workplace();
test.after(() => place.remove());

const location = place.path('served.db');
test.before(async () => {
  await succeed(['put', location, 'key', 'value']);
});

/** Runs `thermocline serve` until the body has ended, then interrupts it, which must end it well. */
async function whileServing(args: string[], body: (url: string) => Promise<void>): Promise<void> {
  const running: Running = start('main', ['serve', location, '--port', '0', ...args]);
  let said = '';
  while (!said.includes('\n')) said += String((await once(running.child.stdout, 'data'))[0]);
  const url = /^serving .*served\.db at (http:\/\/127\.0\.0\.1:\d+\/)\n$/.exec(said)?.[1];
  try {
    assert.ok(url !== undefined, said);
    await body(url);
  } finally {
    running.child.kill('SIGINT');
  }
  const { stderr } = await running.ended;
  assert.doesNotMatch(stderr, /Error|at .*\.ts/);
}

test('the page, its figures and its metrics are there until it is interrupted', () =>
  whileServing([], async (url) => {
    const page = await fetch(url);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<html/i);
    const stats = (await (await fetch(`${url}stats`)).json()) as Stats;
    assert.equal(stats.shards, 4);
    assert.match(await (await fetch(`${url}metrics`)).text(), /^# TYPE thermocline_/m);
  }));

test('stats of its address prints what the serving program counts', () =>
  whileServing([], async (url) => {
    const { shards } = JSON.parse(await succeed(['stats', url, '--json'])) as Stats;
    assert.equal(shards, 4);
    assert.ok(lines(await succeed(['stats', url])).length > 10);
  }));

test('with a token it answers those who have it', () =>
  whileServing(['--token', 'a-long-enough-token'], async (url) => {
    assert.equal((await fetch(`${url}stats`)).status, 401);
    const refused = await thermocline(['stats', url]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /wants a token: give --token/);
    const { shards } = JSON.parse(await succeed(['stats', url, '--json', '--token', 'a-long-enough-token'])) as Stats;
    assert.equal(shards, 4);
  }));

test('any address but loopback needs a token', async () => {
  const { code, stderr } = await thermocline(['serve', location, '--port', '0', '--host', '0.0.0.0']);
  assert.equal(code, 1);
  assert.match(stderr, /give a token \(ERR_INVALID_ARGUMENT\)/);
});

test('stats --watch goes on until it is interrupted', async () => {
  const { child, ended } = start('main', ['stats', location, '--watch', '1', '--json']);
  let said = '';
  while (said.split('\n').length < 3) said += String((await once(child.stdout, 'data'))[0]);
  child.kill('SIGINT');
  await ended;
  for (const line of said.split('\n').slice(0, 2)) assert.equal((JSON.parse(line) as Stats).shards, 4);
});

test('the statistics of a page that is not there say so', async () => {
  const { code, stderr } = await thermocline(['stats', 'http://127.0.0.1:9/']);
  assert.equal(code, 1);
  assert.match(stderr, /there is no live page at http:\/\/127\.0\.0\.1:9\//);
});

test.run();
