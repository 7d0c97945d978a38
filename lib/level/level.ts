import {
  type AbstractBatchOperation,
  type AbstractChainedBatch,
  type AbstractIterator,
  type AbstractKeyIterator,
  AbstractLevel,
  type AbstractSnapshot,
  type AbstractValueIterator,
} from 'abstract-level';
import type { Database } from '../database.ts';
import { invalid, ThermoclineError } from '../error.ts';
import { destroy, openWith } from '../open.ts';
import type { BatchOperation } from '../operations.ts';
import type { KeyRange } from '../range.ts';
import { LevelChainedBatch } from './chained-batch.ts';
import { type Format, type Formatted, formatOf, keyCodecs, valueCodecs } from './codecs.ts';
import { LevelIterator, LevelKeyIterator, LevelValueIterator } from './iterators.ts';
import {
  type LevelBatchOptions,
  type LevelChainedWriteOptions,
  type LevelClearOptions,
  type LevelDelOptions,
  type LevelIteratorOptions,
  type LevelKeyIteratorOptions,
  type LevelOpenOptions,
  type LevelOptions,
  type LevelPutOptions,
  type LevelStartEndOptions,
  type LevelValueIteratorOptions,
  type LevelWriteOptions,
  openOptionsOf,
  writeOptionsOf,
} from './options.ts';
import { LevelSnapshot } from './snapshot.ts';
import { rangeOf, type WalkOptions, walkEntries, walkKeys, walkValues } from './walk.ts';

type Store = Database<Formatted, Formatted>;

/** What abstract-level passes to the private methods of a database. */
interface FormattedOptions extends LevelWriteOptions {
  keyEncoding?: string;
  valueEncoding?: string;
  snapshot?: unknown;
  ttl?: number;
}

interface FormattedOperation extends FormattedOptions {
  type: 'put' | 'del';
  key: Formatted;
  value: Formatted;
}

/** How many keys `clear` deletes at a time where it has to look at them. */
const CLEAR_AT_ONCE = 1000;

const MANIFEST = {
  encodings: { buffer: true, utf8: true, view: true },
  has: true,
  getSync: true,
  seek: true,
  createIfMissing: true,
  errorIfExists: true,
  implicitSnapshots: true,
  explicitSnapshots: true,
  permanence: true,
  additionalMethods: { approximateSize: true, compactRange: true },
  signals: { iterators: true },
};

