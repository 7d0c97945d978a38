import type { EventEmitter } from 'node:events';
import type { Stats } from './stats.ts';
import type { FullTier } from './tiers.ts';

/** Something an operator should look at, or that is over. */
export interface Alert {
  /** What kind of trouble. */
  name: 'memory' | 'space';
  /** Whose: the part of the engine that it is about, or the tier that is full. */
  subject: string;
  /** `true` when it begins, `false` when it is over. */
  active: boolean;
  /**
   * What was measured, and the bound it crossed, in `unit`. Of `'space'`: what is free on the tier's disk, and for hot
   * what must stay free; a tier may also be full because it has reached its `capacity`.
   */
  value: number;
  threshold: number;
  unit: 'bytes';
  /** One sentence for people: what it means and what to do. */
  cause: string;
}

interface Rule {
  name: Alert['name'];
  subject: string;
  unit: Alert['unit'];
  value(stats: Stats): number;
  threshold(stats: Stats): number;
  cause: string;
}

/** The share of its threshold that a value must fall below before its alert is over: no flicker around the bound. */
const OVER_BELOW = 0.8;

const RULES: readonly Rule[] = [
  {
    name: 'memory',
    subject: 'memtables',
    unit: 'bytes',
    value: (stats) => stats.memory.memtableBytes,
    threshold: (stats) => stats.memory.memtableBudgetBytes,
    cause: 'writes arrive faster than they are flushed to disk: raise memory.writeBuffer, or write less at once',
  },
  {
    name: 'memory',
    subject: 'blockCache',
    unit: 'bytes',
    value: (stats) => stats.memory.blockCachePinnedBytes,
    threshold: (stats) => 0.8 * stats.memory.blockCacheCapacityBytes,
    cause: 'most of the block cache is held by open iterators and reads: close iterators, or raise memory.blockCache',
  },
  {
    name: 'memory',
    subject: 'transactions',
    unit: 'bytes',
    value: (stats) => stats.memory.transactionBytes,
    threshold: (stats) => 0.8 * stats.memory.transactionBudgetBytes,
    cause: 'a transaction is open for long while much is written: beyond the limit the oldest fails with ERR_CONFLICT',
  },
  {
    name: 'memory',
    subject: 'writes',
    unit: 'bytes',
    value: (stats) => stats.writes.inFlightBytes,
    threshold: (stats) => 0.8 * stats.writes.inFlightLimitBytes,
    cause:
      "writes are queued faster than they are applied: await them or wait for 'drain', else ERR_BACKPRESSURE follows",
  },
];

/** Compares statistics with the rules, and tells what has begun and what is over since the last call. */
export class AlertRules {
  readonly #active = new Set<Rule>();

  check(stats: Stats): Alert[] {
    const changes: Alert[] = [];
    for (const rule of RULES) {
      const value = rule.value(stats);
      const threshold = rule.threshold(stats);
      const was = this.#active.has(rule);
      const active = value > 0 && (was ? value >= OVER_BELOW * threshold : value > threshold);
      if (active === was) continue;
      if (active) this.#active.add(rule);
      else this.#active.delete(rule);
      const { name, subject, unit, cause } = rule;
      changes.push({ name, subject, active, value, threshold, unit, cause });
    }
    return changes;
  }
}

/** Tells which tiers have become full since the last call, and which have room again. */
export class SpaceAlerts {
  readonly #full = new Map<string, FullTier>();

  check(full: readonly FullTier[]): Alert[] {
    const changes: Alert[] = [];
    const alert = ({ tier, freeBytes, reserveBytes, cause }: FullTier, active: boolean): void => {
      const [value, threshold] = [freeBytes, reserveBytes];
      changes.push({ name: 'space', subject: tier, active, value, threshold, unit: 'bytes', cause });
    };
    for (const [tier, last] of this.#full) {
      if (full.some((one) => one.tier === tier)) continue;
      this.#full.delete(tier);
      alert(last, false);
    }
    for (const one of full) {
      if (!this.#full.has(one.tier)) alert(one, true);
      this.#full.set(one.tier, one);
    }
    return changes;
  }
}

/** How often statistics are looked at while somebody listens for alerts. */
const INTERVAL_MS = 1000;

/** Looks at the statistics every second while 'alert' has listeners. Does not keep the process alive. */
export class AlertWatch {
  readonly #events: EventEmitter<Record<string, [event: string]>>;
  #rules = new AlertRules();
  #space = new SpaceAlerts();
  readonly #stats: () => Stats;
  readonly #fullTiers: () => FullTier[];
  readonly #tell: (alert: Alert) => void;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(events: EventEmitter, stats: () => Stats, fullTiers: () => FullTier[], tell: (alert: Alert) => void) {
    this.#events = events as never;
    this.#stats = stats;
    this.#fullTiers = fullTiers;
    this.#tell = tell;
  }

  /** Follows the listeners that come and go. Again after all listeners were removed, these among them. */
  attach(): void {
    if (this.#ended) return;
    this.#events.off('newListener', this.#onNew).on('newListener', this.#onNew);
    this.#events.off('removeListener', this.#onRemoved).on('removeListener', this.#onRemoved);
    this.#onRemoved('alert');
  }

  /** For good: the database is closing. */
  end(): void {
    this.#ended = true;
    this.#events.off('newListener', this.#onNew);
    this.#stop();
  }

  readonly #onNew = (event: string): void => {
    if (event !== 'alert') return;
    this.#timer ??= setInterval(() => {
      // Each on its own: a listener that throws does not keep the others from being told.
      for (const alert of [...this.#rules.check(this.#stats()), ...this.#space.check(this.#fullTiers())]) {
        process.nextTick(this.#tell, alert);
      }
    }, INTERVAL_MS).unref();
  };

  readonly #onRemoved = (event: string): void => {
    if (event === 'alert' && this.#events.listenerCount('alert') === 0) this.#stop();
  };

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#space = new SpaceAlerts();
    this.#rules = new AlertRules(); // whoever listens next is told what is the matter then
  }
}
