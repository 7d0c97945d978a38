import { checkObject } from './checks.ts';
import type { Database } from './database.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { DatabaseIterator } from './iterator.ts';
import type { NativeDatabase, NativeSnapshot } from './native.ts';
import type { IteratorOptions, ReadOptions } from './operations.ts';

/**
 * The database as it was at one moment. Later writes are invisible to it, and it costs nothing while it is open except
 * that the space of records overwritten since is not given back. Close it when it is done.
 *
 * @example
 * ```ts
 * const snapshot = await db.snapshot();
 * await db.put('stock', '0');
 * await snapshot.get('stock'); // the value before
 * await snapshot.close();
 * ```
 */
export class Snapshot<K, V> {
  readonly #database: Database<K, V>;
  readonly #owner: NativeDatabase;
  #native: NativeSnapshot | undefined;

  /** @internal */
  constructor(database: Database<K, V>, owner: NativeDatabase, native: NativeSnapshot) {
    this.#database = database;
    this.#owner = owner;
    this.#native = native;
  }

  /**
   * @returns the value at the snapshot's moment, or `undefined`.
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * const balance = await snapshot.get('balance');
   * await snapshot.close();
   * ```
   */
  get(key: K): Promise<V | undefined> {
    return this.#database.get(key, { snapshot: this });
  }

  /**
   * @returns the values at the snapshot's moment, in the order of `keys`.
   *
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * const [from, to] = await snapshot.getMany(['account/1', 'account/2']); // of one moment
   * await snapshot.close();
   * ```
   */
  getMany(keys: readonly K[]): Promise<(V | undefined)[]> {
    return this.#database.getMany(keys, { snapshot: this });
  }

  /**
   * @returns whether the key existed at the snapshot's moment.
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * const known = await snapshot.has('user/1');
   * await snapshot.close();
   * ```
   */
  has(key: K): Promise<boolean> {
    return this.#database.has(key, { snapshot: this });
  }

  /**
   * Walks the records of the snapshot's moment.
   *
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * for await (const [key, value] of snapshot.iterator({ prefix: 'user/' })) console.log(key, value);
   * await snapshot.close();
   * ```
   */
  iterator(range?: IteratorOptions<K, V>): DatabaseIterator<K, V> {
    return this.#database.iterator({ ...range, snapshot: this });
  }

  /**
   * Gives up the moment. Reads that have begun on it end normally. May be called more than once.
   *
   * @example
   * ```ts
   * const snapshot = await db.snapshot();
   * await snapshot.close();
   * ```
   */
  async close(): Promise<void> {
    this.#native?.close();
    this.#native = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  handle(): NativeSnapshot {
    if (this.#native === undefined) throw new ThermoclineError('ERR_CLOSED', 'the snapshot is closed');
    return this.#native;
  }

  /** @internal */
  belongsTo(owner: NativeDatabase): boolean {
    return this.#owner === owner;
  }
}

const READ_NAMES = new Set(['snapshot']);

/** @internal The handle of a snapshot of `owner`. @throws ERR_INVALID_ARGUMENT, ERR_CLOSED */
export function handleOf(snapshot: unknown, owner: NativeDatabase): NativeSnapshot {
  if (!(snapshot instanceof Snapshot)) throw invalid('snapshot must be a snapshot of this database');
  if (!snapshot.belongsTo(owner)) throw invalid('the snapshot belongs to another database');
  return snapshot.handle();
}

/** @internal Checks a read's options. @param of what the options are, for errors */
export function snapshotOf<K, V>(
  options: ReadOptions<K, V> | undefined,
  owner: NativeDatabase,
  of: string,
): NativeSnapshot | undefined {
  checkObject(options, READ_NAMES, of);
  return options?.snapshot === undefined ? undefined : handleOf(options.snapshot, owner);
}
