// Memory: results belong to the caller and stay what they were, and input is copied before a method returns.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type Database, open } from '../lib/index.ts';
import { Random } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('results: memory');
const space = new Workspace();
test.after(() => space.clean());

type Db = Database<Buffer, Buffer>;
const SIZES = [0, 1, 3, 8, 50, 100, 1000, 5000, 16_384, 16_385, 70_000];
const random = new Random(11);

async function fresh(hotCache: number | string = '64MB'): Promise<Db> {
  return space.adopt(await open(space.folder(), { keyEncoding: 'buffer', memory: { hotCache }, shards: 3 }));
}

function records(count: number): [Buffer, Buffer][] {
  return Array.from({ length: count }, (_, i) => [Buffer.from(`key${String(i).padStart(5, '0')}`), random.bytes(random.pick(SIZES))]); // biome-ignore format: one line
}

/** Results as they came, and copies of what they have to stay. */
class Kept {
  readonly #held: { result: Buffer; copy: Buffer; from: string }[] = [];

  add(result: Buffer | undefined, expected: Buffer, from: string): void {
    if (!result?.equals(expected)) assert.fail(`${from} gave another value`);
    this.#held.push({ result, copy: Buffer.from(expected), from });
  }

  check(when: string): void {
    for (const { result, copy, from } of this.#held) {
      if (!result.equals(copy)) assert.fail(`a ${copy.length}-byte result of ${from} changed ${when}`);
    }
  }

