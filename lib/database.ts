import type { Readable, Writable } from 'node:stream';
import { type AlertBounds, alertBounds } from './alerts/options.ts';
import { Batch, type BatchOptions } from './batch.ts';
import { ChangeFeed, type ChangeFeedOptions, checkFeedOptions } from './changes.ts';
import { checkObject } from './checks.ts';
import { writeConditional, writeIfHeld } from './conditional-writes.ts';
import { type Condition, checkCondition, hasConditions } from './conditions.ts';
import { cursorRequest } from './cursor-request.ts';
import { call, takeError } from './dispatcher.ts';
import type { CommitHandle, Durability, WriteOptions } from './durability.ts';
import { bufferKeys, bufferValues, type KeyCodec, type ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import { DatabaseIterator, type Projection } from './iterator.ts';
import { Maintenance } from './maintenance.ts';
import type { NativeDatabase } from './native.ts';
import type {
  BatchOperation,
  BatchPut,
  BatchWriteOptions,
  IteratorOptions,
  PutOptions,
  ReadOptions,
  TransactionOptions,
} from './operations.ts';
import { boundsOf, type KeyRange, rangeArgument } from './range.ts';
import { Reads } from './reads.ts';
import { Shards } from './shards.ts';
import { handleOf, Snapshot, snapshotOf } from './snapshot.ts';
import { readStream, writeStream } from './streams.ts';
import { Tiers } from './tiers.ts';
import { Topics } from './topics/topics.ts';
import { DEFAULT_RETRIES, retrying, type Transaction, type TransactionSource } from './transaction.ts';
import { Writes } from './writes.ts';

/** Where a database stands. `open()` resolves with one that is open. */
export type Status = 'open' | 'closing' | 'closed';

const WRITE_NAMES = new Set(['durability', 'signal']);
const BATCH_NAMES = new Set([...WRITE_NAMES, 'messages']);
const TRANSACTION_NAMES = new Set([...WRITE_NAMES, 'retries']);

/**
 * An open database. Made by `open()`.
 *
 * A read sees every write whose promise has resolved. Keys and values are copied before a method returns, so buffers may
 * be reused at once. Buffers that reads return belong to the caller.
 */
export class Database<K = string, V = Buffer> extends Maintenance<K> {
  /** What the database is divided into: figures of each part, and walks by slot. */
  readonly shards: Shards<K, V>;
  /** The hot, warm and cold stores. */
  readonly tiers: Tiers<K, V>;
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #reads: Reads<K, V>;
  readonly #bytes: Reads<Buffer, Buffer>;
  readonly #writes: Writes<K, V>;
  #topics: Topics<K, V> | undefined;
  readonly #feeds = new Set<ChangeFeed<K, V>>();
  readonly #readers: Database<never, never>[] = [];
  #status: Status = 'open';
  #closed: Promise<void> | undefined;

  /** @internal Use `open()`. */
  constructor(
    location: string,
    native: NativeDatabase,
    keys: KeyCodec<K>,
    values: ValueCodec<V>,
    readOnly: boolean,
    durability: Durability,
    maxInFlight: number | undefined,
    alerts: AlertBounds,
  ) {
    super(location, native, keys, alerts);
    this.#native = native;
    this.#keys = keys;
    this.#values = values;
    this.tiers = new Tiers({
      native,
      keys,
      values,
      isOpen: () => this.#status === 'open',
      flush: () => this.#writes.flush(),
      progress: (migration) => this.emit('migration', migration),
    });
    this.#reads = new Reads(native, keys, values);
    this.#bytes = new Reads(native, bufferKeys, bufferValues);
    this.shards = new Shards<K, V>({
      native,
      keys,
      location,
      check: () => this.checkOpen(),
      flush: () => this.#writes.flush(),
      iterate: (first, last, options) => this.#iterate('entries', options, [first, last]),
    });
    this.#writes = new Writes(native, keys, values, readOnly, durability, maxInFlight, () => this.emit('drain'));
  }

  /** Append-only logs of messages beside the records. */
  get topics(): Topics<K, V> {
    const [native, keys, values, { settings }] = [this.#native, this.#keys, this.#values, this.#writes];
    this.#topics ??= new Topics({ native, keys, values, settings, isOpen: this.#isOpen });
    return this.#topics;
  }

  get status(): Status {
    return this.#status;
  }

  /** True while so many bytes of writes wait that the program should pause until `'drain'`. */
  get needsDrain(): boolean {
    return this.#writes.needsDrain;
  }

  /**
   * @returns the value, or `undefined` if the key is absent. A cached key is answered without a thread hop.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const value = await db.get('user/1');
   * ```
   */
  get(key: K, options?: ReadOptions<K, V>): Promise<V | undefined> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      if (options === undefined) return this.#reads.get(key);
      return this.#reads.getMany([key], snapshotOf(options, this.#native, 'of get')).then(([value]) => value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Like {@link Database.get}, on the calling thread: for keys that are likely in memory. A miss reads the disk and
   * blocks the event loop meanwhile.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const value = db.getSync('user/1'); // on this thread, from the hot cache or the disk
   * ```
   */
  getSync(key: K, options?: ReadOptions<K, V>): V | undefined {
    this.checkOpen();
    if (options === undefined) return this.#reads.getSync(key, undefined);
    return this.#reads.getSync(key, snapshotOf(options, this.#native, 'of getSync'));
  }

  /**
   * Reads many keys with one crossing, in parallel.
   *
   * @returns the values in the order of `keys`, `undefined` for absent ones. Without a snapshot, writes that happen
   * meanwhile may show in some of them.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const [a, b] = await db.getMany(['a', 'b']);
   * ```
   */
  getMany(keys: readonly K[], options?: ReadOptions<K, V>): Promise<(V | undefined)[]> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      return this.#reads.getMany(keys, snapshotOf(options, this.#native, 'of getMany'));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @returns whether the key exists, without fetching its value.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * if (!(await db.has('user/1'))) await db.put('user/1', { name: 'Ada' });
   * ```
   */
  has(key: K, options?: ReadOptions<K, V>): Promise<boolean> {
    return this.hasMany([key], options).then(([present]) => present as boolean);
  }

  /**
   * @returns for each key whether it exists, without fetching values.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const [known, taken] = await db.hasMany(['user/1', 'user/2']);
   * ```
   */
  hasMany(keys: readonly K[], options?: ReadOptions<K, V>): Promise<boolean[]> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      return this.#reads.hasMany(keys, snapshotOf(options, this.#native, 'of has'));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes one record. Puts of one turn of the event loop cross to the engine together and share one promise.
   *
   * @returns a promise that resolves when the write survives a crash of the process.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_BACKPRESSURE, ERR_NO_SPACE, ERR_IO, ERR_ABORTED
   * @example
   * ```ts
   * await db.put('session/7', token, { ttl: 30 * 60 * 1000 });
   * ```
   */
  put(key: K, value: V, options?: PutOptions): Promise<void> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      return this.#writes.put(key, value, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Deletes one record; it need not exist.
   *
   * @throws as {@link Database.put}
   * @example
   * ```ts
   * await db.delete('session/7');
   * ```
   */
  delete(key: K, options?: WriteOptions): Promise<void> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      return this.#writes.delete(key, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes all operations or none. Later ones win over earlier ones on the same key.
   *
   * @throws as {@link Database.put}
   * @example
   * ```ts
   * await db.batch([
   *   { type: 'put', key: 'account/1', value: '90' },
   *   { type: 'put', key: 'account/2', value: '110' },
   *   { type: 'del', key: 'transfer/pending' },
   * ]);
   * ```
   */
  batch(operations: readonly BatchOperation<K, V>[], options?: BatchWriteOptions): Promise<void> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      if (hasConditions(operations))
        return writeConditional(
          this.#source(),
          operations,
          this.#writes.settings.check(options, BATCH_NAMES, 'of batch'),
          options,
        );
      return this.#writes.batch(operations, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Like {@link Database.batch}, with a promise for each stage: `applied` when reads see the batch and it survives a
   * crash of the process, `durable` when it survives a loss of power.
   *
   * @throws as {@link Database.put}, through both promises; bad arguments throw at once
   * @example
   * ```ts
   * const commit = db.commit([{ type: 'put', key: 'order/7', value: order }]);
   * await commit.applied; // answer the user
   * await commit.durable; // ship the goods
   * ```
   */
  commit(operations: readonly BatchOperation<K, V>[], options?: Omit<BatchWriteOptions, 'durability'>): CommitHandle {
    this.checkOpen();
    if (hasConditions(operations)) throw invalid('commit takes no conditions: use batch or transaction');
    return this.#writes.commit(operations, options);
  }

  /**
   * Begins a batch that is built step by step.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const batch = db.beginBatch({ capacity: 1000 });
   * for (let i = 0; i < 1000; i++) batch.put(`point/${i}`, i);
   * await batch.commit();
   * ```
   */
  beginBatch(options: BatchOptions = {}): Batch<K, V> {
    this.checkOpen();
    return new Batch(this.#keys, this.#values, this.#writes, options);
  }

  /**
   * Writes one record if the condition holds.
   *
   * @returns whether it held.
   * @throws as {@link Database.put}, and ERR_CONFLICT if others kept writing the key
   * @example
   * ```ts
   * const won = await db.putIf('lock/report', me, { absent: true }, { ttl: 10_000 });
   * ```
   */
  async putIf(key: K, value: V, condition: Condition<V>, options: PutOptions = {}): Promise<boolean> {
    const { ttl, ...rest } = checkObject(options, new Set([...WRITE_NAMES, 'ttl']), 'of putIf') as PutOptions;
    const operation: BatchPut<K, V> = { type: 'put', key, value, if: condition };
    if (ttl !== undefined) operation.ttl = ttl;
    checkCondition(condition, 'of putIf');
    this.checkOpen();
    return writeIfHeld(this.#source(), [operation], rest);
  }

  /**
   * Deletes one record if its value is the given one.
   *
   * @returns whether it was.
   * @throws as {@link Database.putIf}
   * @example
   * ```ts
   * const released = await db.deleteIf('lock/report', { equals: me });
   * ```
   */
  async deleteIf(key: K, condition: { equals: V }, options: WriteOptions = {}): Promise<boolean> {
    checkCondition(condition, 'of deleteIf');
    if (!('equals' in condition)) throw invalid('the condition of deleteIf must be { equals: value }');
    this.checkOpen();
    return writeIfHeld(this.#source(), [{ type: 'del', key, if: condition }], options);
  }

  /**
   * Runs `fn` with a transaction and writes what it put and deleted, all or nothing. If something it read was written
   * by others meanwhile, `fn` runs again, so it should have no effects of its own.
   *
   * @returns what `fn` resolved with.
   * @throws ERR_CONFLICT after `retries` conflicts, what `fn` throws, and as {@link Database.put}
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   const balance = Number(await tx.get('balance'));
   *   tx.put('balance', String(balance - 10));
   * });
   * ```
   */
  async transaction<R>(fn: (tx: Transaction<K, V>) => Promise<R>, options: TransactionOptions = {}): Promise<R> {
    this.checkOpen();
    if (typeof fn !== 'function') throw invalid('transaction takes a function');
    const flags = this.#writes.settings.check(options, TRANSACTION_NAMES, 'of transaction');
    const { retries = DEFAULT_RETRIES, ...rest } = options;
    if (!Number.isInteger(retries) || retries < 0) throw invalid('retries must be a whole number, at least 0');
    return retrying(this.#source(), flags, retries, rest.signal, fn);
  }

  /**
   * Loads many records. Each is a write of its own: after a failure some may be there. Reads ahead of the disk only as
   * far as a few batches.
   *
   * @returns how many records were written.
   * @throws as {@link Database.put}, and what `entries` throws
   * @example
   * ```ts
   * await db.putMany(readRecords('export.jsonl')); // an async generator of [key, value]
   * ```
   */
  async putMany(entries: Iterable<[K, V]> | AsyncIterable<[K, V]>, options?: WriteOptions): Promise<number> {
    this.checkOpen();
    return this.#writes.putMany(entries, options);
  }

  /**
   * Deletes every record in a range, at a cost that does not depend on how many there are.
   *
   * @throws as {@link Database.put}
   * @example
   * ```ts
   * await db.deleteRange({ prefix: 'session/' });
   * ```
   */
  deleteRange(range: KeyRange<K>): Promise<void> {
    if (this.#status !== 'open') return Promise.reject(this.#closedError());
    try {
      return this.#writes.deleteRange(boundsOf(this.#keys, rangeArgument(range, 'deleteRange')));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Walks records in key order (bytewise), as the database is now; writes after this call are invisible to it.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * for await (const [key, value] of db.iterator({ gte: 'a', lt: 'b', limit: 10 })) console.log(key, value);
   * ```
   */
  iterator(options?: IteratorOptions<K, V>): DatabaseIterator<K, V> {
    return this.#iterate('entries', options);
  }

  /**
   * Like {@link Database.iterator}, yielding keys alone; values are not copied.
   *
   * @example
   * ```ts
   * const users = await db.keys({ prefix: 'user/' }).nextMany(100);
   * ```
   */
  keys(options?: IteratorOptions<K, V>): DatabaseIterator<K, V, K> {
    return this.#iterate('keys', options);
  }

  /**
   * Like {@link Database.iterator}, yielding values alone.
   * @example
   * ```ts
   * for await (const order of db.values({ prefix: 'order/' })) console.log(order);
   * ```
   */
  values(options?: IteratorOptions<K, V>): DatabaseIterator<K, V, V> {
    return this.#iterate('values', options);
  }

  /**
   * Holds on to this moment of the database.
   *
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * const balances = await snapshot.getMany(['account/1', 'account/2']); // of one moment
   * await snapshot.close();
   * ```
   */
  async snapshot(): Promise<Snapshot<K, V>> {
    return this.snapshotNow();
  }

  /** @internal */
  snapshotNow(): Snapshot<K, V> {
    this.checkOpen();
    const native = this.#native.snapshot();
    if (native === undefined) throw takeError();
    return new Snapshot(this, this.#native, native);
  }

  /** @internal Reads this open database in other encodings. It closes with it, and takes its snapshots. */
  readAs<K2, V2>(keys: KeyCodec<K2>, values: ValueCodec<V2>): Database<K2, V2> {
    this.checkOpen();
    const reader = new Database(
      this.location,
      this.#native,
      keys,
      values,
      true,
      'wal',
      undefined,
      alertBounds(undefined),
    );
    this.#readers.push(reader as never);
    return reader;
  }

  /**
   * A Readable of `[key, value]` pairs in object mode, for pipelines.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * await pipeline(db.createReadStream({ prefix: 'user/' }), new PassThrough({ objectMode: true }).resume());
   * ```
   */
  createReadStream(options?: IteratorOptions<K, V>): Readable {
    return readStream(this, options);
  }

  /**
   * A Writable of `[key, value]` pairs in object mode; each is a write of its own.
   *
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * await pipeline(readRecords('export.jsonl'), db.createWriteStream());
   * ```
   */
  createWriteStream(options?: WriteOptions): Writable {
    this.checkOpen();
    this.#writes.settings.check(options, WRITE_NAMES, 'of createWriteStream');
    return writeStream(this, options);
  }

  /**
   * Follows the database: every commit after `since`, in order, whole. Needs the option `changes` of `open`. To copy a
   * database and follow it: make the feed, copy what an iterator gives, then apply what the feed gives; what is in both
   * comes to the same.
   *
   * @throws ERR_INVALID_ARGUMENT, also if the database keeps no changes; ERR_CLOSED, ERR_READ_ONLY, ERR_ABORTED
   * @example
   * ```ts
   * for await (const { sequence, operations } of db.changes({ since: 0 })) console.log(sequence, operations);
   * ```
   */
  changes(options: ChangeFeedOptions = {}): ChangeFeed<K, V> {
    this.checkOpen();
    checkFeedOptions(options);
    const [native, keys, values, isOpen] = [this.#native, this.#keys, this.#values, this.#isOpen];
    const closed = (feed: ChangeFeed<K, V>) => this.#feeds.delete(feed);
    this.#writes.flush();
    const feed = new ChangeFeed({ native, keys, values, isOpen, closed }, options);
    this.#feeds.add(feed);
    return feed;
  }

  /**
   * Refuses new work, finishes what was begun, ends iterators and snapshots, and gives up the folder. May be called more
   * than once. Others who opened the same location are not affected.
   *
   * @example
   * ```ts
   * await db.close();
   * ```
   */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#status = 'closing';
      this.endMaintenance();
      this.#topics?.end();
      for (const feed of [...this.#feeds]) feed.end();
      this.#writes.flush();
      this.#reads.flush();
      for (const reader of this.#readers) {
        reader.#status = 'closing';
        reader.#reads.flush();
      }
      this.#closed = call<undefined>((ticket) => this.#native.close(ticket)).finally(() => {
        this.#status = 'closed';
        for (const reader of this.#readers) reader.#status = 'closed';
        // On its own: a listener that throws is not a failure of close().
        process.nextTick(() => this.emit('closed'));
      });
    }
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #iterate<T>(
    projection: Projection,
    options: IteratorOptions<K, V> | undefined,
    slots?: [first: number, last: number],
  ): DatabaseIterator<K, V, T> {
    this.checkOpen();
    const { start, end, flags, limit } = cursorRequest(this.#keys, projection, options);
    const snapshot = options?.snapshot === undefined ? undefined : handleOf(options.snapshot, this.#native);
    const native = this.#native.cursor(start, end, flags, limit, snapshot, ...(slots ?? []));
    if (native === undefined) throw takeError();
    return new DatabaseIterator<K, V, T>({
      cursor: native,
      keys: this.#keys,
      values: this.#values,
      projection,
      isOpen: this.#isOpen,
    });
  }

  /** @internal */
  protected override isOpen(): boolean {
    return this.#status === 'open';
  }

  /** @internal */
  protected override checkOpen(): void {
    if (this.#status !== 'open') throw this.#closedError();
  }

  /** @internal */
  protected override sendWrites(): void {
    this.#writes.flush();
  }

  readonly #isOpen = () => this.#status === 'open';

  #source(): TransactionSource<K, V> {
    const [native, keys, values] = [this.#native, this.#keys, this.#values];
    return { database: this, native, keys, values, writes: this.#writes, bytes: this.#bytes };
  }

  #closedError(): ThermoclineError {
    return new ThermoclineError('ERR_CLOSED', `the database is ${this.#status === 'closing' ? 'closing' : 'closed'}`);
  }
}
