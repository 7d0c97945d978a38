import type { DatabaseIterator } from '../iterator.ts';
import type { Formatted } from './codecs.ts';

/** What abstract-level rejects with when a signal is aborted; it exports no class of its own. */
class AbortError extends Error {
  readonly code = 'LEVEL_ABORTED';

  override get name(): string {
    return 'AbortError';
  }
}

/** @internal What the three kinds of iterators share: a walk of the engine that a signal may break off. */
export class Walk<T> {
  readonly #iterator: DatabaseIterator<Formatted, Formatted, T>;
  readonly #signal: AbortSignal | undefined;

  constructor(iterator: DatabaseIterator<Formatted, Formatted, T>, signal: AbortSignal | undefined) {
    this.#iterator = iterator;
    this.#signal = signal ?? undefined;
  }

  next(): Promise<T | undefined> {
    return this.#unlessAborted(this.#iterator.next());
  }

  nextMany(count: number): Promise<T[]> {
    return this.#unlessAborted(this.#iterator.nextMany(count));
  }

  seek(target: Formatted): void {
    this.#iterator.seek(target);
  }

  close(): Promise<void> {
    return this.#iterator.close();
  }

  #unlessAborted<R>(read: Promise<R>): Promise<R> {
    const signal = this.#signal;
    if (signal === undefined) return read;
    return new Promise<R>((resolve, reject) => {
      const abort = () => reject(new AbortError('Operation has been aborted', { cause: signal.reason }));
      signal.addEventListener('abort', abort, { once: true });
      read.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }
}
