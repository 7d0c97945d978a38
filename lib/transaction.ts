import { Block } from './block.ts';
import type { Database } from './database.ts';
import { call, issueTicket, takeError, withdrawTicket } from './dispatcher.ts';
import { aborted, putExpiry, until } from './durability.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { type ErrorCode, invalid, ThermoclineError } from './error.ts';
import { type NativeDatabase, type NativeTransaction, native, SUBMIT_ATOMIC } from './native.ts';
import type { IteratorOptions } from './operations.ts';
import { Packer, toBytes } from './packer.ts';
import { boundsOf, checkLimit, keyBytes } from './range.ts';
import type { Reads } from './reads.ts';
import { Snapshot } from './snapshot.ts';
import { Outgoing, type OutgoingMessage } from './topics/outgoing.ts';
import type { Writes } from './writes.ts';

interface Written {
  key: Buffer;
  /** Undefined: deleted. */
  value: Buffer | undefined;
  expiryMs: number;
}

/** @internal What a transaction works on. */
export interface TransactionSource<K, V> {
  database: Database<K, V>;
  native: NativeDatabase;
  keys: KeyCodec<K>;
  values: ValueCodec<V>;
  writes: Writes<K, V>;
  /** Reads that neither encode nor decode. */
  bytes: Reads<Buffer, Buffer>;
}

/**
 * Reads see the database at the transaction's beginning plus the transaction's own writes; nothing is written until the
 * function given to `db.transaction()` has resolved. If anything read has been written by others since, the commit is
 * refused, so transactions are serialisable; ranges count as read as far as they were asked for.
 */
export class Transaction<K, V> {
  readonly #source: TransactionSource<K, V>;
  readonly #native: NativeTransaction;
  readonly #snapshot: Snapshot<K, V>;
  readonly #reads = new Map<string, Buffer>();
  readonly #ranges: (Uint8Array | undefined)[] = [];
  readonly #written = new Map<string, Written>();
  readonly #messages = new Outgoing();
  #refused = false;
  #ended = false;

  /** @internal Use {@link beginTransaction}. */
  constructor(source: TransactionSource<K, V>, native: NativeTransaction, snapshot: Snapshot<K, V>) {
    this.#source = source;
    this.#native = native;
    this.#snapshot = snapshot;
  }

  /**
   * @returns the value, or `undefined` if the key is absent.
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   const left = Number((await tx.get('stock')) ?? 1);
   *   if (left > 0) tx.put('stock', String(left - 1));
   * });
   * ```
   */
  async get(key: K): Promise<V | undefined> {
    return (await this.getMany([key]))[0];
  }

