import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Ended, start, succeed, untilHolds, Workplace } from './cli.helper.test.ts';

const test = suite('quickstart');
const place = new Workplace();
const folder = place.path('words.db');
test.after(() => place.remove());

function quickstart(...args: string[]): Promise<Ended> {
  const { child, ended } = start('quickstart', args);
  child.stdin.end();
  return ended;
}

/** What every run must show, first or later. */
function assertShows({ code, stdout, stderr }: Ended): void {
  assert.equal(code, 0, stderr);
  assert.match(stdout, /'light': its 48 meanings in one getMany/);
  assert.match(stdout, /electromagnetic radiation/);
  assert.match(stdout, /prefix scan +sea, sea-coast, sea-duty \.\.\. \(228\)/);
  assert.match(stdout, /reverse range +zyrian, zymurgy, zymosis \.\.\. \(10,000\)/);
  assert.match(stdout, /getMany of 10,000 keys +10,000 found/);
  const [, looks, whole] = /1000\+0 became 0\+1000; (\d+) of (\d+) snapshots add up/.exec(stdout) ?? [];
  assert.ok(looks !== undefined && looks === whole && Number(looks) > 0, `${whole} of ${looks} looks`);
  assert.match(stdout, /it still reads 'low', the database 'high'/);
  assert.equal(
    stdout.match(/\d (µs|ms|s) +[\d,]+ (keys|records|batches|calls)\/s\n/g)?.length,
    6,
    'six times and rates',
  );
}

test('an interrupted first run says what happened, and the next one loads anew', async () => {
  const { child, ended } = start('quickstart', [folder]);
  await untilHolds(folder, 1_000_000);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /^thermocline: interrupted; [\d,]+ records are in .*, and the next run loads anew\n$/);
  const next = await quickstart(folder);
  assert.match(next.stderr, /An earlier load did not finish; loading anew/);
  assert.match(next.stdout, /Loaded 480,493 records/);
  assertShows(next);
});

test('the records are all there, beside the marker, and nothing is left of the demonstration', async () => {
  assert.equal(await succeed(['count', folder]), '480494\n');
  assert.equal(await succeed(['scan', folder, '--prefix', 'quickstart/', '--keys']), 'quickstart/load\n');
  assert.match(await succeed(['get', folder, 'word/r/deep']), /"synsets":\["00306956","00307214","00307076"\]/);
});

test('a second run opens what is there and says so', async () => {
  const again = await quickstart(folder);
  assert.match(again.stdout, /480,493 records are here already; opened in [\d.]+ (ms|s)\./);
  assert.equal(again.stderr, '');
  assertShows(again);
});

test('the commands it recommends work', async () => {
  const { stdout } = await quickstart(folder);
  const commands = [...stdout.matchAll(/^ {2}node .*main\.js (.*)$/gm)].map(([, args]) => args as string);
  assert.ok(commands.length >= 4, stdout);
  for (const command of commands) {
    if (command.startsWith('--help')) continue;
    assert.notEqual(await succeed((command.split(' | ')[0] as string).split(' ')), '', command);
  }
});

test('a database with other data is refused and left alone', async () => {
  const other = place.path('other.db');
  await succeed(['put', other, 'mine', '1']);
  const { code, stderr } = await quickstart(other);
  assert.equal(code, 1);
  assert.match(stderr, /^thermocline: .*other\.db holds another database; name another folder/);
  assert.equal(await succeed(['scan', other]), 'mine\t1\n');
});

test('more than one folder is a usage error', async () => {
  const { code, stderr } = await quickstart('a', 'b');
  assert.deepEqual([code, stderr], [2, 'thermocline: give one folder for the database, or nothing\n']);
});

test.run();
