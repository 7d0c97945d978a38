/**
 * The client of YCSB: threads that each do one operation after the other, at most at a given rate. A thread is an
 * asynchronous loop of one event loop here; stores that answer at once do so between two turns of it.
 *
 * As in the core package: a read takes the whole record; an update changes one field, for which a store of plain values
 * has to read the record first; a scan takes 1 to 100 records from a key on; an insert adds a new record.
 */

import { Histogram } from '../commit/histogram.mjs';
import { settle } from '../peers/measures.mjs';
import { RECORD_BYTES } from './records.mjs';

/**
 * @typedef {import('../peers/adapters/store.mjs').Store} Store
 * @typedef {import('./records.mjs').Records} Records
 * @typedef {import('./workloads.mjs').Choices} Choices
 * @typedef {{ perSecond: number, latencies: Record<string, object> }} Outcome latencies in milliseconds, by operation
 */

/**
 * `threads` loops share `count` operations.
 * @param {number} count @param {number} threads @param {number} target operations a second of all together; 0: any
 * @param {(record: (operation: string, milliseconds: number) => void) => () => Promise<string>} prepare
 * @returns {Promise<Outcome>}
 */
async function drive(count, threads, target, step) {
  /** @type {Record<string, Histogram>} */
  const histograms = {};
  let next = 0;
  const began = performance.now();
  const interval = target > 0 ? 1000 / target : 0;
  const thread = async () => {
    for (let i = next++; i < count; i = next++) {
      if (interval > 0) {
        const due = began + i * interval;
        // Timers are coarse: the last part is waited for turn by turn.
        while (due - performance.now() > 2) await new Promise((resolve) => setTimeout(resolve, 1));
        while (due > performance.now()) await new Promise((resolve) => setImmediate(resolve));
      }
      const called = performance.now();
      const operation = await step();
      histograms[operation] ??= new Histogram();
      histograms[operation].record(performance.now() - called);
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, count) }, thread));
  const perSecond = count / ((performance.now() - began) / 1000);
  const latencies = Object.fromEntries(Object.entries(histograms).map(([name, all]) => [name, all.distribution()]));
  return { perSecond, latencies };
}

/**
 * The load phase: every record inserted by itself.
 * @param {Store} store @param {Records} records @param {number} count @param {number} threads @param {number} target
 */
export async function load(store, records, count, threads, target) {
  let number = 0;
  return drive(count, threads, target, async () => {
    await store.put(records.key(number++), records.make());
    return 'insert';
  });
}

/**
 * The run phase.
 * @param {Store} store @param {Records} records @param {Choices} choices
 * @param {{ operations: number, threads: number, target: number, trusting: boolean }} run trusting: the store does
 *   nothing, so what it answers is not checked
 */
export async function run(store, records, choices, { operations, threads, target, trusting }) {
  const read = async (number) => {
    const record = await store.get(records.key(number));
    if (record?.length !== RECORD_BYTES && !trusting)
      throw new Error(`wrong read: record ${number}: ${record?.length}`);
    return record;
  };
  const change = async (number) => {
    const record = await read(number);
    await store.put(records.key(number), trusting ? records.make() : records.change(record, choices.field()));
  };
  const steps = {
    read: () => read(choices.record()),
    update: () => change(choices.record()),
    readModifyWrite: () => change(choices.record()),
    async insert() {
      const number = choices.inserts.next();
      await store.put(records.key(number), records.make());
      choices.inserts.acknowledge(number);
    },
    async scan() {
      const key = records.key(choices.record());
      let found = 0;
      await store.scanFrom(key, choices.scanLength(), (_, value) => {
        if (value.length !== RECORD_BYTES && !trusting) throw new Error('wrong scan');
        found++;
      });
      if (found === 0 && !trusting) throw new Error('wrong scan: its first key is missing');
    },
  };
  await settle();
  globalThis.gc?.();
  return drive(operations, threads, target, async () => {
    const operation = choices.operation();
    await steps[operation]();
    return operation;
  });
}
