// commit(): its two promises, what reads see after each, and its failures.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { BatchOperation } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('commit: stages');
const space = new Workspace();
test.after(() => space.clean());

const put = (key: string, value: string): BatchOperation<string, string> => ({ type: 'put', key, value });

/** Everything that nobody handled while `body` ran. */
async function unhandled(body: () => Promise<unknown>): Promise<unknown[]> {
  const reasons: unknown[] = [];
  const listener = (reason: unknown) => reasons.push(reason);
  process.on('unhandledRejection', listener);
  try {
    await body();
    await settle();
    await settle();
  } finally {
    process.off('unhandledRejection', listener);
  }
  return reasons;
}

test('applied comes before durable, for every one of many commits at once, and each stage in the order of the calls', async () => {
  const db = await space.open();
  const applied: number[] = [];
  const durable: number[] = [];
  const early: number[] = [];
  const commits = Array.from({ length: 300 }, (_, i) => {
    const commit = db.commit([put(`k${i}`, `${i}`)]);
    commit.applied.then(() => applied.push(i));
    return commit.durable.then(() => {
      if (!applied.includes(i)) early.push(i);
      durable.push(i);
    });
  });
  await Promise.all(commits);
  const all = Array.from({ length: 300 }, (_, i) => i);
  assert.deepEqual(early, []);
  assert.deepEqual(applied, all);
  assert.deepEqual(durable, all);
});

test('once applied, every kind of read sees the whole batch', async () => {
  const db = await space.open({ shards: 8 });
  await db.putMany(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'before']));
  await db.getMany(Array.from({ length: 20 }, (_, i) => `k${i}`)); // in the hot cache now
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  const { applied, durable } = db.commit([
    ...keys.slice(0, 10).map((key) => put(key, 'after')),
    ...keys.slice(10).map((key) => ({ type: 'del' as const, key })),
  ]);
  await applied;
  const expected = keys.map((_, i) => (i < 10 ? 'after' : undefined));
  assert.deepEqual(keys.map((key) => db.getSync(key)), expected); // biome-ignore format: one line
  assert.deepEqual(await Promise.all(keys.map((key) => db.get(key))), expected);
  assert.deepEqual(await db.getMany(keys), expected);
  assert.deepEqual(await db.hasMany(keys), expected.map((value) => value !== undefined)); // biome-ignore format: one line
  assert.equal((await db.iterator().nextMany(100)).length, 10);
  const snapshot = await db.snapshot();
  assert.deepEqual(await snapshot.getMany(keys), expected);
  assert.deepEqual(await db.transaction((tx) => tx.getMany(keys)), expected);
  await durable;
});

test('durable means that the log was synced after the call; commits of one turn share the syncs', async () => {
  const db = await space.open();
  const { fsyncs } = db.stats().writes;
  await db.commit([put('a', '1')]).durable;
  assert.equal(db.stats().writes.fsyncs, fsyncs + 1);
  const commits = Array.from({ length: 500 }, (_, i) => db.commit([put(`k${i}`, '1')]));
  await Promise.all(commits.map(({ durable }) => durable));
  const shared = db.stats().writes.fsyncs - fsyncs - 1;
  assert.ok(shared >= 1 && shared < 500, `${shared} syncs for 500 commits of one turn`);
});

test('a batch is seen whole or not at all while it is written', async () => {
  const db = await space.open({ shards: 8 });
  const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
  let writing = true;
  const seen = new Set<string>();
  const readers = Array.from({ length: 4 }, async (_, reader) => {
    while (writing) {
      const snapshot = await db.snapshot();
      const values =
        reader % 2 === 0
          ? await snapshot.getMany(keys)
          : (await snapshot.iterator().nextMany(100)).map(([, value]) => value as string | undefined);
      await snapshot.close();
      assert.ok(new Set(values).size <= 1, `a batch was seen in part: ${values.join()}`);
      if (values[0] !== undefined) seen.add(values[0]);
    }
  });
  for (let version = 0; version < 400; version++) {
    const { applied, durable } = db.commit(keys.map((key) => put(key, `${version}`)));
    await (version % 20 === 0 ? durable : applied);
  }
  writing = false;
  await Promise.all(readers);
  assert.ok(seen.size > 1, 'the readers saw no change, so they proved nothing');
});

