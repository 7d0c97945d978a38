import { Block } from './block.ts';
import { call, issueTicket, withdrawTicket } from './dispatcher.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import { CHUNK_ASCII_KEYS, CHUNK_LAST, type NativeChunk, type NativeCursor } from './native.ts';
import { keyBytes } from './range.ts';
import type { BoundOf } from './tuple-types.ts';

/** @internal What an iterator yields of each record. */
export type Projection = 'entries' | 'keys' | 'values';

/** @internal */
export interface IteratorSource<K, V> {
  readonly cursor: NativeCursor;
  readonly keys: KeyCodec<K>;
  readonly values: ValueCodec<V>;
  readonly projection: Projection;
  /** False once the database is closing. */
  isOpen(): boolean;
}

const NOTHING = Promise.resolve(undefined);

/**
 * An ordered walk over a range, as the database was when it was made.
 *
 * Close it when it is done, at its end too (it can still seek): until then the space of what is overwritten or expires
 * meanwhile is not given back. `for await` closes it by itself. Calls may overlap: they are served in order.
 *
 * @example
 * ```ts
 * for await (const [key, value] of db.iterator({ prefix: 'user/' })) console.log(key, value);
 * ```
 */
export class DatabaseIterator<K, V, T = [K, V]> {
  readonly #source: IteratorSource<K, V>;
  #chunk: ChunkReader<K, V> | undefined;
  /** The chunk in hand is the last one. */
  #ended = false;
  #closed = false;
  #failure: Error | undefined;
  /** The last of the calls that are being served. */
  #tail: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(source: IteratorSource<K, V>) {
    this.#source = source;
  }

  /**
   * @returns the next record, or `undefined` at the end.
   * @throws ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const iterator = db.iterator({ prefix: 'user/' });
   * const first = await iterator.next();
   * await iterator.close();
   * ```
   */
  next(): Promise<T | undefined> {
    if (this.#tail === undefined && this.#isOpen()) {
      const chunk = this.#chunk;
      if (chunk !== undefined && chunk.left > 0) {
        try {
          return Promise.resolve(chunk.take() as T);
        } catch (error) {
          return Promise.reject(error);
        }
      }
      if (this.#ended) return NOTHING;
    }
    return this.#inTurn(async () => ((await this.#fill(16)) ? (this.#chunk?.take() as T) : undefined));
  }

  /**
   * @param count how many records, at least 1
   * @returns up to `count` records; fewer only at the end, none after it.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const iterator = db.iterator();
   * for (let records; (records = await iterator.nextMany(1000)).length > 0; ) console.log(records.length);
   * ```
   */
  nextMany(count: number): Promise<T[]> {
    if (!Number.isInteger(count) || count < 1) {
      return Promise.reject(invalid('nextMany takes a whole number of records, at least 1'));
    }
    return this.#inTurn(async () => {
      const records: T[] = [];
      while (records.length < count) {
        const ready = this.#fill(count - records.length);
        if (!(typeof ready === 'boolean' ? ready : await ready)) break;
        (this.#chunk as ChunkReader<K, V>).takeInto(records, count - records.length);
      }
      return records;
    });
  }

  /**
   * Continues at `key`, or the first after it (in reverse: before it), within the range of the iterator.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const iterator = db.iterator();
   * iterator.seek('user/');
   * const record = await iterator.next();
   * await iterator.close();
   * ```
   */
  seek(key: BoundOf<K>): void {
    if (!this.#isOpen()) throw closedError();
    if (this.#tail !== undefined) throw invalid('seek while a call of this iterator is pending: await that first');
    this.#source.cursor.seek(keyBytes(this.#source.keys, key), this.#chunk?.left ?? 0);
    this.#chunk = undefined;
    this.#ended = false;
    this.#failure = undefined;
  }

  /**
   * Ends the walk and frees what it holds. May be called more than once.
   *
   * @example
   * ```ts
   * const iterator = db.iterator();
   * const first = await iterator.next();
   * await iterator.close();
   * ```
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closed = true;
      this.#chunk = undefined;
      this.#closing = call((ticket) => this.#source.cursor.close(ticket));
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A standard iterator over the rest of the walk; leaving the loop closes it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new Steps(this);
  }

  /** @internal A record that is in hand, without a promise; `undefined` if there is none. */
  takeReady(): T | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined || chunk.left === 0 || this.#tail !== undefined || !this.#isOpen()) return undefined;
    return chunk.take() as T;
  }

  #isOpen(): boolean {
    return !this.#closed && this.#source.isOpen();
  }

  /** Runs calls one after another. */
  #inTurn<R>(step: () => Promise<R>): Promise<R> {
    const result = this.#tail === undefined ? step() : this.#tail.then(step, step);
    this.#tail = result;
    const done = () => {
      if (this.#tail === result) this.#tail = undefined;
    };
    result.then(done, done);
    return result;
  }

  /** Whether a record is in hand, after fetching a chunk if need be. */
  #fill(wanted: number): boolean | Promise<boolean> {
    if (!this.#isOpen()) throw closedError();
    if (this.#chunk !== undefined && this.#chunk.left > 0) return true;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return false;
    return this.#take(wanted);
  }

  #take(wanted: number): boolean | Promise<boolean> {
    let resolve: (payload: undefined) => void = () => {};
    let reject: (error: Error) => void = () => {};
    const ticket = issueTicket<undefined>(
      () => resolve(undefined),
      (error) => reject(error),
    );
    const chunk = this.#source.cursor.take(ticket, Math.min(wanted, 2 ** 31));
    if (chunk !== undefined) {
      withdrawTicket(ticket);
      return this.#receive(chunk, wanted);
    }
    return new Promise<undefined>((onReady, onFailure) => {
      resolve = onReady;
      reject = onFailure;
    }).then(
      () => {
        if (!this.#isOpen()) throw closedError();
        return this.#take(wanted);
      },
      (error: Error) => {
        this.#failure = error;
        throw error;
      },
    );
  }

  #receive(native: NativeChunk, wanted: number): boolean | Promise<boolean> {
    this.#ended = (native[4] & CHUNK_LAST) !== 0;
    this.#chunk = new ChunkReader(native, this.#source);
    if (this.#chunk.left > 0) return true;
    return this.#ended ? false : this.#take(wanted);
  }
}

