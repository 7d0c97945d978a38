// One batch of a million records: whole or absent whatever happens, and the memory it takes.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { throws } from './helpers/expect.ts';
import { type LargeBatch, largeKey, largeValue } from './helpers/pipeline/large-batch.ts';
import { startProgram } from './helpers/pipeline/program.ts';
import { RUNS, seeded } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('batch: large');
const space = new Workspace();
test.after(() => space.clean());

const RECORDS = 1_000_000;
const VALUE_BYTES = 100;
const MIB = 2 ** 20;

let took = 0;

async function recordsIn(location: string): Promise<number> {
  const db = await open(location);
  try {
    let count = 0;
    const keys = db.keys();
    for (;;) {
      const chunk = await keys.nextMany(10_000);
      for (const [i, key] of chunk.entries()) assert.equal(key, largeKey(count + i));
      count += chunk.length;
      if (chunk.length < 10_000) break;
    }
    for (let i = 0; i < count; i += 99_991) assert.deepEqual(await db.get(largeKey(i)), largeValue(i, VALUE_BYTES));
    return count;
  } finally {
    await db.close();
  }
}

test('a million records in one batch are written whole, in a bounded multiple of their memory', async () => {
  const args: LargeBatch = { location: space.folder(), records: RECORDS, valueBytes: VALUE_BYTES };
  const child = startProgram('large-batch.ts', args);
  await child.expect('committing');
  const { bytes, milliseconds } = JSON.parse((await child.line()) ?? '{}');
  const { before, peak } = JSON.parse((await child.line()) ?? '{}');
  assert.equal((await child.end).code, 0);
  took = milliseconds;
  const shown = [bytes, before, peak].map((size) => `${Math.round(size / MIB)} MiB`);
  console.log(`\n   packed ${shown[0]}, resident before ${shown[1]}, peak ${shown[2]}, commit ${milliseconds} ms`);
  assert.ok(bytes > RECORDS * (VALUE_BYTES + 16) && bytes < RECORDS * (VALUE_BYTES + 24), `${bytes} packed`);
  // Packed in JavaScript, copied for the committer, decoded, in the WriteBatch, and in the memtables.
  assert.ok(peak - before < 8 * bytes, `${shown[2]} for ${shown[0]}`);
  assert.equal(await recordsIn(args.location), RECORDS);
});

test('killed at any moment of its commit, all of them are there or none', async () => {
  const found: number[] = [];
  await seeded(async (random) => {
    for (let round = 0; round < 3 * RUNS; round++) {
      const location = space.folder();
      const args: LargeBatch = { location, records: RECORDS, valueBytes: VALUE_BYTES, stays: true };
      const child = startProgram('large-batch.ts', args);
      await child.expect('committing');
      await delay(random.below(Math.max(1, took)));
      const { stdout, signal } = await child.kill();
      assert.equal(signal, 'SIGKILL');
      const acknowledged = stdout.includes('milliseconds');
      const count = await recordsIn(location);
      assert.ok(count === RECORDS || (count === 0 && !acknowledged), `${count} records, acknowledged: ${acknowledged}`);
      found.push(count);
    }
  });
  console.log(`\n   records found after each kill: ${found.join(', ')}`);
});

test('the memory of a large batch is given back when it has been written', async () => {
  const db = await space.open({ memory: { hotCache: 0, writeBuffer: '8MB' } });
  const before = process.memoryUsage().arrayBuffers;
  const value = 'x'.repeat(10_000);
  const operations = Array.from({ length: 5000 }, (_, i) => ({ type: 'put' as const, key: `k${i}`, value }));
  await db.batch(operations);
  await db.commit(operations).durable;
  const batch = db.beginBatch();
  for (const { key } of operations) batch.put(key, value);
  await batch.commit();
  // Buffers are freed by the garbage collector, some time after it was asked.
  let kept = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 100 && kept > 5 * MIB; i++) {
    globalThis.gc?.();
    await delay(10);
    kept = process.memoryUsage().arrayBuffers - before;
  }
  assert.ok(globalThis.gc === undefined || kept <= 5 * MIB, `${Math.round(kept / MIB)} MiB are kept`);
});

test('a batch above its limit is refused before it is sent, and the limit can be raised', async () => {
  const db = await space.open({ memory: { hotCache: 0 } });
  const value = 'x'.repeat(MIB);
  const batch = db.beginBatch({ maxBytes: '8MB' });
  for (let i = 0; i < 7; i++) batch.put(`k${i}`, value);
  throws(() => batch.put('k7', value), 'ERR_INVALID_ARGUMENT', /maxBytes/);
  await batch.commit();
  assert.equal((await db.keys().nextMany(100)).length, 7);
  const larger = db.beginBatch({ maxBytes: '16MB' });
  for (let i = 0; i < 12; i++) larger.put(`l${i}`, value);
  await larger.commit();
  assert.equal((await db.keys({ prefix: 'l' }).nextMany(100)).length, 12);
});

test.run();