test('an empty commit resolves both and writes nothing', async () => {
  const db = await space.open();
  const { applied, durable } = db.commit([]);
  await applied;
  await durable;
  assert.equal(db.stats().writes.commits, 0);
});

test('arguments that are wrong throw at once, and nothing of the call is written', async () => {
  const db = await space.open();
  const wrong: unknown[] = [
    null,
    undefined,
    'ops',
    { type: 'put', key: 'k', value: 'v' },
    [null],
    [put('k', 'v'), { type: 'move', key: 'k' }],
    [put('k', 'v'), { type: 'put', key: 'a' }],
    [put('k', 'v'), { type: 'put', key: 7, value: 'v' }],
    [put('k', 'v'), put('\ud800', 'v')],
    [put('k', 'v'), put('a', '\udfff')],
    [put('k', 'v'), { type: 'put', key: 'a', value: 'v', tll: 5 }],
    [put('k', 'v'), { type: 'put', key: 'a', value: 'v', ttl: 0 }],
    [put('k', 'v'), { type: 'put', key: 'a', value: 'v', if: { absent: true } }],
    [put('k', 'v'), { type: 'del', key: 'a', value: 'v' }],
  ];
  for (const operations of wrong) throws(() => db.commit(operations as never), 'ERR_INVALID_ARGUMENT');
  throws(() => db.commit([put('k', 'v')], { sync: true } as object), 'ERR_INVALID_ARGUMENT', /sync/);
  await db.put('last', 'v');
  assert.deepEqual(await db.iterator().nextMany(10), [['last', 'v']]);
});

test('a failure reaches both promises, and who awaits one need not handle the other', async () => {
  const location = space.folder();
  await (await space.open({}, location)).close();
  const db = await space.open({ readOnly: true }, location);
  const reasons = await unhandled(async () => {
    await rejects(db.commit([put('k', 'v')]).applied, 'ERR_READ_ONLY');
    await rejects(db.commit([put('k', 'v')]).durable, 'ERR_READ_ONLY');
    db.commit([put('k', 'v')]); // neither
  });
  assert.deepEqual(reasons, []);
});

test('an abort rejects both promises, and who awaits one need not handle the other', async () => {
  const db = await space.open();
  const abortedIn = (use: (commit: ReturnType<TextDatabase['commit']>) => Promise<unknown>) =>
    unhandled(async () => {
      const controller = new AbortController();
      const commit = db.commit([put('k', 'v')], { signal: controller.signal });
      controller.abort();
      await use(commit);
      await db.put('after', 'v'); // the commit has ended when this has
    });
  assert.deepEqual(await abortedIn(({ applied }) => rejects(applied, 'ERR_ABORTED')), []);
  assert.deepEqual(await abortedIn(({ durable }) => rejects(durable, 'ERR_ABORTED')), []);
  assert.deepEqual(await abortedIn(async () => {}), []);
});

test('a signal that is aborted already refuses the commit', async () => {
  const db = await space.open();
  throws(() => db.commit([put('k', 'v')], { signal: AbortSignal.abort() }), 'ERR_ABORTED');
  await db.put('other', 'v');
  assert.equal(await db.get('k'), undefined);
});

test('closing waits for both stages of what was committed before it, and refuses what comes after', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const ended: string[] = [];
  const commits = Array.from({ length: 50 }, (_, i) => db.commit([put(`k${i}`, `${i}`)]));
  const durable = Promise.all(commits.map((commit) => commit.durable)).then(() => ended.push('durable'));
  const closing = db.close().then(() => ended.push('closed'));
  throws(() => db.commit([put('late', 'v')]), 'ERR_CLOSED');
  await Promise.all([durable, closing]);
  assert.deepEqual(ended, ['durable', 'closed']);
  const again = await space.open({}, location);
  assert.equal((await again.iterator().nextMany(100)).length, 50);
});

test.run();
