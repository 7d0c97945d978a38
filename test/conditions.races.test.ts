// Hundreds of callers with conditions on the same keys: exactly those win that one order of all would let win.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { ThermoclineError } from '../lib/index.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('conditions: races');
const space = new Workspace();
test.after(() => space.clean());

const CALLERS = 300;
const callers = Array.from({ length: CALLERS }, (_, i) => i);

/** Two objects over one engine, so that callers do not even share a queue in JavaScript. */
async function both(): Promise<[TextDatabase, TextDatabase]> {
  const location = space.folder();
  return [await space.open({ shards: 4 }, location), await space.open({}, location)];
}

const winners = (outcomes: boolean[]) => outcomes.flatMap((won, i) => (won ? [i] : []));

test('of hundreds of putIf absent on one key exactly one wins, and its value stays', async () => {
  const [one, other] = await both();
  for (let round = 0; round < 5; round++) {
    const key = `lock ${round}`;
    const outcomes = await Promise.all(
      callers.map(async (i) => {
        if (i % 3 === 1) await settle(); // not all in one turn
        return (i % 2 === 0 ? one : other).putIf(key, `${i}`, { absent: true });
      }),
    );
    assert.equal(winners(outcomes).length, 1);
    assert.equal(await one.get(key), `${winners(outcomes)[0]}`);
  }
});

test('of hundreds of putIf equals on one value exactly one wins', async () => {
  const [one, other] = await both();
  await one.put('k', 'old');
  const outcomes = await Promise.all(callers.map((i) => (i % 2 ? one : other).putIf('k', `${i}`, { equals: 'old' })));
  assert.equal(winners(outcomes).length, 1);
  assert.equal(await one.get('k'), `${winners(outcomes)[0]}`);
});

test('of hundreds of deleteIf exactly one wins', async () => {
  const [one, other] = await both();
  await one.put('k', 'old');
  const outcomes = await Promise.all(callers.map((i) => (i % 2 ? one : other).deleteIf('k', { equals: 'old' })));
  assert.equal(winners(outcomes).length, 1);
  assert.equal(await one.get('k'), undefined);
});

test('callers with keys of their own all win', async () => {
  const [one, other] = await both();
  const outcomes = await Promise.all(callers.map((i) => (i % 2 ? one : other).putIf(`k${i}`, '1', { absent: true })));
  assert.deepEqual(outcomes, Array(CALLERS).fill(true));
  assert.equal((await one.keys().nextMany(1000)).length, CALLERS);
});

test('a lock made of putIf and deleteIf lets one in at a time', async () => {
  const [one, other] = await both();
  let inside = 0;
  let entered = 0;
  await Promise.all(
    callers.slice(0, 60).map(async (i) => {
      const db = i % 2 ? one : other;
      while (!(await db.putIf('lock', `${i}`, { absent: true }))) await settle();
      inside++;
      assert.equal(inside, 1, 'two hold the lock');
      entered++;
      await db.put('guarded', `${i}`);
      assert.equal(await db.get('guarded'), `${i}`);
      inside--;
      assert.equal(await db.deleteIf('lock', { equals: `${i}` }), true, 'the lock was taken away');
    }),
  );
  assert.equal(entered, 60);
  assert.equal(await one.get('lock'), undefined);
});

test('counting by putIf equals loses no step', async () => {
  const [one, other] = await both();
  await one.put('n', '0');
  await Promise.all(
    callers.slice(0, 40).map(async (i) => {
      const db = i % 2 ? one : other;
      for (let steps = 0; steps < 5; ) {
        const n = (await db.get('n')) as string;
        try {
          if (await db.putIf('n', `${Number(n) + 1}`, { equals: n })) steps++;
        } catch (error) {
          // Allowed while others keep writing the key; it wrote nothing.
          if (!(error instanceof ThermoclineError && error.code === 'ERR_CONFLICT')) throw error;
        }
      }
    }),
  );
  assert.equal(await one.get('n'), '200');
});

test('a conditional batch that loses writes nothing, and who wins writes everything', async () => {
  const [one, other] = await both();
  const outcomes = await Promise.allSettled(
    callers.map((i) =>
      (i % 2 ? one : other).batch([
        { type: 'put', key: `before/${i}`, value: 'x' },
        { type: 'put', key: 'prize', value: `${i}`, if: { absent: true } },
        { type: 'put', key: `after/${i}`, value: 'x' },
      ]),
    ),
  );
  const won = winners(outcomes.map(({ status }) => status === 'fulfilled'));
  assert.equal(won.length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'ERR_CONDITION');
  }
  assert.deepEqual(await one.iterator().nextMany(1000), [
    [`after/${won[0]}`, 'x'],
    [`before/${won[0]}`, 'x'],
    ['prize', `${won[0]}`],
  ]);
});

test('transfers by conditional batches keep the sum, beside plain writes of other keys', async () => {
  const [one, other] = await both();
  const accounts = Array.from({ length: 6 }, (_, i) => `account/${i}`);
  await one.putMany(accounts.map((key) => [key, '100']));
  let moved = 0;
  let working = true;
  const noise = (async () => {
    for (let i = 0; working; i++) await one.batch([{ type: 'put', key: `noise/${i % 50}`, value: `${i}` }]);
  })();
  await Promise.all(
    callers.slice(0, 24).map(async (i) => {
      const db = i % 2 ? one : other;
      for (let step = 0; step < 10; step++) {
        const from = accounts[(i + step) % 6] as string;
        const to = accounts[(i * 5 + step * 7 + 1) % 6] as string;
        if (from === to) continue;
        const [have, had] = (await db.getMany([from, to])) as [string, string];
        try {
          await db.batch([
            { type: 'put', key: from, value: `${Number(have) - 1}`, if: { equals: have } },
            { type: 'put', key: to, value: `${Number(had) + 1}`, if: { equals: had } },
          ]);
          moved++;
        } catch (error) {
          assert.ok(
            error instanceof ThermoclineError && ['ERR_CONDITION', 'ERR_CONFLICT'].includes(error.code),
            `${error}`,
          );
        }
      }
    }),
  );
  working = false;
  await noise;
  const values = (await one.getMany(accounts)).map(Number);
  assert.equal(
    values.reduce((a, b) => a + b),
    600,
    values.join(),
  );
  assert.ok(moved > 0);
});

test.run();
