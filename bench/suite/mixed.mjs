/**
 * Reads and writes at once, of keys chosen at random: by 16 clients that each await their operation (as much as there can
 * be), then at half of that rate at even distances, where the latency of each runs from the moment it was due.
 */

import { cpSync } from 'node:fs';
import { Histogram } from '../commit/histogram.mjs';
import { settle } from '../peers/measures.mjs';
import { Random } from '../ycsb/generators.mjs';
import { datasetOf, makeWorkload, openBytes } from './data.mjs';

const CLIENTS = 16;

export async function mixed({ base, dir, records, valueSize, reading, seconds }) {
  const { keys, values } = makeWorkload(records, valueSize);
  cpSync(datasetOf(base, { records, valueSize }), dir, { recursive: true });
  const db = await openBytes(dir);
  const random = new Random(1);
  const operation = async () => {
    const index = random.between(0, records - 1);
    if (random.double() >= reading) {
      await db.put(keys[index], values[index]);
      return 'write';
    }
    const value = await db.get(keys[index]);
    if (value?.length !== valueSize) throw new Error('wrong read');
    return 'read';
  };

  const full = async (duration) => {
    const histograms = { read: new Histogram(), write: new Histogram() };
    const began = performance.now();
    const end = began + duration * 1000;
    const client = async () => {
      for (let now = performance.now(); now < end; ) {
        const kind = await operation();
        const after = performance.now();
        histograms[kind].record(after - now);
        now = after;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const count = histograms.read.count + histograms.write.count;
    return { ...histograms, perSecond: count / ((performance.now() - began) / 1000) };
  };
  await full(seconds / 4);
  const most = await full(seconds);
  await settle();

  const half = { read: new Histogram(), write: new Histogram() };
  const interval = 2000 / most.perSecond;
  const pending = new Set();
  const began = performance.now();
  const end = began + seconds * 1000;
  let issued = 0;
  for (let now = began; now < end; now = performance.now()) {
    for (; began + issued * interval <= now; issued++) {
      const due = began + issued * interval;
      const one = operation().then((kind) => {
        half[kind].record(performance.now() - due);
        pending.delete(one);
      });
      pending.add(one);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(pending);
  await db.close();
  return {
    figures: { operations: { value: most.perSecond, margin: 0, samples: 1 } },
    latencies: {
      'read, 16 clients': most.read.distribution(),
      'write, 16 clients': most.write.distribution(),
      'read, half load': half.read.distribution(),
      'write, half load': half.write.distribution(),
    },
  };
}
