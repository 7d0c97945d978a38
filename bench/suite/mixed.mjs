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
/** Of half load, at least: a pause of some milliseconds is a percent of less. */
const HALF_LOAD_SECONDS = 3;

export async function mixed({ base, dir, records, valueSize, reading, seconds }) {
  const { keys, values } = makeWorkload(records, valueSize);
  cpSync(datasetOf(base, { records, valueSize }), dir, { recursive: true });
  const db = await openBytes(dir);
  const random = new Random(1);
  const check = (value) => {
    if (value?.length !== valueSize) throw new Error(`wrong read: ${value?.length} bytes`);
  };

  const full = async (duration) => {
    const [read, write] = [new Histogram(), new Histogram()];
    const began = performance.now();
    const end = began + duration * 1000;
    const client = async () => {
      for (let now = performance.now(); now < end; ) {
        const index = random.between(0, records - 1);
        const isRead = random.double() < reading;
        if (isRead) check(await db.get(keys[index]));
        else await db.put(keys[index], values[index]);
        const after = performance.now();
        (isRead ? read : write).record(after - now);
        now = after;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return { read, write, perSecond: (read.count + write.count) / ((performance.now() - began) / 1000) };
  };

  const half = async (duration, perSecond) => {
    const [read, write] = [new Histogram(), new Histogram()];
    const interval = 1000 / perSecond;
    const began = performance.now();
    const end = began + duration * 1000;
    let issued = 0;
    let ended = 0;
    for (let now = began; now < end; now = performance.now()) {
      for (; began + issued * interval <= now; issued++) {
        const due = began + issued * interval;
        const index = random.between(0, records - 1);
        if (random.double() < reading) {
          db.get(keys[index]).then((value) => {
            check(value);
            read.record(performance.now() - due);
            ended++;
          });
        } else {
          db.put(keys[index], values[index]).then(() => {
            write.record(performance.now() - due);
            ended++;
          });
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (ended < issued) await new Promise((resolve) => setImmediate(resolve));
    return { read, write };
  };

  await full(seconds / 2);
  const most = await full(seconds);
  await settle();
  await half(0.5, most.perSecond / 2);
  const calm = await half(Math.max(seconds, HALF_LOAD_SECONDS), most.perSecond / 2);
  await db.close();
  return {
    figures: { operations: { value: most.perSecond, margin: 0, samples: 1 } },
    latencies: {
      'read, 16 clients': most.read.distribution(),
      'write, 16 clients': most.write.distribution(),
      'read, half load': calm.read.distribution(),
      'write, half load': calm.write.distribution(),
    },
  };
}
