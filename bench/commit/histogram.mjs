/** Latencies in buckets of about 3%, so that millions of them cost nothing to keep. */

const STEPS = 5; // bits below the leading one
const BUCKETS = 32 << STEPS;
const SHARES = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1];

export class Histogram {
  #counts = new Uint32Array(BUCKETS);
  #total = 0;

  /** @param {number} milliseconds */
  record(milliseconds) {
    const nanos = Math.min(milliseconds * 1e5, 0x7fffffff) | 0; // tens of nanoseconds: 21 seconds at most
    const top = 31 - Math.clz32(nanos | 1);
    const index = top <= STEPS ? nanos : ((top - STEPS) << STEPS) + (nanos >>> (top - STEPS));
    this.#counts[index]++;
    this.#total++;
  }

  get count() {
    return this.#total;
  }

  /** @param {number} share such as 0.99 @returns {number} milliseconds, the middle of the bucket */
  quantile(share) {
    let left = Math.ceil(this.#total * share);
    for (let index = 0; index < BUCKETS; index++) {
      left -= this.#counts[index];
      if (left > 0 || this.#total === 0) continue;
      const shift = Math.max(0, (index >>> STEPS) - 1);
      const from = shift === 0 ? index : ((index & ((1 << STEPS) - 1)) | (1 << STEPS)) << shift;
      return (from + (1 << shift) / 2) / 1e5;
    }
    return Number.NaN;
  }

  /** @returns {{ count: number, quantiles: [share: number, milliseconds: number][] }} for a chart */
  distribution() {
    return { count: this.#total, quantiles: SHARES.map((share) => [share, this.quantile(share)]) };
  }

  /** @returns {{ p50: number, p95: number, p99: number }} milliseconds */
  summary() {
    return { p50: this.quantile(0.5), p95: this.quantile(0.95), p99: this.quantile(0.99) };
  }
}
