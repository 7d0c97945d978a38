import type { EventEmitter } from 'node:events';
import type { Stats } from '../stats.ts';
import type { Alert } from './alert.ts';
import type { AlertBounds } from './options.ts';
import { AlertRules } from './rules.ts';

/** How often statistics are looked at while somebody listens for alerts. */
const INTERVAL_MS = 1000;

/** Looks at the statistics every second while 'alert' has listeners. Does not keep the process alive. */
export class AlertWatch {
  readonly #events: EventEmitter<Record<string, [event: string]>>;
  readonly #bounds: AlertBounds;
  #rules: AlertRules;
  readonly #stats: () => Stats;
  readonly #tell: (alert: Alert) => void;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(events: EventEmitter, bounds: AlertBounds, stats: () => Stats, tell: (alert: Alert) => void) {
    this.#events = events as never;
    this.#bounds = bounds;
    this.#rules = new AlertRules(bounds);
    this.#stats = stats;
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
      for (const alert of this.#rules.check(this.#stats())) process.nextTick(this.#tell, alert);
    }, INTERVAL_MS).unref();
  };

  readonly #onRemoved = (event: string): void => {
    if (event === 'alert' && this.#events.listenerCount('alert') === 0) this.#stop();
  };

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#rules = new AlertRules(this.#bounds); // whoever listens next is told what is the matter then
  }
}
