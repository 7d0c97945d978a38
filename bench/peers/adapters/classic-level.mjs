import { ClassicLevel } from 'classic-level';
import { CACHE_BYTES, putOperations } from './store.mjs';

const MIB = 1024 * 1024;

/** @type {import('./store.mjs').Adapter} */
export default {
  package: 'classic-level',
  uses: 'buffers, cacheSize 192 MiB, writeBufferSize 16 MiB, no compression; batch().put()...write(), put, getSync, get, getMany, iterator.nextv(1000)',
  durability: 'log without sync: survives a crash of the process, not of the system',

  async open(dir) {
    const db = new ClassicLevel(dir, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      cacheSize: CACHE_BYTES,
      // A larger one slows it down: its memtable is searched on every read.
      writeBufferSize: 16 * MIB,
      // Uncompressed tables are read straight from their memory maps.
      compression: false,
    });
    await db.open();
    return {
      // The chained batch is faster than batch([...]): it copies each record at once.
      load({ keys, values }, from, to) {
        const batch = db.batch();
        for (let i = from; i < to; i++) batch.put(keys[i], values[i]);
        return batch.write();
      },
      loadArray: (work, from, to) => db.batch(putOperations(work, from, to)),
      put: (key, value) => db.put(key, value),
      getSync: (key) => db.getSync(key),
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
