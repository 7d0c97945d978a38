import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { lines, runExample, Workplace } from './cli.helper.test.ts';

const test = suite('examples');
const place = new Workplace();
test.after(() => place.remove());

test('the tour shows what it writes, and the snapshot does not see the later write', async () => {
  const { code, stdout, stderr } = await runExample('tour', [place.path('tour')]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^oslo: { people: 709000 }\nkristiania: undefined\n/);
  assert.match(stdout, /the snapshot still reads: { people: 709000 }/);
  assert.match(stdout, /city\/tromsø .*\ncity\/oslo { people: 710000 }\ncity\/bergen .*\n$/);
});

test('the tally counts words, and starts anew each time', async () => {
  for (let run = 0; run < 2; run++) {
    const { code, stdout, stderr } = await runExample(
      'tally',
      [place.path('tally')],
      'The sea, the SEA\nand the Ærø\n',
    );
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'and\t1\nsea\t2\nthe\t3\nærø\t1\n');
  }
});

/** Runs an example, and gives what it printed. */
async function printed(name: string): Promise<string[]> {
  const { code, stdout, stderr } = await runExample(name, [place.path(name)]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return lines(stdout);
}

test('sessions are found, ended together, and end by themselves', async () => {
  assert.deepEqual(await printed('sessions'), [
    "kari uses { user: 'kari', agent: 'phone' }",
    'sessions of kari: 2',
    'ended: 2',
    'the phone is logged out',
    'after its time ola has 0 sessions, and this one is undefined',
  ]);
});

test('each group of consumers is given every event once, also when it comes back', async () => {
  assert.deepEqual(await printed('events'), [
    'kari pays 10, kari pays 5, ola pays 1, ola pays 20',
    'sum/kari 15',
    'sum/ola 21',
    'only the new one: kari pays 7',
  ]);
});

test('accounts keep their sum, and historic blocks are read from the cold store', async () => {
  assert.deepEqual(await printed('accounts'), [
    '8 blocks sank; the cold store holds 8',
    'blocks: 10 sum: 400',
    'replayed: the same balances',
  ]);
});

test('worker threads fill one database', async () => {
  assert.deepEqual(await printed('workers.mjs'), [
    'primes below 20,000: 2262',
    'the last: prime/00019997 found in thread 4',
  ]);
});

test('the Fastify server makes a slow answer once', async () => {
  assert.deepEqual(await printed('cache'), ['miss {"n":12,"square":144}', 'hit {"n":12,"square":144}', 'made: 2']);
});

test.run();
