import { issueTicket, takeError, withdrawTicket } from './dispatcher.ts';
import {
  aborted,
  type CommitHandle,
  type Durability,
  expiryOf,
  until,
  type WriteOptions,
  WriteSettings,
} from './durability.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import { type NativeDatabase, SUBMIT_ATOMIC, SUBMIT_FSYNC } from './native.ts';
import type { BatchOperation, BatchWriteOptions } from './operations.ts';
import { Packer } from './packer.ts';
import type { Bounds } from './range.ts';
import { Outgoing } from './topics/outgoing.ts';

/** Puts of one turn are sent earlier once they fill this, so that the engine starts while JavaScript packs on. */
const PACK_BYTES = 64 * 1024;
const SOFT_IN_FLIGHT_BYTES = 32 * 1024 * 1024;
/** How many packs putMany keeps in flight: one being written, one waiting, one being packed, one to spare. */
const PUT_MANY_AHEAD = 4;

const WRITE_NAMES = new Set(['durability', 'signal']);
const BATCH_NAMES = new Set([...WRITE_NAMES, 'messages']);
const COMMIT_NAMES = new Set(['signal', 'messages']);
const PUT_NAMES = new Set([...WRITE_NAMES, 'ttl']);
const PUT_OPERATION_NAMES = new Set(['type', 'key', 'value', 'ttl', 'if']);
const DELETE_OPERATION_NAMES = new Set(['type', 'key', 'if']);

/** Writes of one turn of the event loop that ask for the same durability: they succeed or fail together. */
class Turn {
  readonly packed = new Packer(2 * PACK_BYTES);
  readonly flags: number;
  promise: Promise<void> | undefined;
  resolve: () => void = () => {};
  reject: (error: Error) => void = () => {};

  constructor(flags: number) {
    this.flags = flags;
  }
}

/** @internal Writes of one database: those of one turn of the event loop cross to the engine together. */
export class Writes<K, V> {
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #readOnly: boolean;
  readonly #settings: WriteSettings;
  readonly #onDrain: () => void;
  readonly #wal = new Turn(0);
  readonly #fsync = new Turn(SUBMIT_FSYNC);
  /** The turn that has writes not yet sent; at most one, so that writes keep the order of the calls. */
  #open: Turn | undefined;
  /** Kept between batches; absent while one is being packed, since a codec may write too. */
  #spare: Packer | undefined;
  /** Above this many bytes in flight the program is asked to wait for 'drain'. */
  readonly #softBytes: number;
  #inFlightBytes = 0;
  #draining = false;
  readonly #flushLater = () => this.flush();

  constructor(
    native: NativeDatabase,
    keys: KeyCodec<K>,
    values: ValueCodec<V>,
    readOnly: boolean,
    durability: Durability,
    maxInFlight: number | undefined,
    onDrain: () => void,
  ) {
    this.#softBytes = Math.min(SOFT_IN_FLIGHT_BYTES, (maxInFlight ?? Number.POSITIVE_INFINITY) / 2);
    this.#native = native;
    this.#keys = keys;
    this.#values = values;
    this.#readOnly = readOnly;
    this.#settings = new WriteSettings(durability);
    this.#onDrain = onDrain;
  }

  get settings(): WriteSettings {
    return this.#settings;
  }

  get needsDrain(): boolean {
    return this.#inFlightBytes + (this.#open?.packed.size ?? 0) > this.#softBytes;
  }

  put(key: K, value: V, options: (WriteOptions & { ttl?: number }) | undefined): Promise<void> {
    const keyBytes = this.#keys.encode(key);
    const valueBytes = this.#values.encode(value);
    let flags = this.#settings.flags;
    let expiry = 0;
    if (options !== undefined) {
      flags = this.#settings.check(options, PUT_NAMES, 'of put');
      if (options.ttl !== undefined) expiry = expiryOf(options.ttl);
    }
    const turn = this.#turn(flags);
    const { packed } = turn;
    const { size, count } = packed;
    try {
      packed.put(keyBytes, valueBytes, expiry);
    } catch (error) {
      packed.rewind(size, count);
      throw error;
    }
    return this.#joined(turn, options?.signal);
  }

  delete(key: K, options: WriteOptions | undefined): Promise<void> {
    const keyBytes = this.#keys.encode(key);
    const flags =
      options === undefined ? this.#settings.flags : this.#settings.check(options, WRITE_NAMES, 'of delete');
    const turn = this.#turn(flags);
    const { packed } = turn;
    const { size, count } = packed;
    try {
      packed.delete(keyBytes);
    } catch (error) {
      packed.rewind(size, count);
      throw error;
    }
    return this.#joined(turn, options?.signal);
  }

