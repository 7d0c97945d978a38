import type { Stats } from '../stats.ts';
import type { Alert } from './alert.ts';
import { type AlertBounds, alertBounds } from './options.ts';
import { type Reading, readings } from './readings.ts';

/** Compares statistics with the bounds, and tells what has begun and what is over since the last call. */
export class AlertRules {
  readonly #bounds: AlertBounds;
  readonly #active = new Map<string, Alert>();
  #troubleSince: number | undefined;

  constructor(bounds: AlertBounds = alertBounds(undefined)) {
    this.#bounds = bounds;
  }

  /** What is the matter now, the oldest first. */
  get active(): Alert[] {
    return [...this.#active.values()];
  }

  /** @param now Unix milliseconds */
  check(stats: Stats, now = Date.now()): Alert[] {
    if (stats.migration.trouble === undefined) this.#troubleSince = undefined;
    else this.#troubleSince ??= now;
    const troubleSeconds = this.#troubleSince === undefined ? 0 : (now - this.#troubleSince) / 1000;
    const changes: Alert[] = [];
    for (const reading of readings(stats, this.#bounds, troubleSeconds)) {
      const key = `${reading.name} ${reading.subject} ${reading.severity}`;
      const was = this.#active.get(key);
      const active = isTrouble(reading, was !== undefined);
      if (!active && was === undefined) continue;
      const alert = alertOf(reading, active, was?.since ?? new Date(now));
      if (active) this.#active.set(key, alert);
      else this.#active.delete(key);
      if (active !== (was !== undefined)) changes.push(alert);
    }
    return changes;
  }
}

function isTrouble({ value, threshold, over, below }: Reading, was: boolean): boolean {
  if (below) return was ? value <= over : value < threshold;
  return value > 0 && (was ? value >= over : value > threshold);
}

function alertOf({ over: _over, below: _below, ...reading }: Reading, active: boolean, since: Date): Alert {
  return { ...reading, active, since };
}
