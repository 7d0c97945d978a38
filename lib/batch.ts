import { aborted, putExpiry, until, type WriteOptions } from './durability.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import { SUBMIT_ATOMIC } from './native.ts';
import { Packer } from './packer.ts';
import { boundsOf, type KeyRange, rangeArgument } from './range.ts';
import { parseSize, type Size } from './size.ts';
import { Outgoing, type OutgoingMessage } from './topics/outgoing.ts';
import type { Writes } from './writes.ts';

/** Options of `beginBatch`. */
export interface BatchOptions extends WriteOptions {
  /** Memory reserved at once, in bytes. Default 16 KB; it grows as needed. */
  capacity?: Size;
  /** Adding more than this is refused with ERR_INVALID_ARGUMENT: an atomic batch is in memory as a whole. Default 1 GB. */
  maxBytes?: Size;
}

/** @internal */
export const BATCH_NAMES: ReadonlySet<string> = new Set(['capacity', 'maxBytes', 'durability', 'signal']);

const COMMIT_NAMES = new Set(['durability', 'signal']);

const DEFAULT_CAPACITY = 16 * 1024;
const DEFAULT_MAX_BYTES = 1024 ** 3;

/** What one crossing, and one WriteBatch of the engine, can carry. */
const MOST_BYTES = 2 * 1024 ** 3;

function limited(size: Size, name: string): number {
  const bytes = parseSize(size, name);
  if (bytes > MOST_BYTES) throw invalid(`${name} can be at most 2GB`);
  return bytes;
}

/** A place in a batch to which it can be rolled back. */
export interface Savepoint {
  readonly length: number;
  readonly bytes: number;
}

/**
 * A batch that is built step by step and then written whole or not at all. Operations are packed as they are added, so
 * values may be reused at once.
 *
 * @example
 * ```ts
 * const batch = db.beginBatch();
 * batch.put('a', one);
 * const savepoint = batch.savepoint();
 * batch.put('b', two).delete('c');
 * batch.rollbackTo(savepoint); // keeps 'a' alone
 * await batch.commit();
 * ```
 */
export class Batch<K, V> {
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #writes: Writes<K, V>;
  readonly #flags: number;
  readonly #signal: AbortSignal | undefined;
  readonly #maxBytes: number;
  #packed: Packer | undefined;
  /** Those that can still be rolled back to, in the order they were made. */
  readonly #savepoints: Savepoint[] = [];
  readonly #messages = new Outgoing();
  readonly #marks = new WeakMap<Savepoint, ReturnType<Outgoing['mark']>>();

  /** @internal */
  constructor(keys: KeyCodec<K>, values: ValueCodec<V>, writes: Writes<K, V>, options: BatchOptions) {
    this.#keys = keys;
    this.#values = values;
    this.#writes = writes;
    this.#flags = writes.settings.check(options, BATCH_NAMES, 'of beginBatch');
    this.#signal = options.signal;
    this.#maxBytes = limited(options.maxBytes ?? DEFAULT_MAX_BYTES, 'maxBytes');
    this.#packed = new Packer(Math.max(64, limited(options.capacity ?? DEFAULT_CAPACITY, 'capacity')));
  }

  /** Operations in the batch; 0 once it has ended. */
  get length(): number {
    return this.#packed?.count ?? 0;
  }

  /** Packed size of the batch, in bytes; 0 once it has ended. */
  get bytes(): number {
    return this.#packed?.size ?? 0;
  }

  /**
   * @param options `ttl` in milliseconds, at least 1
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED once the batch has ended
   * @example
   * ```ts
   * await db.beginBatch().put('session/7', token, { ttl: 60_000 }).commit();
   * ```
   */
  put(key: K, value: V, options?: { ttl?: number }): this {
    const expiry = putExpiry(options);
    const keyBytes = this.#keys.encode(key);
    const valueBytes = this.#values.encode(value);
    return this.#add((packed) => packed.put(keyBytes, valueBytes, expiry));
  }

  /**
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED once the batch has ended
   * @example
   * ```ts
   * await db.beginBatch().delete('cart/7').put('order/7', order).commit();
   * ```
   */
  delete(key: K): this {
    const keyBytes = this.#keys.encode(key);
    return this.#add((packed) => packed.delete(keyBytes));
  }

