import type { Alert } from '../alerts/alert.ts';
import type { AlertBounds } from '../alerts/options.ts';
import { AlertRules } from '../alerts/rules.ts';
import type { Stats } from '../stats.ts';

/** @internal What the charts show of one second; null: there was nothing to measure. */
export interface Point {
  /** Unix milliseconds. */
  at: number;
  reads: number;
  writes: number;
  /** Seconds. */
  readP50: number | null;
  readP99: number | null;
  writeP50: number | null;
  writeP99: number | null;
  fsyncP99: number | null;
  /** 0 to 1. */
  hotCacheHits: number | null;
  blockCacheHits: number | null;
  /** Bytes that left a tier for another, a second. */
  moved: number;
  stallSeconds: number;
}

/** @internal One second of a database, as the live page gets it. */
export interface Frame {
  point: Point;
  stats: Stats;
  /** What is the matter now. */
  alerts: Alert[];
}

/** Alerts that are over are shown for a while. */
const KEPT_OVER = 50;
const KEPT_POINTS = 300;

/** @internal Looks at a database's statistics second by second, and keeps five minutes of them for those who come later. */
export class Frames {
  readonly #stats: () => Stats;
  readonly #rules: AlertRules;
  readonly #points: Point[] = [];
  readonly #over: Alert[] = [];
  #moved: number | undefined;
  #last: Frame | undefined;

  constructor(stats: () => Stats, bounds: AlertBounds) {
    this.#stats = stats;
    this.#rules = new AlertRules(bounds);
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Alerts that have ended, the latest first. */
  get over(): readonly Alert[] {
    return this.#over;
  }

  get active(): readonly Alert[] {
    return this.#rules.active;
  }

  get last(): Frame | undefined {
    return this.#last;
  }

  /** @throws ERR_CLOSED */
  take(now = Date.now()): Frame {
    const stats = this.#stats();
    for (const alert of this.#rules.check(stats, now)) if (!alert.active) this.#over.unshift(alert);
    this.#over.length = Math.min(this.#over.length, KEPT_OVER);
    const moved = stats.tiers.reduce((sum, tier) => sum + tier.movedOutBytes, 0);
    const point = pointOf(stats, now, Math.max(0, moved - (this.#moved ?? moved)));
    this.#moved = moved;
    this.#points.push(point);
    if (this.#points.length > KEPT_POINTS) this.#points.shift();
    this.#last = { point, stats, alerts: this.#rules.active };
    return this.#last;
  }
}

function pointOf(stats: Stats, at: number, moved: number): Point {
  const last = stats.rates['1s'];
  const recent = stats.rates['10s'];
  const { get, getMany, put, batch, fsync } = recent.latencySeconds;
  const of = (a: { count: number }, value: number) => (a.count === 0 ? null : value);
  const reads = get.count > 0 ? get : getMany;
  const writes = put.count > 0 ? put : batch;
  return {
    at,
    reads: last.readRecordsPerSecond,
    writes: last.writtenRecordsPerSecond,
    readP50: of(reads, reads.p50),
    readP99: of(reads, reads.p99),
    writeP50: of(writes, writes.p50),
    writeP99: of(writes, writes.p99),
    fsyncP99: of(fsync, fsync.p99),
    hotCacheHits: recent.hotCacheHitShare ?? null,
    blockCacheHits: recent.blockCacheHitShare ?? null,
    moved,
    stallSeconds: last.stallSeconds,
  };
}
