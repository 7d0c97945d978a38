import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import type { TextDatabase } from '../lib/cli/database.ts';
import type { Block, Reader } from '../lib/cli/load/blocks.ts';
import { type LoadOptions, type LoadResult, load } from '../lib/cli/load/loader.ts';

const test = suite('load: committing');

/** A database that notes its batches and how many are in flight at once. */
class Recorder {
  readonly batches: string[][] = [];
  inFlight = 0;
  mostInFlight = 0;
  flushes = 0;
  /** Called with the number of the batch, from 0, before it is acknowledged. */
  onBatch: (number: number) => void = () => {};

  async batch(ops: { key: string }[]): Promise<void> {
    const number = this.batches.push(ops.map(({ key }) => key)) - 1;
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    // The first batches take longest: acknowledgements come in another order than the batches.
    await sleep(Math.max(1, 8 - number));
    this.inFlight--;
    this.onBatch(number);
  }

  async flush(): Promise<void> {
    assert.equal(this.inFlight, 0, 'a flush while batches are in flight');
    this.flushes++;
  }
}

/** Keys from..to as a block, with one reject after each of the given numbers of rows. */
function block(from: number, to: number, rejectsAfter: number[] = []): Block {
  const rows = Array.from({ length: to - from }, (_, i) => ({ key: String(from + i), value: 'v' }));
  const rejects = rejectsAfter.map((after) => ({ file: 'f', line: 100 + after, reason: 'bad', after }));
  return { rows, rejects, bytes: 10 };
}

/** Loads blocks; the file itself plays no part. */
function loadBlocks(db: Recorder, blocks: Block[], options: Partial<LoadOptions> = {}): Promise<LoadResult> {
  const reader: Reader = async function* () {
    yield* blocks;
  };
  const signal = new AbortController().signal;
  return load(async () => db as unknown as TextDatabase, { files: ['f'], reader, signal, batchSize: 3, ...options });
}

test('rows go in batches of the given size, in their order, across blocks', async () => {
  const db = new Recorder();
  const result = await loadBlocks(db, [block(0, 4), block(4, 5), block(5, 8)]);
  assert.deepEqual(db.batches, [
    ['0', '1', '2'],
    ['3', '4', '5'],
    ['6', '7'],
  ]);
  assert.deepEqual([result.records, result.rejected, result.bytes, result.stopped], [8, 0, 30, undefined]);
});

test('several batches are in flight, and never more than four', async () => {
  const db = new Recorder();
  await loadBlocks(db, [block(0, 90)]);
  assert.equal(db.mostInFlight, 4);
  assert.equal(db.batches.length, 30);
});

test('a load that comes to its end is flushed once, and one that is stopped is not', async () => {
  const db = new Recorder();
  await loadBlocks(db, [block(0, 4)]);
  assert.equal(db.flushes, 1);
  await loadBlocks(db, [block(0, 4, [1])], { strict: true });
  assert.equal(db.flushes, 1);
});

test('a flush that fails makes the load fail, with everything counted that is kept', async () => {
  const db = new Recorder();
  const full = new Error('the disk is full');
  db.flush = () => Promise.reject(full);
  const result = await loadBlocks(db, [block(0, 4)]);
  assert.deepEqual([result.stopped, result.error, result.records], ['failed', full, 4]);
});

test('large rows make smaller batches', async () => {
  const db = new Recorder();
  const rows = Array.from({ length: 6 }, (_, i) => ({ key: String(i), value: 'x'.repeat(2_100_000) }));
  await loadBlocks(db, [{ rows, rejects: [], bytes: 1 }], { batchSize: 1000 });
  assert.deepEqual(db.batches, [
    ['0', '1'],
    ['2', '3'],
    ['4', '5'],
  ]);
});

