import { open } from '../../../dist/esm/index.js';
import { putOperations } from './store.mjs';

const MIB = 1024 * 1024;

/** @type {import('./store.mjs').Adapter} */
export default {
  package: null,
  uses: 'defaults, buffers; batch([...]), put, getSync, get, getMany, iterator().nextMany(1000)',
  durability: "durability 'wal' (default): survives a crash of the process, not of the system",
  // Defaults of OpenOptions.memory: hot cache, block cache, write buffer.
  budgetBytes: (64 + 128 + 128) * MIB,

  async open(dir, { hotCache }) {
    const memory = hotCache === undefined ? {} : { memory: { hotCache } };
    const db = await open(dir, { keyEncoding: 'buffer', valueEncoding: 'buffer', ...memory });
    return {
      load: (work, from, to) => db.batch(putOperations(work, from, to)),
      loadArray: (work, from, to) => db.batch(putOperations(work, from, to)),
      put: (key, value) => db.put(key, value),
      getSync: (key) => db.getSync(key),
      get: (key) => db.get(key),
      getMany: (keys) => db.getMany(keys),
      async scanBatches(visit) {
        const iterator = db.iterator();
        for (let rows = await iterator.nextMany(1000); rows.length > 0; rows = await iterator.nextMany(1000)) {
          for (const [key, value] of rows) visit(key, value);
        }
        await iterator.close();
      },
      async scanAwait(visit) {
        for await (const [key, value] of db.iterator()) visit(key, value);
      },
      async scanFrom(key, count, visit) {
        const iterator = db.iterator({ gte: key, limit: count });
        for (const [found, value] of await iterator.nextMany(count)) visit(found, value);
        await iterator.close();
      },
      close: () => db.close(),
    };
  },
};
