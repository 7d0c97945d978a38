/** Writes into a new database. */

import { datasetOf, inKeyOrder, makeWorkload, openBytes, puts, shuffled } from './data.mjs';
import { closedLoop, sampled, window } from './measure.mjs';

const PUTS_OUTSTANDING = 1000;
const CHUNK = 10_000;

/** The work with its records in another order. */
function ordered(work, order) {
  if (order === 'random') return work;
  const indices = inKeyOrder(work);
  const pick = (list) => Array.from(indices, (i) => list[i]);
  return { ...work, keys: pick(work.keys), values: pick(work.values) };
}

/** Puts with 1,000 under way, keys ascending or random; over and over, so that later ones overwrite. */
export async function writes({ dir, records, valueSize, order, seconds }) {
  const { keys, values } = ordered(makeWorkload(records, valueSize), order);
  const db = await openBytes(dir);
  let at = 0;
  const figure = await sampled(CHUNK, seconds, () =>
    window(CHUNK, PUTS_OUTSTANDING, () => {
      if (at === records) at = 0;
      return db.put(keys[at], values[at++]);
    }),
  );
  await db.close();
  return { figures: { put: figure } };
}

/** Atomic batches of one size, one after the other. */
export async function batches({ dir, records, valueSize, size, order = 'random', seconds }) {
  const work = ordered(makeWorkload(Math.max(records, size), valueSize), order);
  const db = await openBytes(dir);
  let from = 0;
  const one = () => {
    if (from + size > work.records) from = 0;
    const operations = puts(work, from, from + size);
    from += size;
    return db.batch(operations);
  };
  const figure = await sampled(size, seconds, one);
  const latency = await closedLoop(1, seconds / 2, one);
  await db.close();
  return { figures: { batch: figure }, latencies: { batch: latency.distribution() } };
}

/** So many writers, then so many readers, each awaiting its operation before the next. */
export async function clients({ base, dir, records, valueSize, count, seconds }) {
  const { keys, values } = makeWorkload(records, valueSize);
  const rate = (histogram, took) => ({ value: histogram.count / took, margin: 0, samples: 1 });
  const timed = async (call) => {
    await closedLoop(count, seconds / 4, call);
    const began = performance.now();
    const histogram = await closedLoop(count, seconds, call);
    return { figure: rate(histogram, (performance.now() - began) / 1000), latency: histogram.distribution() };
  };
  let at = 0;
  const fresh = await openBytes(dir);
  const writers = await timed(() => fresh.put(keys[at % records], values[at++ % records]));
  await fresh.close();
  const settled = await openBytes(datasetOf(base, { records, valueSize }), { memory: { hotCache: 0 } });
  const order = shuffled(records, 7);
  const readers = await timed(async () => {
    const value = await settled.get(keys[order[at++ % records]]);
    if (value?.length !== valueSize) throw new Error('wrong read');
  });
  await settled.close();
  return {
    figures: { writers: writers.figure, readers: readers.figure },
    latencies: { writers: writers.latency, readers: readers.latency },
  };
}