/**
 * Thermocline as a database of the Level ecosystem: an `AbstractLevel` of abstract-level 3, in the place of `ClassicLevel`.
 *
 * Keys and values of any encoding are stored as their bytes, so a database made here can be opened by Thermocline's own
 * `open` and the other way round.
 *
 * @template KDefault type of keys where an operation does not say otherwise
 * @template VDefault type of values where an operation does not say otherwise
 * @example
 * ```ts
 * import { ThermoclineLevel } from 'thermocline/level';
 *
 * const level = new ThermoclineLevel<string, object>('./level-data', { valueEncoding: 'json' });
 * const users = level.sublevel<string, { name: string }>('users', { valueEncoding: 'json' });
 * await users.put('1', { name: 'Kari' });
 * await level.close();
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: types alone, of methods that the class inherits
export class ThermoclineLevel<KDefault = string, VDefault = string> extends AbstractLevel<
  Formatted,
  KDefault,
  VDefault
> {
  readonly #location: string;
  #store: Store | undefined;
  /** The store in the other formats, made when they are first asked for. */
  readonly #readers = new Map<string, Store>();

  /**
   * Opens by itself on the next turn; operations wait for that.
   *
   * @param location path of the folder
   * @throws ERR_INVALID_ARGUMENT
   */
  constructor(location: string, options?: LevelOptions<KDefault, VDefault>) {
    if (typeof location !== 'string' || location === '') throw invalid('the location must be the path of a folder');
    super(structuredClone(MANIFEST), options as never);
    this.#location = location;
  }

  /** The path that the constructor was given. */
  get location(): string {
    return this.#location;
  }

  /**
   * The database beneath, whose keys and values are bytes: for what the Level interface has no words for, such as
   * `stats`, `tiers`, `topics`, `backup` and `transaction`. Closed by `close` of this object.
   *
   * @throws ERR_CLOSED unless `status` is `'open'`
   */
  get database(): Database<Buffer, Buffer> {
    return this.#open() as unknown as Database<Buffer, Buffer>;
  }

  /**
   * Estimates how many bytes the keys from `start` to `end`, without it, take on disk and in memory.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   */
  async approximateSize<K = KDefault>(start: K, end: K, options?: LevelStartEndOptions<K>): Promise<number> {
    if (this.status === 'opening') return this.deferAsync(() => this.approximateSize(start, end, options));
    return this.#open().approximateSize(this.#startEnd(start, end, options));
  }

  /**
   * Rewrites the keys from `start` to `end`, without it, so that the space of what was deleted comes back.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   */
  async compactRange<K = KDefault>(start: K, end: K, options?: LevelStartEndOptions<K>): Promise<void> {
    if (this.status === 'opening') return this.deferAsync(() => this.compactRange(start, end, options));
    return this.#open().compact(this.#startEnd(start, end, options));
  }

  /**
   * Deletes the database in a folder, and nothing else there.
   *
   * @throws ERR_LOCKED if it is open, ERR_INVALID_ARGUMENT if the folder holds something else
   */
  static destroy(location: string): Promise<void> {
    return destroy(location);
  }

  /** @internal */
  async _open(options: Record<string, unknown>): Promise<void> {
    this.#readers.clear();
    try {
      this.#store = await openWith(this.#location, openOptionsOf(options), keyCodecs.buffer, valueCodecs.buffer);
    } catch (error) {
      if (!(error instanceof ThermoclineError && error.code === 'ERR_NOT_FOUND')) throw error;
      // The words that programs written for Level look for.
      const message = `${this.#location} does not exist, or holds no database`;
      throw new ThermoclineError('ERR_NOT_FOUND', message, { cause: error });
    }
  }

  /** @internal */
  async _close(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
    this.#readers.clear();
  }

  /** @internal */
  _put(key: Formatted, value: Formatted, options: FormattedOptions): Promise<void> {
    const own = writeOptionsOf(options);
    if (options.ttl === undefined) return this.#open().put(key, value, own);
    return this.#open().put(key, value, { ...own, ttl: options.ttl });
  }

  /** @internal */
  _del(key: Formatted, options: FormattedOptions): Promise<void> {
    return this.#open().delete(key, writeOptionsOf(options));
  }

  /** @internal */
  _get(key: Formatted, options: FormattedOptions): Promise<Formatted | undefined> {
    return this.#reader('buffer', formatOf(options.valueEncoding)).get(key, momentOf(options));
  }

  /** @internal */
  _getSync(key: Formatted, options: FormattedOptions): Formatted | undefined {
    return this.#reader('buffer', formatOf(options.valueEncoding)).getSync(key, momentOf(options));
  }

  /** @internal */
  _getMany(keys: Formatted[], options: FormattedOptions): Promise<(Formatted | undefined)[]> {
    return this.#reader('buffer', formatOf(options.valueEncoding)).getMany(keys, momentOf(options));
  }

  /** @internal */
  _has(key: Formatted, options: FormattedOptions): Promise<boolean> {
    return this.#open().has(key, momentOf(options));
  }

  /** @internal */
  _hasMany(keys: Formatted[], options: FormattedOptions): Promise<boolean[]> {
    return this.#open().hasMany(keys, momentOf(options));
  }

  /** @internal */
  _batch(operations: FormattedOperation[], options: FormattedOptions): Promise<void> {
    const own = operations.map(({ type, key, value, ttl }): BatchOperation<Formatted, Formatted> => {
      if (type === 'del') return { type, key };
      return ttl === undefined ? { type, key, value } : { type, key, value, ttl };
    });
    return this.#open().batch(own, writeOptionsOf(options));
  }

  /** @internal */
  _chainedBatch(): AbstractChainedBatch<this, KDefault, VDefault> {
    return new LevelChainedBatch(this, this.#open()) as never;
  }

  /** @internal */
  async _clear(options: WalkOptions): Promise<void> {
    const store = this.#open();
    const { reverse, limit, snapshot, ...range } = rangeOf(options);
    if (options.limit < 0 && snapshot === undefined) return store.deleteRange(range);
    const keys = store.keys({ ...rangeOf(options), fillCache: false });
    try {
      let found = await keys.nextMany(CLEAR_AT_ONCE);
      while (found.length > 0) {
        await store.batch(found.map((key) => ({ type: 'del', key })));
        found = await keys.nextMany(CLEAR_AT_ONCE);
      }
    } finally {
      await keys.close();
    }
  }

  /** @internal */
  _iterator(options: WalkOptions): AbstractIterator<this, KDefault, VDefault> {
    const reader = this.#reader(formatOf(options.keyEncoding), formatOf(options.valueEncoding));
    return new LevelIterator(this, walkEntries(reader, options), options);
  }

  /** @internal */
  _keys(options: WalkOptions): AbstractKeyIterator<this, KDefault> {
    const reader = this.#reader(formatOf(options.keyEncoding), 'buffer');
    return new LevelKeyIterator(this, walkKeys(reader, options), options);
  }

  /** @internal */
  _values(options: WalkOptions): AbstractValueIterator<this, KDefault, VDefault> {
    const reader = this.#reader('buffer', formatOf(options.valueEncoding));
    return new LevelValueIterator(this, walkValues(reader, options), options);
  }

  /** @internal */
  _snapshot(options: object): AbstractSnapshot {
    return new LevelSnapshot(options, this.#open().snapshotNow() as never);
  }

  #open(): Store {
    if (this.#store === undefined) {
      throw new ThermoclineError('ERR_CLOSED', `the database is ${this.status === 'open' ? 'closed' : this.status}`);
    }
    return this.#store;
  }

  #reader(keys: Format, values: Format): Store {
    if (keys === 'buffer' && values === 'buffer') return this.#open();
    const name = keys + values;
    let reader = this.#readers.get(name);
    if (reader === undefined) {
      reader = this.#open().readAs(keyCodecs[keys], valueCodecs[values]);
      this.#readers.set(name, reader);
    }
    return reader;
  }

  #startEnd<K>(start: K, end: K, options: LevelStartEndOptions<K> | undefined): KeyRange<Formatted> {
    if (start === undefined || end === undefined) throw invalid('both a start and an end are needed');
    const encoding = this.keyEncoding(options?.keyEncoding as never);
    const encode = (key: K) =>
      this.prefixKey(encoding.encode(key as never) as Buffer, encoding.format as 'buffer', true);
    return { gte: encode(start), lt: encode(end) };
  }
}

