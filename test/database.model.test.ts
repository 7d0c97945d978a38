// Arbitrary histories compared with an ordered map, over settings that move records through caches, shards and tables.
// THERMOCLINE_TEST_RUNS=20 looks twenty times as long; a failure prints the shortest history found, its seed and its path.

import fc from 'fast-check';
import { suite } from 'uvu';
import { destroy } from '../lib/index.ts';
import { BUFFERS, History, type KeyForm, TEXT } from './helpers/history.ts';
import { binaryKey, operation, setting, textKey } from './helpers/operations.ts';
import { RUNS, SEED } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('database: model');
const space = new Workspace();
test.after(() => space.clean());

async function holds(key: fc.Arbitrary<Buffer>, form: KeyForm, minLength: number, maxLength: number, runs: number) {
  const histories = fc.array(operation(key), { minLength, maxLength, size: 'max' });
  await fc.assert(
    fc.asyncProperty(setting, histories, async (chosen, operations) => {
      const location = space.folder();
      await new History(location, chosen, form).run(operations);
      await destroy(location);
    }),
    // On a failure, this is how long a shorter history is looked for.
    { seed: SEED, numRuns: runs * RUNS, interruptAfterTimeLimit: 100_000 * RUNS },
  );
}

test('short histories over binary keys agree with an ordered map', () => holds(binaryKey, BUFFERS, 0, 20, 25));
test('short histories over text keys agree with an ordered map', () => holds(textKey, TEXT, 0, 20, 20));
test('long histories agree with an ordered map', () => holds(binaryKey, BUFFERS, 60, 200, 8));

test.run();
