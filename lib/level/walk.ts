import type { Database } from '../database.ts';
import type { DatabaseIterator } from '../iterator.ts';
import type { IteratorOptions } from '../operations.ts';
import type { Formatted } from './codecs.ts';
import { LevelSnapshot } from './snapshot.ts';

/** @internal Options of iterators as abstract-level hands them over. */
export interface WalkOptions {
  gt?: Formatted;
  gte?: Formatted;
  lt?: Formatted;
  lte?: Formatted;
  reverse: boolean;
  limit: number;
  keys?: boolean;
  values?: boolean;
  keyEncoding: string;
  valueEncoding: string;
  fillCache?: boolean;
  signal?: AbortSignal;
  snapshot?: unknown;
}

type Reader = Database<Formatted, Formatted>;

/** What abstract-level rejects with when a signal is aborted; it exports no class of its own. */
class AbortError extends Error {
  readonly code = 'LEVEL_ABORTED';

  override get name(): string {
    return 'AbortError';
  }
}

/** @internal A walk of the engine that a signal may break off. */
export class Walk<T> {
  readonly #iterator: DatabaseIterator<Formatted, Formatted, unknown>;
  readonly #signal: AbortSignal | undefined;
  /** Makes of a record in the engine's form what abstract-level expects. */
  readonly #shape: ((record: unknown) => T) | undefined;

  constructor(
    iterator: DatabaseIterator<Formatted, Formatted, unknown>,
    signal: AbortSignal | undefined,
    shape?: (record: unknown) => T,
  ) {
    this.#iterator = iterator;
    this.#signal = signal ?? undefined;
    this.#shape = shape;
  }

  next(): Promise<T | undefined> {
    const shape = this.#shape;
    const next = this.#unlessAborted(this.#iterator.next());
    if (shape === undefined) return next as Promise<T | undefined>;
    return next.then((record) => (record === undefined ? undefined : shape(record)));
  }

  nextMany(count: number): Promise<T[]> {
    const shape = this.#shape;
    const next = this.#unlessAborted(this.#iterator.nextMany(count));
    return shape === undefined ? (next as Promise<T[]>) : next.then((records) => records.map(shape));
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

/** @internal abstract-level lets `gte` and `lte` win where both are given; in Thermocline bounds combine. */
export function rangeOf(options: WalkOptions): IteratorOptions<Formatted, Formatted> {
  const { gt, gte, lt, lte, reverse, limit, fillCache, snapshot } = options;
  const range: IteratorOptions<Formatted, Formatted> = { reverse, limit };
  if (gte !== undefined) range.gte = gte;
  else if (gt !== undefined) range.gt = gt;
  if (lte !== undefined) range.lte = lte;
  else if (lt !== undefined) range.lt = lt;
  if (fillCache !== undefined) range.fillCache = fillCache;
  if (snapshot !== undefined && snapshot !== null) range.snapshot = LevelSnapshot.of(snapshot);
  return range;
}

/** @internal */
export function walkEntries(reader: Reader, options: WalkOptions): Walk<unknown> {
  const { signal } = options;
  const range = rangeOf(options);
  if (options.values === false) return new Walk(reader.keys(range), signal, (key) => [key, undefined]);
  if (options.keys === false) return new Walk(reader.values(range), signal, (value) => [undefined, value]);
  return new Walk(reader.iterator(range), signal);
}

/** @internal */
export function walkKeys(reader: Reader, options: WalkOptions): Walk<unknown> {
  return new Walk(reader.keys(rangeOf(options)), options.signal);
}

/** @internal */
export function walkValues(reader: Reader, options: WalkOptions): Walk<unknown> {
  return new Walk(reader.values(rangeOf(options)), options.signal);
}
