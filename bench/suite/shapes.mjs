/** The same work over shards and value sizes: loading, getMany of random keys without hot cache, a full scan. */

import { settle } from '../peers/measures.mjs';
import { BATCH, datasetOf, loadAll, makeWorkload, openBytes } from './data.mjs';
import { once, sampled } from './measure.mjs';

export async function shape({ base, dir, records, valueSize, shards, seconds }) {
  const work = makeWorkload(records, valueSize);
  const fresh = await openBytes(dir, shards ? { shards } : {});
  const load = await once(records, () => loadAll(fresh, work));
  await fresh.close();

  const db = await openBytes(datasetOf(base, { records, valueSize, shards }), { memory: { hotCache: 0 } });
  const groups = [];
  const size = Math.min(BATCH, Math.ceil((4 << 20) / valueSize));
  for (let from = 0; from + size <= records; from += size) {
    groups.push(Array.from(work.everyKey.subarray(from, from + size), (i) => work.keys[i]));
  }
  for (const group of groups) await db.getMany(group);
  await settle();
  let at = 0;
  const getMany = await sampled(size, seconds, async () => {
    const values = await db.getMany(groups[at++ % groups.length]);
    for (const value of values) if (value?.length !== valueSize) throw new Error('wrong read');
  });
  const scan = await sampled(records, seconds, async () => {
    let found = 0;
    for await (const value of db.values()) found += value.length === valueSize ? 1 : 0;
    if (found !== records) throw new Error(`wrong scan: ${found} records`);
  });
  await db.close();
  return { figures: { load, getMany, scan } };
}