  /**
   * @returns the values in the order of `keys`.
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   const [from, to] = (await tx.getMany(['account/1', 'account/2'])).map((value) => Number(value ?? 0));
   *   tx.put('account/1', String(Number(from) - 10));
   *   tx.put('account/2', String(Number(to) + 10));
   * });
   * ```
   */
  async getMany(keys: readonly K[]): Promise<(V | undefined)[]> {
    this.#check();
    if (!Array.isArray(keys)) throw invalid('the keys must be an array');
    const values: (V | undefined)[] = new Array(keys.length);
    const missing: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const bytes = toBytes(this.#source.keys.encode(keys[i]), 'key');
      const id = idOf(bytes);
      const written = this.#written.get(id);
      if (written !== undefined) {
        values[i] = this.#decode(written.value);
      } else {
        if (!this.#reads.has(id)) this.#reads.set(id, bytes);
        missing.push(i);
      }
    }
    if (missing.length > 0) {
      const read = await this.#read(this.#snapshot.getMany(missing.map((i) => keys[i] as K)));
      for (let j = 0; j < missing.length; j++) values[missing[j] as number] = read[j];
    }
    return values;
  }

  /**
   * @returns whether the key exists.
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   if (!(await tx.has('user/2'))) tx.put('user/2', me);
   * });
   * ```
   */
  async has(key: K): Promise<boolean> {
    this.#check();
    const bytes = toBytes(this.#source.keys.encode(key), 'key');
    const written = this.#written.get(idOf(bytes));
    if (written !== undefined) return written.value !== undefined;
    this.#reads.set(idOf(bytes), bytes);
    return this.#read(this.#snapshot.has(key));
  }

  /**
   * @param options `ttl` in milliseconds, at least 1
   * @example
   * ```ts
   * await db.transaction(async (tx) => tx.put('balance', 7, { ttl: 60_000 }));
   * ```
   */
  put(key: K, value: V, options?: { ttl?: number }): void {
    this.#check();
    const expiryMs = putExpiry(options);
    const bytes = toBytes(this.#source.keys.encode(key), 'key');
    const copy = toBytes(this.#source.values.encode(value), 'value');
    this.#written.set(idOf(bytes), { key: bytes, value: copy, expiryMs });
  }

  delete(key: K): void {
    this.#check();
    const bytes = toBytes(this.#source.keys.encode(key), 'key');
    this.#written.set(idOf(bytes), { key: bytes, value: undefined, expiryMs: 0 });
  }

  /**
   * Sends a message to a topic, if the transaction commits: it appears there if and only if what the transaction wrote
   * does.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   tx.put('order/7', order);
   *   tx.send({ topic: orders, key: 'order/7', value: order });
   * });
   * ```
   */
  send<MV, MK>(message: OutgoingMessage<MV, MK>): void {
    this.#check();
    this.#messages.add(message);
  }

  /**
   * Walks a range in key order, own writes up to this call included.
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   for await (const [key] of tx.iterator({ prefix: 'cart/7/' })) tx.delete(key);
   * });
   * ```
   */
  async *iterator(range: Omit<IteratorOptions<K, V>, 'snapshot'> = {}): AsyncGenerator<[K, V], void, undefined> {
    this.#check();
    const { limit = -1, reverse = false } = range;
    checkLimit(limit);
    const { start, end } = boundsOf(this.#source.keys, range);
    // An empty range reads nothing, so it conflicts with nothing.
    if (start === undefined || end === undefined || start.compare(end) < 0) this.#ranges.push(start, end);
    const own = [...this.#written.values()]
      .filter(
        ({ key }) => (start === undefined || key.compare(start) >= 0) && (end === undefined || key.compare(end) < 0),
      )
      .sort((a, b) => (reverse ? b.key.compare(a.key) : a.key.compare(b.key)));
    const base = this.#snapshot.iterator({ ...range, limit: own.length === 0 ? limit : -1 });
    let left = limit < 0 ? Number.POSITIVE_INFINITY : limit;
    let next = 0;
    try {
      let stored = await base.next();
      while (left > 0) {
        const mine = own[next];
        if (mine === undefined && stored === undefined) return;
        let order = mine === undefined ? 1 : -1;
        if (mine !== undefined && stored !== undefined) {
          order = mine.key.compare(keyBytes(this.#source.keys, stored[0]));
          if (reverse) order = -order;
        }
        if (order > 0) {
          yield stored as [K, V];
          left--;
          stored = await base.next();
          continue;
        }
        if (order === 0) stored = await base.next();
        next++;
        if (mine?.value !== undefined) {
          const { key } = mine;
          const copy = new Block(Buffer.from(key));
          yield [this.#source.keys.decode(copy, 0, key.length), this.#decode(mine.value) as V];
          left--;
        }
      }
    } finally {
      await base.close();
    }
  }

  /** @internal Reads as the transaction does, without decoding; a part of what it has read. */
  readBytes(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    this.#check();
    for (const key of keys) this.#reads.set(idOf(key), key);
    return this.#read(this.#source.bytes.getMany(keys, this.#snapshot.handle()));
  }

  /** @internal The keys that were read, if some were refused with ERR_FROZEN. */
  get frozen(): readonly Buffer[] {
    return this.#refused ? [...this.#reads.values()] : [];
  }

  /** @internal Puts, or deletes if there is no value. The transaction keeps both buffers. */
  writeBytes(key: Buffer, value: Buffer | undefined, expiryMs: number): void {
    this.#check();
    this.#written.set(idOf(key), { key, value, expiryMs });
  }

  /** @internal Writes what was put and deleted, if nothing that was read has changed. */
  commit(flags: number): Promise<void> {
    this.#check();
    this.#ended = true;
    if (this.#written.size === 0 && this.#messages.count === 0) return Promise.resolve();
    const packed = new Packer(1024);
    for (const { key, value, expiryMs } of this.#written.values()) {
      if (value === undefined) packed.delete(key);
      else packed.put(key, value, expiryMs);
    }
    const reads = new Packer(1024);
    for (const key of this.#reads.values()) reads.key(key);
    const { native, writes } = this.#source;
    writes.flush();
    return new Promise<void>((resolve, reject) => {
      const size = packed.size + this.#messages.bytes;
      const ticket = issueTicket<undefined>(
        () => {
          writes.ended(size);
          resolve();
        },
        (error) => {
          writes.ended(size);
          reject(error);
        },
      );
      writes.began(size);
      const code = native.submitChecked(
        ticket,
        packed.buffer,
        packed.size,
        packed.count,
        flags | SUBMIT_ATOMIC,
        this.#native,
        reads.buffer,
        reads.size,
        reads.count,
        this.#ranges,
        this.#messages.native(),
      );
      if (code !== 0) {
        withdrawTicket(ticket);
        writes.ended(size);
        reject(takeError());
      }
    });
  }

  /** @internal */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#snapshot.close();
    this.#native.end();
  }

  async #read<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (hasCode(error, 'ERR_FROZEN')) this.#refused = true;
      throw error;
    }
  }

  #decode(value: Buffer | undefined): V | undefined {
    if (value === undefined) return undefined;
    return this.#source.values.decode(new Block(Buffer.from(value)), 0, value.length);
  }

  #check(): void {
    if (this.#ended) throw new ThermoclineError('ERR_CLOSED', 'the transaction has ended');
  }
}

/** @internal Opens a transaction at the moment between two groups of writes. */
export async function beginTransaction<K, V>(source: TransactionSource<K, V>): Promise<Transaction<K, V>> {
  source.writes.flush();
  const native = await call<NativeTransaction>((ticket) => source.native.beginTransaction(ticket));
  const view = native.snapshot();
  if (view === undefined) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
  return new Transaction(source, native, new Snapshot(source.database, source.native, view));
}

/** Brings the shards of some keys back: a snapshot from before does not show them, a new one does. */
async function thaw<K, V>({ database: { shards } }: TransactionSource<K, V>, keys: readonly Buffer[]): Promise<void> {
  const slots = new Set(keys.map((key) => native.slotOf(key)));
  for (const shard of await shards.list()) {
    const holds = [...slots].some((slot) => shard.slots.some(([first, last]) => first <= slot && slot <= last));
    if (holds && shard.state === 'frozen') await shards.thaw(shard.id);
  }
}

/** @internal How often a transaction runs again after a conflict. */
export const DEFAULT_RETRIES = 16;

/** @internal Runs `step` in transactions until one commits without a conflict. Shards that it reads from are thawed. */
export async function retrying<K, V, R>(
  source: TransactionSource<K, V>,
  flags: number,
  retries: number,
  signal: AbortSignal | undefined,
  step: (transaction: Transaction<K, V>) => Promise<R>,
): Promise<R> {
  let conflicts = 0;
  let thaws = 0;
  for (;;) {
    if (signal?.aborted) throw aborted(signal);
    const transaction = await beginTransaction(source);
    let committing: Promise<void> | undefined;
    let frozen: readonly Buffer[] = [];
    try {
      const result = await until(signal, Promise.resolve(step(transaction)));
      if (signal?.aborted) throw aborted(signal);
      committing = transaction.commit(flags);
      await until(signal, committing);
      return result;
    } catch (error) {
      if (hasCode(error, 'ERR_FROZEN') && thaws < DEFAULT_RETRIES) frozen = transaction.frozen;
      if (frozen.length === 0 && (!hasCode(error, 'ERR_CONFLICT') || conflicts >= retries)) throw error;
    } finally {
      // Not before its commit was validated, whatever the caller was told: it needs what is recorded while it is open.
      if (committing === undefined) await transaction.end();
      else committing.catch(() => {}).finally(() => transaction.end());
    }
    if (frozen.length > 0) {
      await until(signal, thaw(source, frozen));
      thaws++;
      continue;
    }
    // Full jitter: those who collided spread out instead of colliding again.
    const ceiling = Math.min(50, 2 ** conflicts++);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * ceiling));
  }
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof ThermoclineError && error.code === code;
}

function idOf(bytes: Buffer): string {
  return bytes.toString('latin1');
}
