import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from 'abstract-level';
import type { Formatted } from './codecs.ts';
import type { Walk } from './walk.ts';

type Base = new (db: never, options: never) => object;
type WalkingIterator = new (db: object, walk: Walk<unknown>, options: object) => never;

/** The private methods that abstract-level asks of an iterator, by a walk. */
function walking(base: Base): WalkingIterator {
  class Walking extends base {
    readonly #walk: Walk<unknown>;

    /** @param walk made before abstract-level hears of the iterator, so that a failure leaves nothing to close */
    constructor(db: object, walk: Walk<unknown>, options: object) {
      super(db as never, options as never);
      this.#walk = walk;
    }

    _next(): Promise<unknown> {
      return this.#walk.next();
    }

    _nextv(size: number): Promise<unknown[]> {
      return this.#walk.nextMany(size);
    }

    _seek(target: Formatted): void {
      this.#walk.seek(target);
    }

    _close(): Promise<void> {
      return this.#walk.close();
    }
  }
  return Walking as never;
}

/** @internal */
export const LevelIterator: WalkingIterator = walking(AbstractIterator);
/** @internal */
export const LevelKeyIterator: WalkingIterator = walking(AbstractKeyIterator);
/** @internal */
export const LevelValueIterator: WalkingIterator = walking(AbstractValueIterator);
