// Random interleavings of transactions and plain writes: the order of the commits explains every read, every refusal
// and what is stored in the end (helpers/pipeline/schedule.ts says how).

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { type Plain, type Program, runSchedule, type Span, type Step } from './helpers/pipeline/schedule.ts';
import { RUNS, SEED } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('transaction: serialisable');
const space = new Workspace();
test.after(() => space.clean());

const KEYS = ['a', 'b', 'c', 'd', 'e'];
const key = fc.constantFrom(...KEYS);
const span: fc.Arbitrary<Span> = fc.tuple(key, fc.constantFrom(...KEYS, 'f')).map(([gte, lt]) => ({ gte, lt }));
const durability = fc.constantFrom('wal' as const, 'wal' as const, 'fsync' as const);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('read' as const), keys: fc.array(key, { minLength: 1, maxLength: 2 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('walk' as const),
      span,
      reverse: fc.boolean(),
      limit: fc.constantFrom(-1, -1, 1, 2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'put' as const, 'delete' as const), key }) },
);
const program: fc.Arbitrary<Program> = fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 5 }), durability });
const plain: fc.Arbitrary<Plain> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('plain put' as const, 'plain delete' as const, 'plain batch' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 2 }),
      durability,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('plain range' as const), span }) },
);
const MOST = 5;
const order = fc.array(fc.record({ next: fc.nat(MOST), rush: fc.boolean() }), { minLength: 5, maxLength: 40 });

for (const window of [0, 2]) {
  test(`any interleaving, with a group window of ${window} ms`, async () => {
    const db = await space.open({ shards: 3, group: { window }, memory: { hotCache: window === 0 ? '1MB' : 0 } });
    const total = { committed: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(program, { minLength: 2, maxLength: MOST }),
        fc.array(plain, { maxLength: 4 }),
        order,
        async (programs, plains, schedule) => {
          const outcome = await runSchedule(db, KEYS, programs, plains, schedule);
          total.committed += outcome.committed;
          total.refused += outcome.refused;
        },
      ),
      { numRuns: (window === 0 ? 400 : 60) * RUNS, seed: SEED, endOnFailure: true },
    );
    assert.ok(total.committed > 100 && total.refused > 10, `${JSON.stringify(total)}: the schedules prove little`);
  });
}

test.run();
