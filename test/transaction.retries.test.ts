// Conflicts are tried again, up to a limit; counters lose nothing; abandoned transactions are in nobody's way.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Transaction } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('transaction: retries');
const space = new Workspace();
test.after(() => space.clean());

type Tx = Transaction<string, string>;

const increment = (key: string) => async (tx: Tx) => {
  const n = Number((await tx.get(key)) ?? 0) + 1;
  tx.put(key, `${n}`);
  return n;
};

/** A promise to be resolved by hand. */
function gate(): { open: () => void; passed: Promise<void> } {
  let open: () => void = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

test('hundreds of concurrent increments of one counter lose none, and each sees a number of its own', async () => {
  const location = space.folder();
  const databases = [await space.open({}, location), await space.open({}, location)] as const;
  const numbers = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      databases[i % 2 === 0 ? 0 : 1].transaction(increment('n'), { retries: 1000 }),
    ),
  );
  assert.equal(await databases[0].get('n'), '200');
  assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i + 1)); // biome-ignore format: one line
});

test('with the default limit, moderate contention never shows', async () => {
  const db = await space.open();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 10; i++) await db.transaction(increment('n'));
    }),
  );
  assert.equal(await db.get('n'), '80');
});

test('increments of several counters in one transaction keep them equal, beside counters on their own', async () => {
  const db = await space.open({ shards: 4 });
  const keys = ['a', 'b', 'c'];
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      db.transaction(
        async (tx) => {
          if (i % 3 === 2) return increment('alone')(tx);
          const numbers = await tx.getMany(i % 2 ? keys : [...keys].reverse());
          assert.equal(new Set(numbers).size, 1, `a torn moment: ${numbers.join()}`);
          for (const key of keys) tx.put(key, `${Number(numbers[0] ?? 0) + 1}`);
          return 0;
        },
        { retries: 1000, durability: i % 5 === 0 ? 'fsync' : 'wal' },
      ),
    ),
  );
  assert.deepEqual(await db.getMany([...keys, 'alone']), ['40', '40', '40', '20']);
});

/** Makes every attempt of a transaction conflict. Returns how often it ran and what it rejected with. */
async function hopeless(db: TextDatabase, options: { retries?: number }): Promise<number> {
  let runs = 0;
  const outcome = db.transaction(async (tx) => {
    runs++;
    await tx.get('busy');
    await db.put('busy', `${runs}`);
    tx.put('own', 'written');
    tx.put('busy', 'mine');
  }, options);
  await rejects(outcome, 'ERR_CONFLICT', /another commit/);
  assert.equal(await db.get('busy'), `${runs}`);
  assert.equal(await db.get('own'), undefined);
  return runs;
}

test('a conflict that stays is ERR_CONFLICT after as many retries as asked for, and nothing is written', async () => {
  const db = await space.open();
  assert.equal(await hopeless(db, { retries: 0 }), 1);
  assert.equal(await hopeless(db, { retries: 3 }), 4);
  assert.equal(await hopeless(db, {}), 17, 'the default is 16 retries');
});

test('each attempt starts over: with a new moment, without the writes of the attempt before', async () => {
  const db = await space.open();
  const seen: unknown[] = [];
  let runs = 0;
  await db.transaction(async (tx) => {
    runs++;
    seen.push(await tx.getMany(['n', 'own', `left ${runs - 1}`]));
    if (runs < 4) await db.put('n', `${runs}`);
    tx.put('own', 'x');
    tx.put(`left ${runs}`, 'x');
  });
  assert.deepEqual(seen, [
    [undefined, undefined, undefined],
    ['1', undefined, undefined],
    ['2', undefined, undefined],
    ['3', undefined, undefined],
  ]);
  assert.deepEqual(await db.keys().nextMany(10), ['left 4', 'n', 'own']);
});

test('conditional writes try conflicts again too: what they were asked decides', async () => {
  const db = await space.open();
  await db.put('n', '0');
  let stop = false;
  const noise = (async () => {
    for (let i = 0; !stop; i++) {
      await db.put('n', '0'); // the same value, written again and again: a conflict, but the condition holds
      if (i % 2 === 0) await settle();
    }
  })();
  let held = 0;
  for (let i = 0; i < 30; i++) if (await db.putIf(`won ${i}`, 'x', { absent: true })) held++;
  stop = true;
  await noise;
  assert.equal(held, 30);
  assert.equal(await db.putIf('n', '1', { equals: '0' }), true);
});

test('an error of the function is not tried again, whatever it looks like from outside', async () => {
  const db = await space.open();
  let runs = 0;
  const failure = Object.assign(new Error('mine'), { code: 'ERR_CONFLICT' });
  await assert.rejects(
    db.transaction(async () => {
      runs++;
      throw failure;
    }),
    failure,
  );
  assert.equal(runs, 1);
});