  batch(operations: readonly BatchOperation<K, V>[], options: BatchWriteOptions | undefined): Promise<void> {
    const flags = this.#settings.check(options, BATCH_NAMES, 'of batch');
    const messages = outgoing(options?.messages);
    const sent = this.#packing((packed) => {
      this.packAll(packed, operations);
      return this.submit(packed, flags | SUBMIT_ATOMIC, undefined, undefined, messages);
    });
    return until(options?.signal, sent);
  }

  /** Like batch, with a promise for each of the two stages. */
  commit(
    operations: readonly BatchOperation<K, V>[],
    options: Omit<BatchWriteOptions, 'durability'> | undefined,
  ): CommitHandle {
    this.#settings.check(options, COMMIT_NAMES, 'of commit');
    this.#settings.check({ durability: 'fsync' }, WRITE_NAMES, 'of commit');
    const messages = outgoing(options?.messages);
    return this.#packing((packed) => {
      this.packAll(packed, operations);
      let resolveApplied: () => void = () => {};
      let rejectApplied: (error: Error) => void = () => {};
      const applied = new Promise<void>((resolve, reject) => {
        resolveApplied = resolve;
        rejectApplied = reject;
      });
      const durable = this.submit(packed, SUBMIT_ATOMIC | SUBMIT_FSYNC, resolveApplied, rejectApplied, messages);
      const handle = { applied: until(options?.signal, applied), durable: until(options?.signal, durable) };
      // Whoever awaits one of the two should not have to handle the failure of the other.
      handle.applied.catch(() => {});
      handle.durable.catch(() => {});
      return handle;
    });
  }

  deleteRange({ start, end }: Bounds): Promise<void> {
    return this.#packing((packed) => {
      packed.deleteRange(start ?? Buffer.alloc(0), end);
      return this.submit(packed, this.#settings.flags | SUBMIT_ATOMIC);
    });
  }

  async putMany(entries: Iterable<[K, V]> | AsyncIterable<[K, V]>, options: WriteOptions | undefined): Promise<number> {
    const flags = this.#settings.check(options, WRITE_NAMES, 'of putMany');
    const signal = options?.signal;
    const packed = new Packer(2 * PACK_BYTES);
    const packBytes = Math.min(PACK_BYTES, this.#softBytes / PUT_MANY_AHEAD);
    const inFlight: Promise<void>[] = [];
    let written = 0;
    const send = async () => {
      if (signal?.aborted) throw aborted(signal);
      written += packed.count;
      const sent = this.submit(packed, flags);
      sent.catch(() => {}); // awaited below; a failure of a later one must not go unhandled meanwhile
      inFlight.push(sent);
      packed.reset();
      while (inFlight.length >= PUT_MANY_AHEAD || (inFlight.length > 0 && this.needsDrain)) await inFlight.shift();
    };
    const add = (entry: [K, V]) => {
      if (!Array.isArray(entry) || entry.length !== 2) throw invalid('putMany takes [key, value] pairs');
      const keyBytes = this.#keys.encode(entry[0]);
      const valueBytes = this.#values.encode(entry[1]);
      const { size, count } = packed;
      try {
        packed.put(keyBytes, valueBytes, 0);
      } catch (error) {
        packed.rewind(size, count);
        throw error;
      }
    };
    if (isIterable(entries)) {
      for (const entry of entries) {
        add(entry);
        if (packed.size >= packBytes) await send();
      }
    } else if (isAsyncIterable(entries)) {
      for await (const entry of entries) {
        add(entry);
        if (packed.size >= packBytes) await send();
      }
    } else {
      throw invalid('putMany takes an iterable or async iterable of [key, value] pairs');
    }
    if (packed.count > 0) await send();
    for (const sent of inFlight) await sent;
    return written;
  }

  /** Sends the writes of this turn. */
  flush(): void {
    const turn = this.#open;
    if (turn === undefined) return;
    this.#open = undefined;
    turn.promise = undefined;
    this.#send(turn.packed, turn.flags, turn.resolve, turn.reject);
    turn.packed.reset();
  }

  /** Packs the operations of one batch; `if` members are left to the caller. */
  packAll(packed: Packer, operations: readonly BatchOperation<K, V>[]): void {
    if (!Array.isArray(operations)) throw invalid('a batch is an array of operations');
    for (let i = 0; i < operations.length; i++) this.#pack(packed, operations[i] as BatchOperation<K, V>, i);
  }

  /** Sends what was packed, after everything that was written before. */
  submit(
    packed: Packer,
    flags: number,
    resolveApplied?: () => void,
    rejectApplied?: (error: Error) => void,
    messages?: Outgoing,
  ): Promise<void> {
    this.flush();
    return new Promise<void>((resolve, reject) =>
      this.#send(packed, flags, resolve, reject, resolveApplied, rejectApplied, messages),
    );
  }

  #turn(flags: number): Turn {
    const turn = flags === 0 ? this.#wal : this.#fsync;
    if (this.#open !== turn) this.flush();
    return turn;
  }

  /** What a write of this turn returns; opens the turn if it is the first. */
  #joined(turn: Turn, signal: AbortSignal | undefined): Promise<void> {
    let { promise } = turn;
    if (promise === undefined) {
      promise = new Promise<void>((resolve, reject) => {
        turn.resolve = resolve;
        turn.reject = reject;
      });
      turn.promise = promise;
      this.#open = turn;
      process.nextTick(this.#flushLater);
    }
    if (turn.packed.size >= PACK_BYTES) this.flush();
    return signal === undefined ? promise : until(signal, promise);
  }

  /** Lends a packer for as long as `use` runs. */
  #packing<R>(use: (packed: Packer) => R): R {
    const packed = this.#spare ?? new Packer(PACK_BYTES);
    this.#spare = undefined;
    try {
      return use(packed);
    } finally {
      packed.reset(); // now, so that what a huge batch has grown is not kept until the next one
      this.#spare = packed;
    }
  }

  #pack(packed: Packer, operation: BatchOperation<K, V>, index: number): void {
    if (typeof operation !== 'object' || operation === null) {
      throw invalid(`operation ${index} of the batch must be an object`);
    }
    if (operation.type === 'put') {
      for (const name in operation) if (!PUT_OPERATION_NAMES.has(name)) throw unknownMember(name, index);
      const expiry = operation.ttl === undefined ? 0 : expiryOf(operation.ttl);
      packed.put(this.#keys.encode(operation.key), this.#values.encode(operation.value), expiry);
    } else if (operation.type === 'del') {
      for (const name in operation) if (!DELETE_OPERATION_NAMES.has(name)) throw unknownMember(name, index);
      packed.delete(this.#keys.encode(operation.key));
    } else {
      throw invalid(`operation ${index} of the batch must have type 'put' or 'del'`);
    }
  }

  #send(
    packed: Packer,
    flags: number,
    resolve: () => void,
    reject: (error: Error) => void,
    resolveApplied?: () => void,
    rejectApplied?: (error: Error) => void,
    messages?: Outgoing,
  ): void {
    if (this.#readOnly) {
      const error = new ThermoclineError('ERR_READ_ONLY', 'the database is open read-only');
      rejectApplied?.(error);
      reject(error);
      return;
    }
    const size = packed.size + (messages?.bytes ?? 0);
    const ticket = issueTicket<undefined>(
      () => {
        this.ended(size);
        resolve();
      },
      (error) => {
        this.ended(size);
        reject(error);
      },
    );
    const appliedTicket =
      resolveApplied === undefined || rejectApplied === undefined ? 0 : issueTicket(resolveApplied, rejectApplied);
    this.began(size);
    if (
      this.#native.submit(
        ticket,
        packed.buffer,
        packed.size,
        packed.count,
        flags,
        appliedTicket,
        messages?.native(),
      ) !== 0
    ) {
      const error = takeError();
      withdrawTicket(ticket);
      withdrawTicket(appliedTicket);
      this.ended(size);
      rejectApplied?.(error);
      reject(error);
    }
  }

  /** Counts bytes handed to the engine, until `ended`. */
  began(bytes: number): void {
    this.#inFlightBytes += bytes;
    if (this.#inFlightBytes > this.#softBytes) this.#draining = true;
  }

  ended(bytes: number): void {
    this.#inFlightBytes -= bytes;
    if (this.#draining && this.#inFlightBytes <= this.#softBytes / 2) {
      this.#draining = false;
      // On its own: a listener that throws must not keep other writes from being reported.
      process.nextTick(this.#onDrain);
    }
  }
}

function outgoing(messages: BatchWriteOptions['messages']): Outgoing | undefined {
  return messages === undefined ? undefined : new Outgoing().addAll(messages);
}

function unknownMember(name: string, index: number): ThermoclineError {
  return invalid(`operation ${index} of the batch has an unknown member '${name}'`);
}

function isIterable(value: unknown): value is Iterable<never> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<never> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
