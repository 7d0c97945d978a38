/**
 * The measured loops, each of which runs in a process of its own (trial.mjs). A share of the same work runs untimed
 * before each clock starts, so that compiled code is measured and not its compilation.
 *
 * @typedef {import('./stores.mjs').Store} Store
 * @typedef {import('../peers/workload.mjs').Workload} Workload
 * @typedef {{ open: (level: string, options?: object) => Promise<Store>, work: Workload, seconds: number }} Bench
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { settle } from '../peers/measures.mjs';
import { Histogram } from './histogram.mjs';

const WARM_UP_SECONDS = 0.4;
const QUEUED = 1_000_000;
const READS_IN_FLIGHT = 10_000;
const CHECK_EVERY = 997;

/**
 * `count` writers for some seconds, each awaiting its write before the next.
 * @param {Workload} work @param {number} count @param {number} seconds
 * @param {(key: Buffer, value: Buffer) => Promise<unknown>} write
 */
async function concurrently(work, count, seconds, write) {
  const histogram = new Histogram();
  const { keys, values, records } = work;
  let next = 0;
  const began = performance.now();
  const end = began + seconds * 1000;
  const writer = async () => {
    for (let now = performance.now(); now < end; ) {
      const index = next++ % records;
      await write(keys[index], values[index]);
      const after = performance.now();
      histogram.record(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: count }, writer));
  const perSecond = histogram.count / ((performance.now() - began) / 1000);
  return { perSecond, ...histogram.summary() };
}

/** What the engine did between two looks at its counters. */
function grouping(before, after, seconds) {
  const groups = after.writes.groups - before.writes.groups;
  return {
    groupOperations: (after.writes.groupOperations - before.writes.groupOperations) / groups,
    groupBytes: (after.writes.groupBytes - before.writes.groupBytes) / groups,
    fsyncsPerSecond: (after.writes.fsyncs - before.writes.fsyncs) / seconds,
  };
}

/** @param {Bench} bench @param {string} level @param {number} count */
export async function writers({ open, work, seconds }, level, count) {
  const store = await open(level);
  await concurrently(work, count, WARM_UP_SECONDS, store.put);
  const before = store.database?.stats();
  const began = performance.now();
  const figures = await concurrently(work, count, seconds, store.put);
  const groups = before ? grouping(before, store.database.stats(), (performance.now() - began) / 1000) : {};
  await store.close();
  return { ...figures, ...groups };
}

/** One atomic batch after the other. @param {Bench} bench @param {string} level @param {number} size */
export async function batches({ open, work, seconds }, level, size) {
  const store = await open(level);
  let from = 0;
  const one = async () => {
    if (from + size > work.records) from = 0;
    const keys = work.keys.slice(from, from + size);
    const values = work.values.slice(from, from + size);
    from += size;
    const began = performance.now();
    await store.batch(keys, values);
    return performance.now() - began;
  };
  for (const end = performance.now() + WARM_UP_SECONDS * 1000; performance.now() < end; ) await one();
  globalThis.gc?.();
  const histogram = new Histogram();
  const began = performance.now();
  // At least five, however long they take.
  while (performance.now() - began < seconds * 1000 || histogram.count < 5) histogram.record(await one());
  const perSecond = (histogram.count * size) / ((performance.now() - began) / 1000);
  await store.close();
  return { perSecond, ...histogram.summary() };
}

/**
 * Puts at half of the rate that was reached just before, at even distances. The latency of each runs from the moment it
 * was due, so that a store that stalls is not spared by the puts that could not be made meanwhile.
 * @param {Bench} bench @param {string} level
 */
