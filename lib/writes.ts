import { issueTicket, takeError, withdrawTicket } from './dispatcher.ts';
import type { BatchOperation, PutOptions, WriteOptions } from './database.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { NativeDatabase } from './native.ts';
import { checkObject } from './options.ts';
import { Packer } from './packer.ts';
import type { Bounds } from './range.ts';

/** Puts of one turn are sent earlier once they fill this, so that the engine starts while JavaScript packs on. */
const PACK_BYTES = 64 * 1024;
const SOFT_IN_FLIGHT_BYTES = 32 * 1024 * 1024;
/** How many packs putMany keeps in flight: one being written, one waiting, one being packed, one to spare. */
const PUT_MANY_AHEAD = 4;
const MAX_EXPIRY_MS = 2 ** 48 - 1;

const WRITE_NAMES = new Set(['durability', 'signal']);
const PUT_NAMES = new Set(['durability', 'signal', 'ttl']);
const PUT_OPERATION_NAMES = new Set(['type', 'key', 'value', 'ttl']);
const DELETE_OPERATION_NAMES = new Set(['type', 'key']);

interface Turn {
  promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/** Writes of one database: those of one turn of the event loop cross to the engine together. */
export class Writes<K, V> {
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #readOnly: boolean;
  readonly #onDrain: () => void;
  /** Writes of this turn; each is a commit of its own. */
  readonly #packed = new Packer(2 * PACK_BYTES);
  /** What the writes of this turn return. They go together, so they succeed or fail together. */
  #turn: Turn | undefined;
  readonly #batch = new Packer(PACK_BYTES);
  #inFlightBytes = 0;
  #draining = false;
  readonly #flushLater = () => this.flush();

  constructor(
    native: NativeDatabase,
    keys: KeyCodec<K>,
    values: ValueCodec<V>,
    readOnly: boolean,
    onDrain: () => void,
  ) {
    this.#native = native;
    this.#keys = keys;
    this.#values = values;
    this.#readOnly = readOnly;
    this.#onDrain = onDrain;
  }

  get needsDrain(): boolean {
    return this.#inFlightBytes + this.#packed.size > SOFT_IN_FLIGHT_BYTES;
  }

  put(key: K, value: V, options: PutOptions | undefined): Promise<void> {
    const signal = options === undefined ? undefined : checkWrite(options, PUT_NAMES, 'of put');
    const expiry = options?.ttl === undefined ? 0 : expiryOf(options.ttl);
    const keyBytes = this.#keys.encode(key);
    const valueBytes = this.#values.encode(value);
    const packed = this.#packed;
    const { size, count } = packed;
    try {
      packed.put(keyBytes, valueBytes, expiry);
    } catch (error) {
      packed.rewind(size, count);
      throw error;
    }
    return this.#inTurn(signal);
  }

  delete(key: K, options: WriteOptions | undefined): Promise<void> {
    const signal = options === undefined ? undefined : checkWrite(options, WRITE_NAMES, 'of delete');
    const keyBytes = this.#keys.encode(key);
    const packed = this.#packed;
    const { size, count } = packed;
    try {
      packed.delete(keyBytes);
    } catch (error) {
      packed.rewind(size, count);
      throw error;
    }
    return this.#inTurn(signal);
  }