test('malformed rows are counted and told, and the others load', async () => {
  const db = new Recorder();
  const told: number[] = [];
  const result = await loadBlocks(db, [block(0, 4, [1, 4])], { onReject: ({ line }) => told.push(line) });
  assert.deepEqual([result.records, result.rejected, told], [4, 2, [101, 104]]);
});

test('a strict load stops at the first malformed row and keeps what stands before it', async () => {
  const db = new Recorder();
  const told: number[] = [];
  const blocks = [block(0, 4), block(4, 8, [1, 2]), block(8, 9)];
  const result = await loadBlocks(db, blocks, { strict: true, onReject: ({ line }) => told.push(line) });
  assert.deepEqual(db.batches.flat(), ['0', '1', '2', '3', '4']);
  assert.deepEqual([result.records, result.rejected, result.stopped, told], [5, 1, 'strict', [101]]);
});

test('a batch that fails ends the load, and only acknowledged batches are counted', async () => {
  const db = new Recorder();
  const full = new Error('the disk is full');
  db.onBatch = (number) => {
    if (number === 5) throw full;
  };
  const result = await loadBlocks(db, [block(0, 3000)]);
  assert.deepEqual([result.stopped, result.error], ['failed', full]);
  assert.equal(db.inFlight, 0, 'everything in flight was awaited');
  assert.equal(result.records, (db.batches.length - 1) * 3);
  assert.ok(db.batches.length < 20, `${db.batches.length} batches were sent after the failure`);
});

test('nothing more is sent after a failed batch, not even at the end of the files', async () => {
  const db = new Recorder();
  db.onBatch = () => {
    throw new Error('the disk is full');
  };
  const reader: Reader = async function* () {
    yield block(0, 4);
    await sleep(50);
  };
  const result = await loadBlocks(db, [], { reader });
  assert.deepEqual([result.stopped, result.records, db.batches.length], ['failed', 0, 1]);
});

test('a reader that fails ends the load, and what was read before it is kept and counted', async () => {
  const db = new Recorder();
  const broken = new Error('cannot read');
  const reader: Reader = async function* () {
    yield block(0, 7);
    throw broken;
  };
  const result = await loadBlocks(db, [], { reader });
  assert.deepEqual([result.stopped, result.error, result.records, db.inFlight], ['failed', broken, 7, 0]);
});

test('an interruption stops reading, awaits what is in flight and counts it', async () => {
  const db = new Recorder();
  const controller = new AbortController();
  db.onBatch = (number) => {
    if (number === 7) controller.abort();
  };
  const result = await loadBlocks(db, [block(0, 3000), block(3000, 3001)], { signal: controller.signal });
  assert.deepEqual([result.stopped, db.inFlight], ['interrupted', 0]);
  const written = db.batches.flat();
  assert.equal(result.records, written.length);
  assert.deepEqual(
    written,
    Array.from({ length: written.length }, (_, i) => String(i)),
  );
  assert.ok(written.length < 100, `${written.length} records were written`);
});

test('the database is not opened when the first file cannot be read', async () => {
  let opened = false;
  const reader: Reader = async function* () {
    yield* [];
    throw new Error('no such column');
  };
  const open = async () => {
    opened = true;
    throw new Error('not reached');
  };
  const result = await load(open, { files: ['f'], reader, signal: new AbortController().signal });
  assert.deepEqual([opened, (result.error as Error).message], [false, 'no such column']);
});

test('progress tells bytes read and records committed, and ends with all of them', async () => {
  const seen: [number, number][] = [];
  await loadBlocks(new Recorder(), [block(0, 7), block(7, 9)], { onProgress: (...figures) => seen.push(figures) });
  assert.deepEqual(seen.at(-1), [20, 9]);
  for (let i = 1; i < seen.length; i++) {
    const [bytes, records] = seen[i - 1] as [number, number];
    const [laterBytes, laterRecords] = seen[i] as [number, number];
    assert.ok(laterBytes >= bytes && laterRecords >= records, `figures go back at ${i}`);
  }
});

test.run();
