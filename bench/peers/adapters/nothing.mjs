/**
 * A store that does nothing: what the benchmark program itself takes, against which memory is measured.
 * @type {import('./store.mjs').Adapter}
 */
export default {
  package: null,
  uses: 'the same program with every call empty',
  durability: 'none',
  readsNothing: true,

  async open() {
    let records = 0;
    let work = null;
    const any = () => work?.values[0];
    return {
      async load(given, from, to) {
        work = given;
        records += to - from;
      },
      async put() {},
      getSync: any,
      get: async () => any(),
      getMany: async (keys) => keys.map(any),
      async scanBatches(visit) {
        for (let i = 0; i < records; i++) visit(work.keys[0], work.values[0]);
      },
      async scanAwait(visit) {
        for (let i = 0; i < records; i++) visit(work.keys[0], await work.values[0]);
      },
      async scanFrom(key, count, visit) {
        for (let i = 0; i < count; i++) visit(key, key);
      },
      async close() {},
    };
  },
};