  batch(operations: readonly BatchOperation<K, V>[], options: WriteOptions | undefined): Promise<void> {
    const signal = options === undefined ? undefined : checkWrite(options, WRITE_NAMES, 'of batch');
    if (!Array.isArray(operations)) throw invalid('batch takes an array of operations');
    const packed = this.#batch;
    packed.reset();
    for (let i = 0; i < operations.length; i++) this.#pack(packed, operations[i] as BatchOperation<K, V>, i);
    return until(signal, this.#submit(packed, true));
  }

  deleteRange({ start, end }: Bounds): Promise<void> {
    const packed = this.#batch;
    packed.reset();
    packed.deleteRange(start ?? Buffer.alloc(0), end);
    return this.#submit(packed, true);
  }

  async putMany(
    entries: Iterable<[K, V]> | AsyncIterable<[K, V]>,
    options: WriteOptions | undefined,
  ): Promise<number> {
    const signal = options === undefined ? undefined : checkWrite(options, WRITE_NAMES, 'of putMany');
    const packed = new Packer(2 * PACK_BYTES);
    const inFlight: Promise<void>[] = [];
    let written = 0;
    const send = async () => {
      written += packed.count;
      const sent = this.#submit(packed, false);
      sent.catch(() => {}); // awaited below; a failure of a later one must not go unhandled meanwhile
      inFlight.push(sent);
      packed.reset();
      if (inFlight.length >= PUT_MANY_AHEAD) await inFlight.shift();
    };
    const add = (entry: [K, V]) => {
      if (!Array.isArray(entry) || entry.length !== 2) throw invalid('putMany takes [key, value] pairs');
      const { size, count } = packed;
      try {
        packed.put(this.#keys.encode(entry[0]), this.#values.encode(entry[1]), 0);
      } catch (error) {
        packed.rewind(size, count);
        throw error;
      }
    };
    if (isIterable(entries)) {
      for (const entry of entries) {
        add(entry);
        if (packed.size >= PACK_BYTES) {
          signal?.throwIfAborted();
          await send();
        }
      }
    } else if (isAsyncIterable(entries)) {
      for await (const entry of entries) {
        add(entry);
        if (packed.size >= PACK_BYTES) {
          signal?.throwIfAborted();
          await send();
        }
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
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    const packed = this.#packed;
    this.#send(packed, false, turn.resolve, turn.reject);
    packed.reset();
  }

  #inTurn(signal: AbortSignal | undefined): Promise<void> {
    let turn = this.#turn;
    if (turn === undefined) {
      turn = newTurn();
      this.#turn = turn;
      process.nextTick(this.#flushLater);
    }
    if (this.#packed.size >= PACK_BYTES) this.flush();
    return until(signal, turn.promise);
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

  #submit(packed: Packer, atomic: boolean): Promise<void> {
    this.flush(); // writes happen in the order of the calls
    return new Promise<void>((resolve, reject) => this.#send(packed, atomic, resolve, reject));
  }

  #send(packed: Packer, atomic: boolean, resolve: () => void, reject: (error: Error) => void): void {
    if (this.#readOnly) {
      reject(new ThermoclineError('ERR_READ_ONLY', 'the database is open read-only'));
      return;
    }
    const { size } = packed;
    const ended = () => {
      this.#inFlightBytes -= size;
      if (this.#draining && this.#inFlightBytes <= SOFT_IN_FLIGHT_BYTES / 2) {
        this.#draining = false;
        this.#onDrain();
      }
    };
    const ticket = issueTicket<undefined>(
      () => {
        ended();
        resolve();
      },
      (error) => {
        ended();
        reject(error);
      },
    );
    this.#inFlightBytes += size;
    if (this.#inFlightBytes > SOFT_IN_FLIGHT_BYTES) this.#draining = true;
    if (this.#native.submit(ticket, packed.buffer, size, packed.count, atomic) !== 0) {
      withdrawTicket(ticket);
      ended();
      reject(takeError());
    }
  }
}

function newTurn(): Turn {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  return { promise, resolve, reject };
}

function expiryOf(ttl: unknown): number {
  if (typeof ttl !== 'number' || !Number.isFinite(ttl) || ttl < 1) {
    throw invalid('ttl must be a number of milliseconds, at least 1');
  }
  return Math.min(Date.now() + Math.ceil(ttl), MAX_EXPIRY_MS);
}

function checkWrite(options: WriteOptions, names: ReadonlySet<string>, where: string): AbortSignal | undefined {
  checkObject(options, names, where);
  if (options.durability !== undefined && options.durability !== 'wal') throw invalid("durability must be 'wal'");
  const { signal } = options;
  if (signal !== undefined) {
    if (!(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
    if (signal.aborted) throw aborted(signal);
  }
  return signal;
}

function aborted(signal: AbortSignal): ThermoclineError {
  return new ThermoclineError('ERR_ABORTED', 'the operation was aborted', { cause: signal.reason });
}

/** The promise, or ERR_ABORTED as soon as the signal says so. */
function until(signal: AbortSignal | undefined, promise: Promise<void>): Promise<void> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
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
