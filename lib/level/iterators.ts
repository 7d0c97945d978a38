import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from 'abstract-level';
import type { Database } from '../database.ts';
import type { IteratorOptions } from '../operations.ts';
import type { Formatted } from './codecs.ts';
import { LevelSnapshot } from './snapshot.ts';
import { Walk } from './walk.ts';

/** @internal As abstract-level hands them over. */
export interface FormattedIteratorOptions {
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
type Entry = [key: Formatted | undefined, value: Formatted | undefined];

function rangeOf(options: FormattedIteratorOptions): IteratorOptions<Formatted, Formatted> {
  const { gt, gte, lt, lte, reverse, limit, fillCache, snapshot } = options;
  const range: Record<string, unknown> = { gt, gte, lt, lte, reverse, limit, fillCache };
  if (snapshot !== undefined && snapshot !== null) range.snapshot = LevelSnapshot.of(snapshot);
  return range as IteratorOptions<Formatted, Formatted>;
}

/** @internal */
export class LevelIterator<K, V> extends AbstractIterator<unknown, K, V> {
  readonly #next: () => Promise<Entry | undefined>;
  readonly #nextMany: (count: number) => Promise<Entry[]>;
  readonly #walk: Pick<Walk<unknown>, 'seek' | 'close'>;

  constructor(db: unknown, reader: Reader, options: FormattedIteratorOptions) {
    super(db as never, options as never);
    const { signal } = options;
    // Neither keys nor values: only their number counts.
    if (options.values === false) {
      const walk = new Walk<Formatted>(reader.keys(rangeOf(options)), signal);
      this.#walk = walk;
      this.#next = async () => {
        const key = await walk.next();
        return key === undefined ? undefined : [key, undefined];
      };
      this.#nextMany = async (count) => (await walk.nextMany(count)).map((key) => [key, undefined]);
    } else if (options.keys === false) {
      const walk = new Walk<Formatted>(reader.values(rangeOf(options)), signal);
      this.#walk = walk;
      this.#next = async () => {
        const value = await walk.next();
        return value === undefined ? undefined : [undefined, value];
      };
      this.#nextMany = async (count) => (await walk.nextMany(count)).map((value) => [undefined, value]);
    } else {
      const walk = new Walk<[Formatted, Formatted]>(reader.iterator(rangeOf(options)), signal);
      this.#walk = walk;
      this.#next = () => walk.next();
      this.#nextMany = (count) => walk.nextMany(count);
    }
  }

  /** @internal */
  _next(): Promise<Entry | undefined> {
    return this.#next();
  }

  /** @internal */
  _nextv(size: number): Promise<Entry[]> {
    return this.#nextMany(size);
  }

  /** @internal */
  _seek(target: Formatted): void {
    this.#walk.seek(target);
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close();
  }
}

/** @internal */
export class LevelKeyIterator<K> extends AbstractKeyIterator<unknown, K> {
  readonly #walk: Walk<Formatted>;

  constructor(db: unknown, reader: Reader, options: FormattedIteratorOptions) {
    super(db as never, options as never);
    this.#walk = new Walk(reader.keys(rangeOf(options)), options.signal);
  }

  /** @internal */
  _next(): Promise<Formatted | undefined> {
    return this.#walk.next();
  }

  /** @internal */
  _nextv(size: number): Promise<Formatted[]> {
    return this.#walk.nextMany(size);
  }

  /** @internal */
  _seek(target: Formatted): void {
    this.#walk.seek(target);
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close();
  }
}

/** @internal */
export class LevelValueIterator<K, V> extends AbstractValueIterator<unknown, K, V> {
  readonly #walk: Walk<Formatted>;

  constructor(db: unknown, reader: Reader, options: FormattedIteratorOptions) {
    super(db as never, options as never);
    this.#walk = new Walk(reader.values(rangeOf(options)), options.signal);
  }

  /** @internal */
  _next(): Promise<Formatted | undefined> {
    return this.#walk.next();
  }

  /** @internal */
  _nextv(size: number): Promise<Formatted[]> {
    return this.#walk.nextMany(size);
  }

  /** @internal */
  _seek(target: Formatted): void {
    this.#walk.seek(target);
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close();
  }
}
