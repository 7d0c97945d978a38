import type { Change } from './change.ts';
import { ChangeChunk } from './change-chunk.ts';
import { checkObject } from './checks.ts';
import { call, takeError } from './dispatcher.ts';
import { aborted } from './durability.ts';
import { bufferKeys, bufferValues, type KeyCodec, type ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { NativeDatabase } from './native.ts';
import { type NativeChangeChunk, type NativeChanges, nativeChanges } from './native-changes.ts';

/** Options of `db.changes`. */
export interface ChangeFeedOptions {
  /** Begin behind this sequence: of the last change that was dealt with, or 0. Default: with the next commit. */
  since?: number;
  /**
   * Give only what survives a loss of power, by syncing the log before changes are handed out. Otherwise a reader may
   * have seen commits that a loss of power takes back. Default `false`.
   */
  durable?: boolean;
  /** Ends the feed: `next` rejects with ERR_ABORTED. Default: none. */
  signal?: AbortSignal;
}

/** @internal */
export interface ChangeSource<K, V> {
  readonly native: NativeDatabase;
  readonly keys: KeyCodec<K>;
  readonly values: ValueCodec<V>;
  isOpen(): boolean;
  closed(feed: ChangeFeed<K, V>): void;
}

const NAMES = new Set(['since', 'durable', 'signal']);
/** Keys and values that cross together; one commit is always whole. A kept Buffer keeps so much. */
const CHUNK_BYTES = 64 * 1024;

/** @internal */
export function checkFeedOptions(options: ChangeFeedOptions): ChangeFeedOptions {
  checkObject(options, NAMES, 'of changes');
  const { since, durable, signal } = options;
  if (since !== undefined && !(Number.isSafeInteger(since) && since >= 0)) {
    throw invalid('since must be the sequence of a change, or 0');
  }
  if (durable !== undefined && typeof durable !== 'boolean') throw invalid('durable must be true or false');
  if (signal !== undefined) {
    if (!(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
    if (signal.aborted) throw aborted(signal);
  }
  return options;
}

/**
 * Every commit of the database, in order, as it is made. Made by `db.changes()`.
 *
 * @example
 * ```ts
 * for await (const change of db.changes({ since: await lastSequence() })) {
 *   for (const operation of change.operations) await apply(operation);
 *   await keepSequence(change.sequence);
 * }
 * ```
 */
export class ChangeFeed<K = string, V = Buffer> implements AsyncIterable<Change<K, V>> {
  readonly #source: ChangeSource<K, V>;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.end();
  #native: NativeChanges;
  #chunk: ChangeChunk | undefined;
  #sequence: number;
  #begun = false;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();

  /** @internal Use `db.changes()`. */
  constructor(source: ChangeSource<K, V>, options: ChangeFeedOptions) {
    this.#source = source;
    this.#signal = options.signal;
    this.#native = this.#open(options.since ?? -1, options.durable ?? false);
    this.#sequence = this.#native.position();
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Of the change that was returned last; before the first, where the feed begins. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Waits for a commit.
   *
   * @returns the next one, or `undefined` once the feed or the database is closed.
   * @throws ERR_GAP if the log does not reach back to where the feed is, or shards were restored since; ERR_ABORTED, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const feed = db.changes();
   * await db.put('a', one);
   * const change = await feed.next(); // its operations: one put
   * ```
   */
  next(): Promise<Change<K, V> | undefined> {
    return this.#inTurn(async () => {
      const chunk = await this.#filled();
      return chunk && this.#take(chunk, this.#source.keys, this.#source.values);
    });
  }

  /**
   * Like {@link ChangeFeed.next}, for several at a time.
   *
   * @returns what is at hand, at least one; none once closed.
   * @example
   * ```ts
   * const feed = db.changes({ since: 0 });
   * for (const { sequence } of await feed.nextMany()) console.log(sequence);
   * await feed.close();
   * ```
   */
  nextMany(): Promise<Change<K, V>[]> {
    return this.#many(this.#source.keys, this.#source.values);
  }

  /** @internal Like nextMany, undecoded. */
  nextBytes(): Promise<Change<Buffer, Buffer>[]> {
    return this.#many(bufferKeys, bufferValues);
  }

  /** @internal Begins elsewhere. REQUIRES: nothing was read. */
  restart(since: number): void {
    if (this.#begun || this.#closed) throw invalid('the feed has been read from, or was closed');
    const native = this.#open(since, true);
    this.#native.close();
    this.#native = native;
    this.#sequence = native.position();
  }

  /** @internal */
  get keys(): KeyCodec<K> {
    return this.#source.keys;
  }

  /** @internal */
  get values(): ValueCodec<V> {
    return this.#source.values;
  }

  /**
   * Ends the feed; a pending `next` resolves with `undefined`. May be called more than once.
   *
   * @example
   * ```ts
   * const feed = db.changes();
   * await feed.close();
   * ```
   */
  async close(): Promise<void> {
    this.end();
    await this.#tail;
  }

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunk = undefined;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#native.close();
    this.#source.closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Leaving the loop closes the feed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Change<K, V>, void, undefined> {
    try {
      for (let change = await this.next(); change !== undefined; change = await this.next()) yield change;
    } finally {
      await this.close();
    }
  }

  #open(since: number, durable: boolean): NativeChanges {
    const native = nativeChanges.openChanges(this.#source.native, since, durable);
    if (native === undefined) throw takeError();
    return native;
  }

  #many<KK, VV>(keys: KeyCodec<KK>, values: ValueCodec<VV>): Promise<Change<KK, VV>[]> {
    return this.#inTurn(async () => {
      const changes: Change<KK, VV>[] = [];
      const chunk = await this.#filled();
      while (chunk !== undefined && !chunk.done) changes.push(this.#take(chunk, keys, values));
      return changes;
    });
  }

  /** One call after the other. */
  #inTurn<R>(step: () => Promise<R>): Promise<R> {
    this.#begun = true;
    const result = this.#tail.then(step);
    this.#tail = result.catch(() => {});
    return result;
  }

  #take<KK, VV>(chunk: ChangeChunk, keys: KeyCodec<KK>, values: ValueCodec<VV>): Change<KK, VV> {
    const change = chunk.next(keys, values);
    this.#sequence = change.sequence;
    return change;
  }

  /** Waits for a chunk that is not used up; undefined once closed. */
  async #filled(): Promise<ChangeChunk | undefined> {
    for (;;) {
      if (this.#signal?.aborted) throw aborted(this.#signal);
      if (this.#closed) return undefined;
      if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
      if (this.#chunk !== undefined && !this.#chunk.done) return this.#chunk;
      try {
        const read = await call<NativeChangeChunk | undefined>((ticket) => this.#native.read(ticket, CHUNK_BYTES));
        if (this.#closed) continue;
        this.#chunk = read && new ChangeChunk(read);
        if (read === undefined) await call<undefined>((ticket) => this.#native.wait(ticket));
      } catch (error) {
        if (!this.#closed) throw error;
      }
    }
  }
}