  /** Overwrites every result, which nobody else may notice. */
  scribble(): void {
    for (const { result } of this.#held) result.fill(0xee);
  }
}

async function readAll(db: Db, written: readonly [Buffer, Buffer][], kept: Kept): Promise<void> {
  for (const [key, value] of written) kept.add(db.getSync(key), value, 'getSync');
  for (const [key, value] of written) kept.add(await db.get(key), value, 'get');
  const gets = await Promise.all(written.map(([key]) => db.get(key)));
  for (const [i, value] of gets.entries()) kept.add(value, written[i]?.[1] as Buffer, 'gets of one turn');
  const many = await db.getMany(written.map(([key]) => key));
  for (const [i, value] of many.entries()) kept.add(value, written[i]?.[1] as Buffer, 'getMany');
  let at = 0;
  for await (const [key, value] of db.iterator()) {
    kept.add(key, written[at]?.[0] as Buffer, 'iterator keys');
    kept.add(value, written[at++]?.[1] as Buffer, 'iterator');
  }
  assert.equal(at, written.length);
}

for (const hotCache of ['64MB', '100KB', 0]) {
  test(`results stay what they were through all that follows, with a hot cache of ${hotCache}`, async () => {
    const db = await fresh(hotCache);
    const written = records(300);
    await db.putMany(written);
    const kept = new Kept();
    await readAll(db, written, kept);
    const other = written.map(([key]): [Buffer, Buffer] => [key, random.bytes(random.pick(SIZES))]);
    await db.putMany(other);
    kept.check('when the records were overwritten');
    await readAll(db, other, kept);
    kept.check('when other results were made');
    await db.deleteRange({});
    await db.flush();
    await db.compact();
    kept.check('when the records were deleted');
    await db.close();
    (globalThis as { gc?: () => void }).gc?.();
    kept.check('when the database was closed');
  });
}

test('results may be overwritten without anybody else noticing', async () => {
  const db = await fresh();
  const written = records(200);
  await db.putMany(written);
  for (let round = 0; round < 3; round++) {
    const scribbled = new Kept();
    await readAll(db, written, scribbled);
    scribbled.scribble();
  }
  const kept = new Kept();
  await readAll(db, written, kept);
});

test('no two results share a byte', async () => {
  const db = await fresh();
  const written = records(100);
  await db.putMany(written);
  const results: Buffer[] = [];
  for (let round = 0; round < 2; round++) {
    for (const [key] of written) results.push(db.getSync(key) as Buffer, (await db.get(key)) as Buffer);
    results.push(...((await db.getMany(written.map(([key]) => key))) as Buffer[]));
    for (const [key, value] of await db.iterator().nextMany(1000)) results.push(key, value);
  }
  for (const [i, result] of results.entries()) result.fill(i % 251);
  for (const [i, result] of results.entries()) {
    if (!result.every((byte) => byte === i % 251)) assert.fail(`result ${i} shares memory with a later one`);
  }
});

test("taking one result's memory away by a transfer leaves all others whole", async () => {
  const db = await fresh();
  const written = records(60);
  await db.putMany(written);
  const steal = (result: Buffer) => {
    try {
      structuredClone(result.buffer, { transfer: [result.buffer as ArrayBuffer] });
    } catch (error) {
      assert.equal((error as Error).name, 'DataCloneError'); // refused, as it is for shared memory
    }
  };
  const ways: Record<string, () => Promise<Buffer[]>> = {
    getSync: async () => written.map(([key]) => db.getSync(key) as Buffer),
    get: () => Promise.all(written.map(([key]) => db.get(key) as Promise<Buffer>)),
    getMany: () => db.getMany(written.map(([key]) => key)) as Promise<Buffer[]>,
    iterator: () => db.values().nextMany(1000),
    'getMany on a snapshot': async () =>
      (await db.snapshot()).getMany(written.map(([key]) => key)) as Promise<Buffer[]>,
  };
  for (const [name, read] of Object.entries(ways)) {
    for (const victim of [0, 30, 59]) {
      const results = await read();
      const thief = results[victim] as Buffer;
      steal(thief);
      for (const [i, result] of results.entries()) {
        if (i !== victim && !result.equals(written[i]?.[1] as Buffer))
          assert.fail(`${name} ${i} lost its bytes to ${victim}`);
      }
      assert.deepEqual(db.getSync(written[victim]?.[0] as Buffer), written[victim]?.[1], 'reading goes on');
    }
  }
});

test('keys and values given to writes may be changed as soon as the call returns', async () => {
  for (const size of [5, 20, 30, 100, 20_000, 100_000]) {
    const db = await fresh();
    const key = Buffer.alloc(Math.min(size, 60_000), 'k');
    const value = Buffer.alloc(size, 'v');
    const [keyCopy, valueCopy] = [Buffer.from(key), Buffer.from(value)];
    const put = db.put(key, value);
    key.fill('X');
    value.fill('X');
    await put;
    assert.deepEqual(await db.iterator().nextMany(9), [[keyCopy, valueCopy]]);

    const batchKey = Buffer.from(keyCopy);
    const batchValue = Buffer.alloc(size, 'w');
    const batch = db.batch([{ type: 'put', key: batchKey, value: batchValue }]);
    batchKey.fill('X');
    batchValue.fill('X');
    await batch;
    assert.deepEqual(await db.iterator().nextMany(9), [[keyCopy, Buffer.alloc(size, 'w')]]);

    const manyValue = Buffer.alloc(size, 'm');
    const many = db.putMany([[keyCopy, manyValue]]);
    manyValue.fill('X');
    await many;
    assert.deepEqual(await db.get(keyCopy), Buffer.alloc(size, 'm'));

    const deleted = Buffer.from(keyCopy);
    const deletion = db.delete(deleted);
    deleted.fill('X');
    await deletion;
    assert.equal(await db.get(keyCopy), undefined);
    await db.close();
  }
});

test('an async source may reuse its buffers between the records of putMany', async () => {
  const db = await fresh();
  const key = Buffer.alloc(4);
  const value = Buffer.alloc(100);
  async function* source(): AsyncGenerator<[Buffer, Buffer]> {
    for (let i = 0; i < 5000; i++) {
      key.writeUInt32BE(i);
      value.fill(i % 256);
      yield [key, value];
    }
  }
  assert.equal(await db.putMany(source()), 5000);
  let count = 0;
  for await (const [found, bytes] of db.iterator()) {
    assert.equal(found.readUInt32BE(), count);
    if (!bytes.equals(Buffer.alloc(100, count % 256))) assert.fail(`record ${count}`);
    count++;
  }
  assert.equal(count, 5000);
});

test('keys given to reads, bounds and seeks may be changed as soon as the call returns', async () => {
  for (const hotCache of ['1MB', 0]) {
    const db = await fresh(hotCache);
    const written = records(50);
    await db.putMany(written);
    const [[first], [last, value]] = [written[10], written[20]] as [[Buffer, Buffer], [Buffer, Buffer]];
    const spoiled = <T>(use: (key: Buffer) => T, key: Buffer): T => {
      const copy = Buffer.from(key);
      const result = use(copy);
      copy.fill('z');
      return result;
    };
    assert.deepEqual(await spoiled((key) => db.get(key), last), value);
    assert.deepEqual(await spoiled((key) => db.getMany([key, key]), last), [value, value]);
    assert.equal(await spoiled((key) => db.has(key), last), true);
    assert.equal((await spoiled((key) => db.iterator({ gte: key }), last).nextMany(99)).length, 30);
    assert.equal((await spoiled((key) => db.iterator({ prefix: key }), last).nextMany(99)).length, 1);
    const iterator = db.iterator();
    spoiled((key) => iterator.seek(key), last);
    assert.deepEqual(await iterator.next(), [last, value]);
    await iterator.close();
    await spoiled((key) => db.deleteRange({ gt: first, lte: key }), last);
    assert.equal((await db.keys().nextMany(99)).length, 40);
    await db.close();
  }
});

test('views and subclasses of Uint8Array are taken for the bytes they show', async () => {
  const db = await fresh();
  const large = new Uint8Array(64).map((_, i) => i);
  await db.put(large.subarray(3, 6) as Buffer, large.subarray(10, 20) as Buffer);
  await db.put(new Uint8Array(0) as Buffer, new Uint8Array(new SharedArrayBuffer(3)) as Buffer);
  assert.deepEqual(await db.iterator().nextMany(9), [
    [Buffer.alloc(0), Buffer.alloc(3)],
    [Buffer.from([3, 4, 5]), Buffer.from([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])],
  ]);
  assert.deepEqual(db.getSync(large.subarray(3, 6) as Buffer), Buffer.from(large.subarray(10, 20)));
});

test.run();
