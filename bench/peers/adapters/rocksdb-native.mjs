import RocksDB from 'rocksdb-native';

// Rows per native call; its default of 8 halves the speed of a scan.
const capacity = 1000;

/** @type {import('./store.mjs').Adapter} */
export default {
  package: 'rocksdb-native',
  uses: "buffers; write().tryPut()...flush(), put, get, read().get()...tryFlush(), iterator with capacity 1000 ('data' events, for await)",
  durability: 'WAL without sync: survives a crash of the process, not of the system',

  async open(dir) {
    const db = new RocksDB(dir);
    await db.ready();
    return {
      load({ keys, values }, from, to) {
        const batch = db.write({ capacity: to - from, autoDestroy: true });
        for (let i = from; i < to; i++) batch.tryPut(keys[i], values[i]);
        return batch.flush();
      },
      put: (key, value) => db.put(key, value),
      get: (key) => db.get(key),
      getMany(keys) {
        const batch = db.read({ capacity: keys.length, autoDestroy: true });
        const results = keys.map((key) => batch.get(key));
        batch.tryFlush();
        return Promise.all(results);
      },
      scanBatches: (visit) =>
        new Promise((resolve, reject) => {
          db.iterator({}, { capacity })
            .on('data', ({ key, value }) => visit(key, value))
            .on('error', reject)
            .on('close', () => resolve(undefined));
        }),
      async scanAwait(visit) {
        for await (const { key, value } of db.iterator({}, { capacity })) visit(key, value);
      },
      scanFrom: (gte, limit, visit) =>
        new Promise((resolve, reject) => {
          db.iterator({ gte, limit }, { capacity: limit })
            .on('data', ({ key, value }) => visit(key, value))
            .on('error', reject)
            .on('close', () => resolve(undefined));
        }),
      close: () => db.close(),
    };
  },
};
