import { RocksLevel } from '@nxtedition/rocksdb';
import { CACHE_BYTES, putOperations } from './store.mjs';

/** @type {import('./store.mjs').Adapter} */
export default {
  package: '@nxtedition/rocksdb',
  uses: 'buffers, cacheSize 192 MiB, parallelism 2, no compression of log or tables; batch([...]), put, get, getMany, iterator.nextv(1000)',
  durability: 'WAL without sync: survives a crash of the process, not of the system',

  async open(dir) {
    const options = {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      createIfMissing: true,
      cacheSize: CACHE_BYTES,
      parallelism: 2,
      // Both are zstd by default and slow its loading and scanning down.
      walCompression: false,
      compression: false,
    };
    const db = new RocksLevel(dir, options);
    await db.open(options);
    return {
      load: (work, from, to) => db.batch(putOperations(work, from, to)),
      loadArray: (work, from, to) => db.batch(putOperations(work, from, to)),
      put: (key, value) => db.put(key, value),
      get: (key) => db.get(key),
      getMany: (keys) => db.getMany(keys),
      async scanBatches(visit) {
        const iterator = db.iterator();
        for (let rows = await iterator.nextv(1000); rows.length > 0; rows = await iterator.nextv(1000)) {
          for (const [key, value] of rows) visit(key, value);
        }
        await iterator.close();
      },
      async scanAwait(visit) {
        for await (const [key, value] of db.iterator()) visit(key, value);
      },
      async scanFrom(key, count, visit) {
        const iterator = db.iterator({ gte: key, limit: count });
        for (const [found, value] of await iterator.nextv(count)) visit(found, value);
        await iterator.close();
      },
      close: () => db.close(),
    };
  },
};
