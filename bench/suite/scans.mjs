/** Ordered reads of a settled database. */

import { datasetOf, dropFromMemory, makeWorkload, openBytes } from './data.mjs';
import { once, sampled } from './measure.mjs';

const SHORT = [10, 100, 1000];
const SHORT_SCANS = 50;

async function byNextMany(db, range = {}) {
  let records = 0;
  let bytes = 0;
  const iterator = db.iterator(range);
  for (let rows = await iterator.nextMany(1000); rows.length > 0; rows = await iterator.nextMany(1000)) {
    for (const [key, value] of rows) {
      records++;
      bytes += key.length + value.length;
    }
  }
  await iterator.close();
  return { records, bytes };
}

/** Short ranges from random keys, and everything: by nextMany, by for await, keys alone, values alone. */
export async function scans({ base, records, valueSize, seconds }) {
  const work = makeWorkload(records, valueSize);
  const db = await openBytes(datasetOf(base, { records, valueSize }));
  const wanted = records * (work.keys[0].length + valueSize);
  const complete = (found, bytes) => {
    if (found !== records || bytes !== wanted) throw new Error(`wrong scan: ${found} records, ${bytes} bytes`);
  };
  const figures = {};
  let start = 0;
  for (const limit of SHORT) {
    figures[`short ${limit}`] = await sampled(SHORT_SCANS * limit, seconds, async () => {
      for (let i = 0; i < SHORT_SCANS; i++) {
        const gte = work.keys[work.everyKey[start++ % records]];
        const iterator = db.iterator({ gte, limit });
        const rows = await iterator.nextMany(limit);
        await iterator.close();
        if (rows.length === 0 || !rows[0][0].equals(gte)) throw new Error('wrong scan: its first key is missing');
      }
    });
  }
  figures.nextMany = await sampled(records, seconds, async () => {
    const { records: found, bytes } = await byNextMany(db);
    complete(found, bytes);
  });
  figures['for await'] = await sampled(records, seconds, async () => {
    let found = 0;
    let bytes = 0;
    for await (const [key, value] of db.iterator()) {
      found++;
      bytes += key.length + value.length;
    }
    complete(found, bytes);
  });
  figures.keys = await sampled(records, seconds, async () => {
    let found = 0;
    for await (const key of db.keys()) found += key.length > 0 ? 1 : 0;
    complete(found, wanted);
  });
  figures.values = await sampled(records, seconds, async () => {
    let found = 0;
    for await (const value of db.values()) found += value.length === valueSize ? 1 : 0;
    complete(found, wanted);
  });
  await db.close();
  return { figures };
}

/** Everything once, with the files dropped from the page cache before. */
export async function coldScan({ base, records, valueSize }) {
  const location = datasetOf(base, { records, valueSize });
  const db = await openBytes(location, { memory: { hotCache: 0, blockCache: '16MB' } });
  await dropFromMemory(location);
  const figure = await once(records, async () => {
    const { records: found } = await byNextMany(db);
    if (found !== records) throw new Error(`wrong scan: ${found} records`);
  });
  await db.close();
  return { figures: { nextMany: figure } };
}