export async function paced({ open, work, seconds }, level) {
  const store = await open(level);
  const { keys, values, records } = work;
  await concurrently(work, 256, WARM_UP_SECONDS, store.put);
  const { perSecond: most } = await concurrently(work, 256, seconds, store.put);
  await settle();
  const interval = 1000 / (most / 2);
  const fromDue = new Histogram();
  const fromCall = new Histogram();
  let issued = 0;
  /** @type {Promise<void>[]} */
  let pending = [];
  const began = performance.now();
  const end = began + seconds * 1000;
  for (let now = began; now < end; now = performance.now()) {
    // Puts of one turn share promises: one look at each is enough, for all the puts that it stands for.
    let promise;
    let first = issued;
    const ended = (from, to, called) => {
      const at = performance.now();
      for (let i = from; i < to; i++) {
        fromDue.record(at - (began + i * interval));
        fromCall.record(at - called);
      }
    };
    for (; began + issued * interval <= now; issued++) {
      const index = issued % records;
      const put = store.put(keys[index], values[index]);
      if (put === promise) continue;
      const from = first;
      const to = issued;
      if (promise) pending.push(promise.then(() => ended(from, to, now)));
      promise = put;
      first = issued;
    }
    const from = first;
    const to = issued;
    if (promise) pending.push(promise.then(() => ended(from, to, now)));
    if (pending.length > 10_000) pending = [Promise.all(pending).then(() => {})];
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reached = issued / ((performance.now() - began) / 1000);
  await Promise.all(pending);
  await store.close();
  return {
    most,
    perSecond: reached,
    ...fromDue.summary(),
    callP50: fromCall.quantile(0.5),
    callP99: fromCall.quantile(0.99),
  };
}

/**
 * 'wal' puts alone and beside durable writers, in turns, so that what drifts touches both.
 * @param {Bench} bench @param {number} durable how many durable writers
 */
export async function beside({ open, work, seconds }, durable) {
  const { database, close } = await open('wal');
  const write = (key, value) => database.put(key, value);
  await concurrently(work, 256, WARM_UP_SECONDS, write);
  const alone = [];
  const together = [];
  const durableRates = [];
  let p99 = 0;
  for (let turn = 0; turn < 4; turn++) {
    alone.push((await concurrently(work, 256, seconds / 2, write)).perSecond);
    const options = /** @type {const} */ ({ durability: 'fsync' });
    const [other, durables] = await Promise.all([
      concurrently(work, 256, seconds / 2, write),
      concurrently(work, durable, seconds / 2, (key, value) => database.put(key, value, options)),
    ]);
    together.push(other.perSecond);
    durableRates.push(durables.perSecond);
    p99 = Math.max(p99, other.p99);
  }
  await close();
  const mean = (rates) => rates.reduce((a, b) => a + b) / rates.length;
  const [a, b] = [mean(alone), mean(together)];
  return { alone: a, together: b, kept: b / a, durable: mean(durableRates), p99 };
}

/** Ten thousand reads in flight, alone and beside writers. @param {Bench} bench */
export async function readsBeside({ open, work, seconds }) {
  // Without the hot cache every read crosses to the read threads.
  const { database, close } = await open('wal', { memory: { hotCache: 0 } });
  const { keys, values, records, everyKey } = work;
  await database.putMany(keys.map((key, i) => [key, values[i]]));
  await database.flush();
  const read = async (_key, _value) => {
    const index = everyKey[at++ % records];
    const value = await database.get(keys[index]);
    if (value?.length !== work.valueSize) throw new Error(`wrong read: ${value?.length} bytes of key ${index}`);
    if (index % CHECK_EVERY === 0 && !values[index].equals(value)) throw new Error(`wrong read: key ${index}`);
  };
  let at = 0;
  const write = (key, value) => database.put(key, value);
  await concurrently(work, READS_IN_FLIGHT, WARM_UP_SECONDS, read);
  const reads = await concurrently(work, READS_IN_FLIGHT, seconds, read);
  const writes = await concurrently(work, 256, seconds, write);
  const [readsThen, writesThen] = await Promise.all([
    concurrently(work, READS_IN_FLIGHT, seconds, read),
    concurrently(work, 256, seconds, write),
  ]);
  await close();
  return {
    reads: reads.perSecond,
    writes: writes.perSecond,
    readsBesideWrites: readsThen.perSecond,
    writesBesideReads: writesThen.perSecond,
    readP50: readsThen.p50,
    readP99: readsThen.p99,
    writeP50: writesThen.p50,
    writeP99: writesThen.p99,
  };
}

/**
 * A million puts that nobody waits for between two of them: what timers and I/O of the program notice.
 * @param {Bench} bench @param {number} slice puts per turn of the event loop
 */
export async function queued({ open, work }, slice) {
  const { database, put, close } = await open('wal');
  const { keys, values, records } = work;
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 5);
  await delay(50);
  monitor.enable();
  const baseline = await idle(monitor);
  ticks = 0;
  monitor.reset();
  const began = performance.now();
  // Puts of one turn share promises; one of each is enough to wait for, and costs the program less than a million.
  const puts = new Set();
  let queuing = 0;
  for (let i = 0; i < QUEUED; ) {
    const start = performance.now();
    for (const end = Math.min(QUEUED, i + slice); i < end; i++) puts.add(put(keys[i % records], values[i % records]));
    queuing += performance.now() - start;
    if (slice >= QUEUED) monitor.reset(); // that turn was the program's own
    await new Promise((resolve) => setImmediate(resolve));
  }
  const waiting = database.stats().writes.inFlightBytes;
  await Promise.all(puts);
  const took = performance.now() - began;
  monitor.disable();
  clearInterval(ticking);
  await close();
  return {
    perSecond: QUEUED / (took / 1000),
    milliseconds: took,
    queuing,
    waitingBytes: waiting,
    delayP50: monitor.percentile(50) / 1e6,
    delayP99: monitor.percentile(99) / 1e6,
    delayMax: monitor.max / 1e6,
    idleP99: baseline,
    ticksPerSecond: ticks / (took / 1000),
  };
}

/** The delay that this machine has by itself. */
async function idle(monitor) {
  await delay(300);
  return monitor.percentile(99) / 1e6;
}

/**
 * A number of small durable batches by some callers, to be counted from outside.
 * @param {Bench} bench @param {number} callers @param {number} count
 */
export async function counted({ open, work }, callers, count) {
  const { database, close } = await open('fsync');
  const { keys, values, records } = work;
  let next = 0;
  const caller = async () => {
    for (let i = next++; i < count; i = next++) {
      await database.batch([
        { type: 'put', key: keys[i % records], value: values[i % records] },
        { type: 'put', key: keys[(i + 1) % records], value: values[(i + 1) % records] },
      ]);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const { groups, fsyncs } = database.stats().writes;
  await close();
  return { batches: count, groups, fsyncs };
}