  /**
   * Deletes what is in the range when the batch is written, and what the batch has put there before.
   *
   * @example
   * ```ts
   * await db.beginBatch().deleteRange({ prefix: 'cart/7/' }).put('order/7', order).commit();
   * ```
   */
  deleteRange(range: KeyRange<K>): this {
    const { start, end } = boundsOf(this.#keys, rangeArgument(range, 'deleteRange'));
    return this.#add((packed) => packed.deleteRange(start ?? Buffer.alloc(0), end));
  }

  /**
   * Sends a message to a topic, if the batch is written: it appears there if and only if the batch's records do.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED once the batch has ended
   * @example
   * ```ts
   * await db.beginBatch().put('order/7', order).send({ topic: orders, value: order }).commit();
   * ```
   */
  send<MV, MK>(message: OutgoingMessage<MV, MK>): this {
    this.#open();
    this.#messages.add(message);
    return this;
  }

  /**
   * Marks this place.
   *
   * @example
   * ```ts
   * const batch = db.beginBatch().put('a', one);
   * const savepoint = batch.savepoint();
   * batch.put('b', two).rollbackTo(savepoint);
   * console.log(batch.length); // 1
   * ```
   */
  savepoint(): Savepoint {
    const packed = this.#open();
    const savepoint = Object.freeze({ length: packed.count, bytes: packed.size });
    this.#marks.set(savepoint, this.#messages.mark());
    this.#savepoints.push(savepoint);
    return savepoint;
  }

  /**
   * Forgets what was added after the savepoint. @throws ERR_INVALID_ARGUMENT if it is not of this batch's past
   * @example
   * ```ts
   * const batch = db.beginBatch().put('a', one);
   * const savepoint = batch.savepoint();
   * batch.put('b', two).rollbackTo(savepoint); // 'a' alone is left
   * await batch.commit();
   * ```
   */
  rollbackTo(savepoint: Savepoint): this {
    const packed = this.#open();
    const at = this.#savepoints.lastIndexOf(savepoint);
    if (at < 0) throw invalid('the savepoint is not of this batch, or lies behind a place it was rolled back to');
    this.#savepoints.length = at + 1; // it can be used again
    packed.rewind(savepoint.bytes, savepoint.length);
    this.#messages.rewind(this.#marks.get(savepoint) ?? []);
    return this;
  }

  /**
   * Gives the batch up; nothing is written.
   *
   * @example
   * ```ts
   * const batch = db.beginBatch().put('a', one);
   * batch.rollback(); // nothing is written
   * ```
   */
  rollback(): void {
    this.#packed = undefined;
  }

  /**
   * Writes the batch, whole or not at all, and ends it.
   *
   * @param options where given, instead of those of `beginBatch`
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_BACKPRESSURE, ERR_NO_SPACE, ERR_IO, ERR_ABORTED
   * @example
   * ```ts
   * await db.beginBatch().put('order/7', order).commit({ durability: 'fsync' });
   * ```
   */
  async commit(options?: WriteOptions): Promise<void> {
    const packed = this.#open();
    const signal = options?.signal ?? this.#signal;
    const checked = this.#writes.settings.check(options, COMMIT_NAMES, 'of commit');
    const flags = options?.durability === undefined ? this.#flags : checked;
    this.#packed = undefined;
    if (signal?.aborted) throw aborted(signal);
    if (packed.count === 0 && this.#messages.count === 0) return;
    await until(signal, this.#writes.submit(packed, flags | SUBMIT_ATOMIC, undefined, undefined, this.#messages));
  }

  #add(write: (packed: Packer) => void): this {
    const packed = this.#open();
    const { size, count } = packed;
    try {
      write(packed);
      if (packed.size > this.#maxBytes) {
        throw invalid(`the batch would exceed its maxBytes of ${this.#maxBytes}: commit in parts, or raise the limit`);
      }
    } catch (error) {
      packed.rewind(size, count);
      throw error;
    }
    return this;
  }

  #open(): Packer {
    if (this.#packed === undefined)
      throw new ThermoclineError('ERR_CLOSED', 'the batch has been committed or rolled back');
    return this.#packed;
  }
}