/** Cuts records out of one chunk (native/engine/read/cursor.h gives its form). */
class ChunkReader<K, V> {
  left: number;
  readonly #block: Block;
  readonly #lengths: Uint32Array;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #projection: Projection;
  /** All keys as one string, if they are ASCII: cutting it is cheaper than decoding each. */
  readonly #text: string | undefined;
  readonly #keysOffset: number;
  #index = 0;
  #keyAt: number;
  #valueAt = 0;

  constructor([block, count, keysOffset, indexOffset, flags]: NativeChunk, source: IteratorSource<K, V>) {
    this.left = count;
    this.#block = Block.shared(block);
    this.#lengths = new Uint32Array(block.buffer, block.byteOffset + indexOffset, 2 * count);
    this.#keys = source.keys;
    this.#values = source.values;
    this.#projection = source.projection;
    this.#keysOffset = keysOffset;
    this.#keyAt = keysOffset;
    if (source.keys.text && source.projection !== 'values' && (flags & CHUNK_ASCII_KEYS) !== 0) {
      this.#text = this.#block.latin1(keysOffset, indexOffset);
    }
  }

  take(): K | V | [K, V] {
    const lengths = this.#lengths;
    const keyAt = this.#keyAt;
    const keyEnd = keyAt + (lengths[this.#index] as number);
    const valueAt = this.#valueAt;
    const valueEnd = valueAt + (lengths[this.#index + 1] as number);
    this.#index += 2;
    this.#keyAt = keyEnd;
    this.#valueAt = valueEnd;
    this.left--;
    if (this.#projection === 'values') return this.#values.decode(this.#block, valueAt, valueEnd);
    const key =
      this.#text === undefined
        ? this.#keys.decode(this.#block, keyAt, keyEnd)
        : (this.#text.substring(keyAt - this.#keysOffset, keyEnd - this.#keysOffset) as K);
    if (this.#projection === 'keys') return key;
    return [key, this.#values.decode(this.#block, valueAt, valueEnd)];
  }

  takeInto(records: unknown[], count: number): void {
    for (let left = Math.min(count, this.left); left > 0; left--) records.push(this.take());
  }
}

/** What `for await` drives. Records in hand cost one resolved promise each. */
class Steps<K, V, T> implements AsyncIterableIterator<T> {
  readonly #iterator: DatabaseIterator<K, V, T>;
  #done = false;

  constructor(iterator: DatabaseIterator<K, V, T>) {
    this.#iterator = iterator;
  }

  next(): Promise<IteratorResult<T>> {
    try {
      const value = this.#iterator.takeReady();
      if (value !== undefined) return Promise.resolve({ done: false, value });
    } catch (error) {
      return this.#fail(error);
    }
    return this.#slowNext();
  }

  async #slowNext(): Promise<IteratorResult<T>> {
    if (this.#done) return { done: true, value: undefined };
    let value: T | undefined;
    try {
      value = await this.#iterator.next();
    } catch (error) {
      return this.#fail(error);
    }
    return value === undefined ? this.return() : { done: false, value };
  }

  /** A loop does not call return() after a step that failed. */
  async #fail(error: unknown): Promise<never> {
    await this.return();
    throw error;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#done = true;
    await this.#iterator.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function closedError(): ThermoclineError {
  return new ThermoclineError('ERR_CLOSED', 'the iterator is closed');
}
