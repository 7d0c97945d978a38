// What thermocline tune decides from figures, and the samples it takes.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { jsonLinesReader } from '../lib/cli/load/jsonl.ts';
import { keyColumn } from '../lib/cli/load/template.ts';
import { compressionStage, defaults, jobsStage, memoryStage, scaled, shardsStage } from '../lib/cli/tune/candidates.ts';
import { readSample, sampleDatabase, sampleDescription, sampleFiles } from '../lib/cli/tune/sample.ts';
import { medianOf, score, spread } from '../lib/cli/tune/score.ts';
import type { Figures } from '../lib/cli/tune/trial.ts';
import { open } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('tune: choices');
const space = new Workspace();
test.after(() => space.clean());

const reference: Figures = {
  write: 100,
  acknowledged: 100,
  get: 100,
  getMany: 100,
  scan: 100,
  diskBytes: 1000,
  peakMemoryBytes: 1,
};
const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

test('the reference scores 1 in every goal', () => {
  for (const goal of ['speed', 'size', 'balance'] as const) near(score(reference, reference, goal), 1);
});

test('speed is the mean of the rates, size the tables, balance both', () => {
  const figures = { ...reference, write: 1600, diskBytes: 250 };
  near(score(figures, reference, 'speed'), 2);
  near(score({ ...reference, diskBytes: 250 }, reference, 'size'), 4);
  near(score(figures, reference, 'balance'), Math.sqrt(8));
});

test('rates that a trial did not measure count for nothing', () => {
  const writes = { ...reference, get: 0, getMany: 0, scan: 0 };
  near(score({ ...writes, write: 150 }, writes, 'speed'), 1.5);
});

test('size at any price is not wanted', () => {
  assert.equal(score({ ...reference, write: 24, diskBytes: 100 }, reference, 'size'), 0);
  assert.ok(score({ ...reference, write: 26, diskBytes: 100 }, reference, 'size') > 9.5);
  const slower = { ...reference, write: 60, diskBytes: 499 };
  assert.ok(score(slower, reference, 'size') < score({ ...slower, write: 90, diskBytes: 500 }, reference, 'size'));
});

test('medians and spread', () => {
  const all = [1, 9, 5].map((write) => ({ ...reference, write }));
  assert.equal(medianOf(all).write, 5);
  assert.equal(medianOf(all.slice(0, 2)).write, 5);
  assert.equal(medianOf(all).scan, 100);
  near(spread([0.9, 1.1, 1]), 0.1);
});

test('a stage changes one thing, and what was chosen before stays', async () => {
  const chosen = { ...defaults, options: { ...defaults.options, shards: 2 }, batch: 500 };
  const stages = [compressionStage(chosen), memoryStage(chosen, 100 * 2 ** 20), jobsStage(chosen, 2)];
  for (const { candidates } of stages) {
    assert.equal(new Set(candidates.map(({ name }) => name)).size, candidates.length);
    for (const { options, batch } of candidates) {
      assert.deepEqual([options.shards, batch], [2, 500]);
      const db = await open(space.folder(), options);
      assert.equal(db.stats().shards, 2);
      await db.close();
    }
  }
  for (const { options } of memoryStage(chosen, 100 * 2 ** 20).candidates) {
    const { hotCache, blockCache, writeBuffer } = options.memory as Record<string, number>;
    const sum = Number(hotCache) + Number(blockCache) + Number(writeBuffer);
    assert.ok(Math.abs(sum - 100 * 2 ** 20) <= 2 * 2 ** 20, `${sum}`);
  }
  assert.deepEqual(
    shardsStage(chosen).candidates.map(({ options }) => options.shards),
    [1, 2, 4, 8, 16],
  );
});

test('caches shrink as the sample does, and never below what the engine takes', () => {
  const options = scaled({ compression: 'lz4', memory: { hotCache: 100e6 } }, 0.5);
  assert.deepEqual(options, {
    compression: 'lz4',
    memory: { hotCache: 50e6, blockCache: 64 * 2 ** 20, writeBuffer: 64 * 2 ** 20 },
  });
  assert.equal(scaled({}, 1e-6).memory?.writeBuffer, 2 ** 20);
});

test('a sample of a database has runs of records from all over it, and its size', async () => {
  const db = space.adopt(await open(space.folder(), { keyEncoding: 'buffer', valueEncoding: 'buffer' }));
  const key = (i: number) => Buffer.from(String(i).padStart(6, '0'));
  await db.putMany(Array.from({ length: 40_000 }, (_, i) => [key(i), Buffer.alloc(i % 40, 1)] as [Buffer, Buffer]));
  await db.flush();
  const file = path.join(space.root, 'database.sample');
  const info = await sampleDatabase(db, file, 200_000, new AbortController().signal);
  const records = readSample(file);
  assert.equal(records.length, info.records);
  assert.ok(info.bytes > 100_000 && info.bytes < 300_000, `${info.bytes}`);
  assert.equal(info.dataBytes, 40_000 * 6 + 1000 * ((39 * 40) / 2));
  const numbers = records.map(([name]) => Number(name.toString()));
  assert.ok((numbers.at(-1) as number) > 20_000, 'not only the beginning');
  for (const [i, [, value]] of records.entries()) assert.equal(value.length, (numbers[i] as number) % 40);
});

test('a sample of files has a share of each, and guesses the whole', async () => {
  const files = ['a', 'b'].map((name) => {
    const file = path.join(space.root, `${name}.jsonl`);
    const lines = Array.from({ length: 20_000 }, (_, i) => `{"id":"${name}${String(i).padStart(6, '0')}"}\n`);
    writeFileSync(file, lines.join(''));
    return file;
  });
  const file = path.join(space.root, 'files.sample');
  const { signal } = new AbortController();
  const info = await sampleFiles(files, jsonLinesReader(keyColumn('id'), undefined), file, 400_000, signal);
  const names = readSample(file).map(([name]) => name.toString()[0]);
  const share = names.filter((name) => name === 'a').length / names.length;
  assert.ok(share > 0.3 && share < 0.7, `${share}`);
  const all = 2 * 20_000 * (7 + '{"id":"a000000"}'.length);
  assert.ok(Math.abs(info.dataBytes - all) < all / 10, `${info.dataBytes} of ${all}`);
});

test('a described sample is what was described, the same every time', () => {
  const make = (limit: number) => {
    const file = path.join(space.root, `made-${limit}.sample`);
    const info = sampleDescription({ records: 1000, key: 20, value: 64, compressible: 0.5 }, file, limit);
    return { info, records: readSample(file) };
  };
  const whole = make(1e9);
  assert.deepEqual(whole.info, { records: 1000, bytes: 84_000, dataBytes: 84_000 });
  assert.equal(new Set(whole.records.map(([key]) => key.toString())).size, 1000);
  assert.ok(whole.records.every(([key, value]) => key.length === 20 && value.length === 64));
  const part = make(8_400);
  assert.deepEqual(part.info, { records: 100, bytes: 8400, dataBytes: 84_000 });
  assert.deepEqual(part.records, whole.records.slice(0, 100));
});

test.run();
