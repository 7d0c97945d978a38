// Waiting for moments, never for durations: a slow machine waits longer and sees the same.

import { setTimeout as delay } from 'node:timers/promises';

/** Waits until what was written before this call with `ttl` milliseconds has expired. */
export async function expire(ttl: number): Promise<void> {
  const moment = Date.now() + ttl;
  // Timers may fire a little early, and the engine's clock has whole milliseconds.
  while (Date.now() <= moment + 1) await delay(Math.max(1, moment + 2 - Date.now()));
}

/** Lets everything that is ready run, such as the microtasks behind a promise. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
