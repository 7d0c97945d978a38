import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { runExample, Workplace } from './cli.helper.test.ts';

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

test.run();
