/** Point reads of a settled database. */

import { settle } from '../peers/measures.mjs';
import { absentKeys, BATCH, datasetOf, dropFromMemory, inKeyOrder, makeWorkload, openBytes } from './data.mjs';
import { closedLoop, once, sampled, window } from './measure.mjs';

const GETS_OUTSTANDING = 256;
const CHUNK = 10_000;

/**
 * getSync, get and getMany in one order of keys: random, sequential, a working set of 10,000 keys, or keys that are
 * absent; with the hot cache of the defaults or without one.
 */
export async function reads({ base, records, valueSize, order, hotCache, seconds }) {
  const work = makeWorkload(records, valueSize);
  const db = await openBytes(datasetOf(base, { records, valueSize }), hotCache ? {} : { memory: { hotCache: 0 } });
  const orders = {
    random: () => Array.from(work.everyKey, (i) => work.keys[i]),
    sequential: () => Array.from(inKeyOrder(work), (i) => work.keys[i]),
    'working set': () => Array.from(work.workingSet, (i) => work.keys[i]),
    absent: () => absentKeys(work),
  };
  const keys = orders[order]();
  const expected = order === 'absent' ? undefined : valueSize;
  const check = (value) => {
    if (value?.length !== expected) throw new Error(`wrong read: ${value?.length} bytes`);
  };
  // Everything once, as in bench:peers: blocks and filters are in memory, and the hot cache holds what it would keep.
  for (let from = 0; from < keys.length; from += BATCH) await db.getMany(keys.slice(from, from + BATCH));
  await settle();
  let at = 0;
  const next = () => {
    if (at === keys.length) at = 0;
    return keys[at++];
  };
  const groups = [];
  for (let from = 0; from + BATCH <= keys.length; from += BATCH) groups.push(keys.slice(from, from + BATCH));
  let group = 0;

  const figures = {
    getSync: await sampled(CHUNK, seconds, () => {
      for (let i = 0; i < CHUNK; i++) check(db.getSync(next()));
    }),
    get: await sampled(CHUNK, seconds, () => window(CHUNK, GETS_OUTSTANDING, async () => check(await db.get(next())))),
    getMany: await sampled(BATCH, seconds, async () => {
      const values = await db.getMany(groups[group++ % groups.length]);
      for (let i = 0; i < BATCH; i++) check(values[i]);
    }),
  };
  const latencies = { get: (await closedLoop(16, seconds, () => db.get(next()))).distribution() };
  await db.close();
  return { figures, latencies };
}

/** Random reads of data that no cache holds: small caches, and the files dropped from the page cache before each. */
export async function coldReads({ base, records, valueSize, outstanding, absent, seconds }) {
  const work = makeWorkload(records, valueSize);
  const location = datasetOf(base, { records, valueSize });
  // A block cache for indexes and filters; threads that wait for the disk take no processor.
  const memory = { hotCache: 0, blockCache: '16MB' };
  const db = await openBytes(location, { memory, threads: { read: Math.min(64, Math.max(2, outstanding)) } });
  const keys = absent ? absentKeys(work) : work.keys;
  // Each key once, so that little of what is asked for has been read before.
  await db.getMany(Array.from(work.everyKey.subarray(0, 256), (i) => keys[i]));
  await dropFromMemory(location);
  let at = 256;
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const figure = await once(1, async () => {
    const caller = async () => {
      while (performance.now() < end && at < records) {
        const value = await db.get(keys[work.everyKey[at++]]);
        if ((value === undefined) !== absent) throw new Error('wrong read');
        count++;
      }
    };
    await Promise.all(Array.from({ length: outstanding }, caller));
  });
  await db.close();
  return { figures: { get: { ...figure, value: figure.value * count } } };
}