function momentOf(options: { snapshot?: unknown }): { snapshot: ReturnType<typeof LevelSnapshot.of> } | undefined {
  const { snapshot } = options;
  return snapshot === undefined || snapshot === null ? undefined : { snapshot: LevelSnapshot.of(snapshot) };
}

type Operation<D, K, V> = AbstractBatchOperation<D, K, V> & { ttl?: number };

/** A chained batch, with this store's options. */
interface ChainedBatch<TDatabase, K, V> extends AbstractChainedBatch<TDatabase, K, V> {
  write(options?: LevelChainedWriteOptions): Promise<void>;
}

export interface ThermoclineLevel<KDefault, VDefault> {
  open(options?: LevelOpenOptions): Promise<void>;
  // Without options the defaults' types hold; options may bring other encodings, and so other types.
  put(key: KDefault, value: VDefault): Promise<void>;
  put<K = KDefault, V = VDefault>(key: K, value: V, options: LevelPutOptions<K, V>): Promise<void>;
  del(key: KDefault): Promise<void>;
  del<K = KDefault>(key: K, options: LevelDelOptions<K>): Promise<void>;
  batch(operations: Operation<this, KDefault, VDefault>[]): Promise<void>;
  batch<K = KDefault, V = VDefault>(
    operations: Operation<this, K, V>[],
    options: LevelBatchOptions<K, V>,
  ): Promise<void>;
  batch(): ChainedBatch<this, KDefault, VDefault>;
  clear<K = KDefault>(options?: LevelClearOptions<K>): Promise<void>;
  iterator<K = KDefault, V = VDefault>(options?: LevelIteratorOptions<K, V>): AbstractIterator<this, K, V>;
  keys<K = KDefault>(options?: LevelKeyIteratorOptions<K>): AbstractKeyIterator<this, K>;
  values<K = KDefault, V = VDefault>(options?: LevelValueIteratorOptions<K, V>): AbstractValueIterator<this, K, V>;
}
