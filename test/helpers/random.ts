// Reproducible randomness: one seed per test process, printed when a test fails.

import { randomInt } from 'node:crypto';

/** THERMOCLINE_TEST_SEED repeats a run. */
export const SEED: number = Number(process.env.THERMOCLINE_TEST_SEED ?? randomInt(2 ** 31));
/** THERMOCLINE_TEST_RUNS multiplies the work of the randomised tests; 1 is meant for every commit. */
export const RUNS: number = Number(process.env.THERMOCLINE_TEST_RUNS ?? 1);

/** xorshift32: enough to spread, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number = SEED) {
    this.#state = (seed ^ 0x9e3779b9) | 0 || 1;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % below;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }
}

/** Runs a randomised test; its failure names the seed. */
export async function seeded(body: (random: Random) => Promise<void>): Promise<void> {
  try {
    await body(new Random());
  } catch (error) {
    if (error instanceof Error) error.message += `\n(THERMOCLINE_TEST_SEED=${SEED} repeats this)`;
    throw error;
  }
}
