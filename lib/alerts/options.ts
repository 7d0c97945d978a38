import { checkObject } from '../checks.ts';
import { invalid } from '../error.ts';

/** When alerts are raised. Each begins above its bound and is over well below it. `false` turns one off. */
export interface AlertOptions {
  /** P99 of puts, deletes and batches over the last ten seconds. Default 0.05. */
  writeP99Seconds?: number | false;
  /** P99 of syncs of the log over the last ten seconds. Default 0.1. */
  fsyncP99Seconds?: number | false;
  /** Of a memory budget, 0 to 1. Default 0.8. Memtables have their whole budget: they fill it before they are flushed. */
  memoryShare?: number | false;
  /** Of a disk, and of a tier's capacity, 0 to 1: a warning. Default 0.85. */
  diskShare?: number | false;
  /** The same: critical. Default 0.9. */
  diskCriticalShare?: number | false;
  /** How long writes may be stalled. Default 1. */
  stallSeconds?: number | false;
  /** The hot cache's share of the last minute's point reads, of which there must have been 1,000. Default 0.1. */
  cacheHitShare?: number | false;
  /** How long migration may stand still because of trouble such as a full tier. Default 60. */
  migrationSeconds?: number | false;
}

/** @internal With every default; `undefined`: off. */
export type AlertBounds = { [Name in keyof AlertOptions]-?: number | undefined };

const DEFAULTS: { [Name in keyof AlertOptions]-?: number } = {
  writeP99Seconds: 0.05,
  fsyncP99Seconds: 0.1,
  memoryShare: 0.8,
  diskShare: 0.85,
  diskCriticalShare: 0.9,
  stallSeconds: 1,
  cacheHitShare: 0.1,
  migrationSeconds: 60,
};

/** @internal @throws ERR_INVALID_ARGUMENT */
export function alertBounds(options: unknown): AlertBounds {
  const given = checkObject(options, new Set(Object.keys(DEFAULTS)), 'of alerts') ?? {};
  const bounds: Record<string, number | undefined> = {};
  for (const [name, standard] of Object.entries(DEFAULTS)) {
    const value = given[name] ?? standard;
    const most = name.endsWith('Share') ? 1 : Number.MAX_VALUE;
    if (value !== false && !(typeof value === 'number' && value > 0 && value <= most)) {
      throw invalid(`alerts.${name} must be ${most === 1 ? 'a share above 0, up to 1' : 'a number above 0'}, or false`);
    }
    bounds[name] = value === false ? undefined : value;
  }
  return bounds as AlertBounds;
}
