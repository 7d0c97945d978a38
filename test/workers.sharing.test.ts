// Worker threads over one database: they share it, and one that is ended takes nothing from the others.

import assert from 'node:assert/strict';
import type { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import { start } from './helpers/child.ts';
import { RUNS } from './helpers/random.ts';
import { startWorker } from './helpers/thread.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('workers: sharing');
const space = new Workspace();
test.after(() => space.clean());

interface Job {
  task: string;
  id?: number;
  count?: number;
}

function launch(location: string, { task, id = 0, count = 1 }: Job): Worker {
  return startWorker('worker.ts', { task, location, id, count });
}

/** All that a worker says until it ends. */
function messages(worker: Worker): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const said: unknown[] = [];
    worker.on('message', (message) => said.push(message));
    worker.once('error', reject);
    worker.once('exit', () => resolve(said));
  });
}

test('several threads write at once, and all of them and the main thread see all of it', async () => {
  const db = await space.open({ shards: 4 });
  const [writers, each] = [4, 3000];
  const said = await Promise.all(
    Array.from({ length: writers }, (_, id) => messages(launch(db.location, { task: 'write', id, count: each }))),
  );
  for (const progress of said) assert.equal(progress.at(-1), each);
  let count = 0;
  for await (const [key, value] of db.iterator()) {
    const [id, i] = key.split('/') as [string, string];
    assert.equal(value, `${id}:${Number(i)}`);
    count++;
  }
  assert.equal(count, writers * each);
  assert.equal(db.stats().operations.put.records, writers * each, 'the counters are shared');
  const [seen] = await messages(launch(db.location, { task: 'count' }));
  assert.equal(seen, writers * each);
  await db.close();
  assert.equal((await (await space.open({}, db.location)).keys().nextMany(writers * each + 1)).length, writers * each);
});

test('workers share a database that the main thread does not have open', async () => {
  const location = space.folder();
  await Promise.all([0, 1].map((id) => messages(launch(location, { task: 'write', id, count: 500 }))));
  const db = await space.open({}, location);
  assert.equal((await db.keys().nextMany(2000)).length, 1000);
});

test('the database stays open for a worker when the main thread closes its own object', async () => {
  const db = await space.open();
  const worker = launch(db.location, { task: 'write', id: 2, count: 20_000 });
  await new Promise((resolve) => worker.once('message', resolve));
  const rest = messages(worker);
  await db.close();
  assert.equal((await rest).at(-1), 20_000);
  const again = await space.open({}, db.location);
  assert.equal((await again.keys().nextMany(30_000)).length, 20_000);
});

test('a terminated writer loses nothing that was acknowledged, and the main thread goes on', async () => {
  const db = await space.open();
  for (let round = 0; round < 3; round++) {
    const worker = launch(db.location, { task: 'write', id: round, count: 1e9 });
    let acknowledged = 0;
    worker.on('message', (count: number) => {
      acknowledged = count;
    });
    while (acknowledged < 300 * (round + 1)) await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    const keys = await db.keys({ prefix: `${round}/` }).nextMany(1e6);
    assert.ok(keys.length >= acknowledged, `${keys.length} records of ${acknowledged} acknowledged`);
    // Puts are applied in their order, so there is no gap either.
    for (const [i, key] of keys.entries()) assert.equal(key, `${round}/${String(i).padStart(7, '0')}`);
    await db.put('main', String(round));
    assert.equal(await db.get('main'), String(round));
  }
});

test('threads that are ended amid writes, scans and opening do no harm, round after round', async () => {
  const child = start('terminate.ts', [space.folder(), String(4 * RUNS)], { deadline: 120_000 * RUNS });
  const { code, signal, stdout, stderr } = await child.end;
  assert.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'done\n' }, stderr);
});

test.run();
