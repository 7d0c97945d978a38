// A database to be measured: records of half compressible values, flushed and compacted, default options.

import { open } from '../../dist/esm/index.js';

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

function valueFor(seed, bytes) {
  const value = Buffer.alloc(bytes, 0);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < bytes / 2; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    value[i] = state >>> 24;
  }
  return value;
}

export async function fill(folder, records, bytes, shards) {
  const db = await open(folder, { shards, keyEncoding: 'buffer' });
  await db.putMany(
    (function* () {
      for (let i = 0; i < records; i++) yield [Buffer.from(`key${String(i).padStart(10, '0')}`), valueFor(i, bytes)];
    })(),
  );
  await db.flush();
  await db.compact();
  return db;
}
