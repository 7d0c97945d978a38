import { checkObject } from './checks.ts';
import { invalid } from './error.ts';
import { parseSize, type Size } from './size.ts';

/** How much of the log is kept for `db.changes()`. A log file goes when either is exceeded. */
export interface ChangesOptions {
  /** Bytes of log, in whole files. Default 1 GB, or no bound if `ms` is given. */
  bytes?: Size;
  /** Milliseconds, rounded up to seconds. Default: no bound. */
  ms?: number;
}

/** @internal What the engine is told: `undefined` as before, `false`, or the bounds. */
export function checkChanges(value: unknown): false | { bytes?: number; ms?: number } | undefined {
  if (value === undefined || value === false) return value;
  if (value === true) return {};
  if (typeof value !== 'object' || value === null) {
    throw invalid('changes must be true, false, or { bytes, ms }: how much of the log is kept');
  }
  const { bytes, ms } = checkObject(value, new Set(['bytes', 'ms']), 'of changes') as ChangesOptions;
  const checked: { bytes?: number; ms?: number } = {};
  if (bytes !== undefined) {
    checked.bytes = parseSize(bytes, 'changes.bytes');
    if (checked.bytes < 1024 * 1024) throw invalid('changes.bytes must be at least 1MB');
  }
  if (ms !== undefined) {
    if (!Number.isSafeInteger(ms) || ms < 1) throw invalid('changes.ms must be a whole number, at least 1');
    checked.ms = ms;
  }
  return checked;
}
