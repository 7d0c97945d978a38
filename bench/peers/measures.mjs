/**
 * The measured loops. All stores run the same ones; only the calls inside differ (adapters/).
 *
 * Every value read must have the right length, and each 997th is compared byte by byte: a store that answers wrongly
 * fails the run instead of winning it. Before each clock starts, a share of the same work runs untimed, so that
 * compiled code is compared and not its compilation, and garbage of what went before is collected.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { BATCH } from './workload.mjs';

/**
 * @typedef {import('./workload.mjs').Workload} Workload
 * @typedef {import('./adapters/store.mjs').Store} Store
 */

export const PUTS_OUTSTANDING = 1000;
export const GETS_OUTSTANDING = 256;
const WARM_UP = 20_000;
const CHECK_EVERY = 997;

/** @returns {Promise<number>} operations per second */
async function rate(operations, run) {
  globalThis.gc();
  const start = process.hrtime.bigint();
  await run();
  return operations / (Number(process.hrtime.bigint() - start) / 1e9);
}

/** `width` workers take the next index until all are done: never more than `width` outstanding, each awaited alone. */
function slidingWindow(count, width, call) {
  let next = 0;
  const worker = async () => {
    while (next < count) await call(next++);
  };
  return Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}

/** Waits until background work (flushes, compaction) has left the processor alone, at most 20 s. */
export async function settle() {
  for (let waited = 0; waited < 20_000; waited += 250) {
    const before = process.cpuUsage();
    await delay(250);
    const { user, system } = process.cpuUsage(before);
    if (user + system < 12_500) return;
  }
}

function checker({ values, valueSize }, trusting) {
  return (index, value, count) => {
    if (value?.length !== valueSize) throw new Error(`wrong read: key ${index} has ${value?.length} bytes`);
    if (!trusting && count % CHECK_EVERY === 0 && !values[index].equals(value)) {
      throw new Error(`wrong read: key ${index} has another value`);
    }
  };
}

/**
 * @param {Store} store @param {Workload} work @param {number} outstanding batches
 * @param {Store['load']} write the call in use
 */
export async function load(store, work, outstanding, records = work.records, write = store.load) {
  const batches = Math.ceil(records / BATCH);
  const one = (b) => write(work, b * BATCH, Math.min((b + 1) * BATCH, records));
  return rate(records, async () => {
    if (outstanding > 1) return slidingWindow(batches, outstanding, one);
    for (let b = 0; b < batches; b++) await one(b);
  });
}

/** @param {Store} store @param {Workload} work */
export async function put(store, { keys, values }, records = keys.length) {
  return rate(records, () => slidingWindow(records, PUTS_OUTSTANDING, (i) => store.put(keys[i], values[i])));
}

/** @param {Store} store @param {Workload} work @param {boolean} trusting */
export async function reads(store, work, trusting) {
  const { keys } = work;
  const check = checker(work, trusting);

  const sync = (order) => () => {
    for (let i = 0; i < order.length; i++) check(order[i], store.getSync(keys[order[i]]), i);
  };
  const async = (order) => () => {
    let next = 0;
    // Like slidingWindow, but without a promise of its own per read.
    const worker = async () => {
      while (next < order.length) {
        const i = next++;
        check(order[i], await store.get(keys[order[i]]), i);
      }
    };
    return Promise.all(Array.from({ length: GETS_OUTSTANDING }, worker));
  };
  const many = (order) => {
    const groups = [];
    for (let from = 0; from < order.length; from += BATCH) {
      groups.push(Array.from(order.subarray(from, from + BATCH), (index) => keys[index]));
    }
    return async () => {
      for (let g = 0; g < groups.length; g++) {
        const results = await store.getMany(groups[g]);
        if (results.length !== groups[g].length) throw new Error(`wrong read: ${results.length} results`);
        for (let i = 0; i < results.length; i++) check(order[g * BATCH + i], results[i], g * BATCH + i);
      }
    };
  };

  const measured = async (prepare, order) => {
    await prepare(order.subarray(0, WARM_UP))();
    return rate(order.length, prepare(order));
  };

  if (store.getMany) await many(work.everyKey)();
  await settle();
  const result = {};
  if (store.getSync) result.getSync = await measured(sync, work.workingSet);
  if (store.get) result.get = await measured(async, work.workingSet);
  if (store.getMany) result.getMany = await measured(many, work.workingSet);
  if (store.getSync) result.getSyncAll = await measured(sync, work.everyKey);
  if (store.get) result.getAll = await measured(async, work.everyKey);
  if (store.getMany) result.getManyAll = await measured(many, work.everyKey);
  return result;
}

/** @param {Store} store @param {Workload} work @param {boolean} trusting */
export async function scans(store, work, trusting) {
  const expected = new Map();
  for (let i = 0; i < work.records; i += CHECK_EVERY) expected.set(work.keys[i].toString('latin1'), i);

  const full = async (scan) => {
    let records = 0;
    let bytes = 0;
    await scan((key, value) => {
      records++;
      bytes += key.length + value.length;
    });
    const wanted = work.records * (work.keys[0].length + work.valueSize);
    if (records !== work.records || bytes !== wanted) throw new Error(`wrong scan: ${records} records, ${bytes} bytes`);
  };
  // The warm-up pass is also the check: ascending keys, and the expected values under some of them.
  const checked = async (scan) => {
    let last = '';
    let found = 0;
    await scan((bytes, value) => {
      const key = Buffer.from(bytes).toString('latin1');
      if (key <= last) throw new Error('wrong scan: keys out of order');
      last = key;
      const index = expected.get(key);
      if (index === undefined) return;
      if (!work.values[index].equals(value)) throw new Error(`wrong scan: key ${index} has another value`);
      found++;
    });
    if (found !== expected.size) throw new Error('wrong scan: records missing');
  };

  await settle();
  const result = {};
  for (const [name, scan] of [
    ['scanBatches', store.scanBatches],
    ['scanAwait', store.scanAwait],
  ]) {
    if (!scan) continue;
    await (trusting ? full(scan) : checked(scan));
    result[name] = await rate(work.records, () => full(scan));
  }
  return result;
}
