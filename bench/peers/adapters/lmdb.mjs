import { open } from 'lmdb';

/** @type {import('./store.mjs').Adapter} */
export default {
  package: 'lmdb',
  uses: 'binary keys and values, noMemInit; batch(() => put...), put, get, await get, getMany, for (of getRange())',
  // The default also syncs behind every commit, which none of the others does and which costs it 3 to 4 times its
  // write speed here; without, a commit is in the page cache when it resolves, as it is for the others.
  durability: 'noSync: survives a crash of the process, not of the system',

  async open(dir) {
    const db = open({ path: dir, encoding: 'binary', keyEncoding: 'binary', noMemInit: true, noSync: true });
    return {
      load: ({ keys, values }, from, to) =>
        db.batch(() => {
          for (let i = from; i < to; i++) db.put(keys[i], values[i]);
        }),
      put: (key, value) => db.put(key, value),
      getSync: (key) => db.get(key),
      // Reads are synchronous by design; the experimental getAsync is several times slower than awaiting get.
      get: (key) => db.get(key),
      getMany: (keys) => db.getMany(keys),
      async scanBatches(visit) {
        for (const { key, value } of db.getRange()) visit(key, value);
      },
      async scanAwait(visit) {
        for await (const { key, value } of db.getRange()) visit(key, value);
      },
      async scanFrom(start, limit, visit) {
        for (const { key, value } of db.getRange({ start, limit })) visit(key, value);
      },
      close: () => db.close(),
    };
  },
};