test('a signal ends the trying with ERR_ABORTED: between attempts, while the function runs, and if it never ends', async () => {
  const db = await space.open();
  const between = new AbortController();
  let runs = 0;
  const trying = db.transaction(
    async (tx) => {
      runs++;
      await tx.get('busy');
      await db.put('busy', `${runs}`);
      tx.put('own', 'x');
      if (runs === 2) setImmediate(() => between.abort(new Error('enough')));
    },
    { signal: between.signal, retries: 1_000_000 },
  );
  const error = await rejects(trying, 'ERR_ABORTED');
  assert.equal((error.cause as Error).message, 'enough');

  const during = new AbortController();
  let refusal: unknown;
  const ended = gate();
  const running = db.transaction(
    async (tx) => {
      tx.put('own', 'x');
      during.abort();
      await settle();
      refusal = await tx.get('k').catch((failure) => failure.code);
      ended.open();
    },
    { signal: during.signal },
  );
  await rejects(running, 'ERR_ABORTED');
  await ended.passed;
  assert.equal(refusal, 'ERR_CLOSED', 'the function could go on reading');

  const never = new AbortController();
  const hanging = db.transaction(() => new Promise(() => {}), { signal: never.signal });
  await settle();
  never.abort();
  await rejects(hanging, 'ERR_ABORTED');
  assert.equal(await db.get('own'), undefined);

  let ran = false;
  const late = async () => {
    ran = true;
  };
  await rejects(() => db.transaction(late, { signal: AbortSignal.abort() }), 'ERR_ABORTED');
  assert.equal(ran, false);
});

test('an abort while the commit waits for its turn does not spare it the validation', async () => {
  // The committer takes what waits once a second, so that the abort comes between the call and the validation.
  const db = await space.open({ group: { window: 1000, floor: '1MB', ceiling: '1MB' } });
  for (const other of ['put', 'deleteRange'] as const) {
    await db.put('n', '1');
    const controller = new AbortController();
    let writing: Promise<void> | undefined;
    const losing = db.transaction(
      async (tx) => {
        const n = Number(await tx.get('n'));
        writing = other === 'put' ? db.put('n', '5') : db.deleteRange({ prefix: 'n' });
        tx.put('n', `${n + 1}`);
        tx.put('own', 'x');
        setImmediate(() => controller.abort());
      },
      { signal: controller.signal },
    );
    await rejects(losing, 'ERR_ABORTED');
    await writing;
    await db.put('behind', 'v');
    assert.deepEqual(await db.getMany(['n', 'own']), [other === 'put' ? '5' : undefined, undefined]);
  }
});

test('an abandoned transaction blocks nobody: not writes, not other transactions, not flush, compact or close', async () => {
  const location = space.folder();
  const db = await space.open({ memory: { writeBuffer: '1MB' } }, location);
  await db.put('n', '0');
  const begun = gate();
  const stuck = gate();
  const abandoned = db.transaction(async (tx) => {
    await tx.get('n');
    tx.put('n', 'from the grave');
    begun.open();
    await stuck.passed;
  });
  const outcome = rejects(abandoned, 'ERR_CLOSED');
  await begun.passed;
  for (let i = 0; i < 50; i++) await db.transaction(increment('n'));
  await db.putMany(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 'x'.repeat(500)]));
  await db.flush();
  await db.deleteRange({ prefix: 'k' });
  await db.compact();
  assert.equal(await db.get('n'), '50');
  await db.close();
  stuck.open();
  await outcome;
  assert.equal(await (await space.open({}, location)).get('n'), '50');
});

test('one that stays open under very many writes is refused in the end, and the memory for it is bounded', async () => {
  const db = await space.open({ memory: { hotCache: 0, writeBuffer: '16MB' } });
  const begun = gate();
  const wait = gate();
  const old = db.transaction(
    async (tx) => {
      await tx.get('nothing that anybody writes');
      tx.put('old', 'x');
      begun.open();
      await wait.passed;
    },
    { retries: 0 },
  );
  await begun.passed;
  // What the committer keeps for it, some 130 bytes for each key, exceeds its limit of 64 MiB.
  const records = function* (): Generator<[string, string]> {
    for (let i = 0; i < 700_000; i++) yield [`key/${i}`, ''];
  };
  await db.putMany(records());
  wait.open();
  await rejects(old, 'ERR_CONFLICT', /open for too long/);
  assert.equal(await db.get('old'), undefined);
  assert.equal(await db.transaction(increment('n'), { retries: 0 }), 1);
});

test.run();
