/**
 * How a trial measures: rates by benchmark.js, which repeats the work until its samples are long enough for the clock
 * and enough for a mean; latencies one by one into a histogram.
 */

import Benchmark from 'benchmark';
import { Histogram } from '../commit/histogram.mjs';
import { median } from '../peers/statistics.mjs';

/**
 * @typedef {object} Figure
 * @property {number} value the median of the samples, per second
 * @property {number} margin half of the 95% confidence interval of the samples' mean, as a share of it
 * @property {number} samples
 */

/**
 * Repeats `work`, which does `count` operations, and gives their rate.
 * @param {number} count @param {number} seconds at most, but for a last sample @param {() => unknown} work may return a
 *   promise, which is waited for
 * @returns {Promise<Figure>}
 */
export async function sampled(count, seconds, work) {
  await work();
  globalThis.gc?.();
  const asynchronous = work() instanceof Promise;
  return new Promise((resolve, reject) => {
    let failure;
    const fn = asynchronous
      ? (deferred) => {
          work().then(
            () => deferred.resolve(),
            (error) => {
              failure = error;
              benchmark.abort();
              deferred.resolve();
            },
          );
        }
      : work;
    const benchmark = new Benchmark('', fn, { defer: asynchronous, minSamples: 5, maxTime: seconds });
    benchmark.on('complete', () => {
      const { stats } = benchmark;
      if (failure ?? benchmark.error) return reject(failure ?? benchmark.error);
      const margin = stats.rme / 100;
      resolve({ value: count / median(stats.sample), margin, samples: stats.sample.length });
    });
    benchmark.on('error', () => reject(benchmark.error));
    benchmark.run({ async: true });
  });
}

/** One rate of a piece of work that can be done only once. @returns {Promise<Figure>} */
export async function once(count, work) {
  globalThis.gc?.();
  const began = performance.now();
  await work();
  return { value: count / ((performance.now() - began) / 1000), margin: 0, samples: 1 };
}

/** `width` callers, each awaiting its call before the next, for some seconds. @returns {Promise<Histogram>} */
export async function closedLoop(width, seconds, call) {
  const histogram = new Histogram();
  const end = performance.now() + seconds * 1000;
  const caller = async () => {
    for (let now = performance.now(); now < end; ) {
      await call();
      const after = performance.now();
      histogram.record(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: width }, caller));
  return histogram;
}

/** `count` calls of which `width` are always under way. */
export function window(count, width, call) {
  let next = 0;
  const worker = async () => {
    while (next < count) await call(next++);
  };
  return Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}
