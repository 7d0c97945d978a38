import { Block } from './block.ts';
import { renewSlab, request, STANDALONE_BYTES, slab, slabIsAttached } from './boundary.ts';
import { issueTicket, takeError, toError, withdrawTicket } from './dispatcher.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid } from './error.ts';
import {
  LOOKUP_ABSENT,
  LOOKUP_MISS,
  LOOKUP_NEEDS_ROOM,
  type NativeDatabase,
  type NativeResults,
  type NativeSnapshot,
  READ_ASK_CACHE,
  READ_PRESENCE_ONLY,
} from './native.ts';
import { Packer, writeKey } from './packer.ts';

const ABSENT = 0xffffffff;
const FAILED = 0xfffffffe;
const PACK_BYTES = 64 * 1024;
/** What a value of a snapshot is first given room for; a larger one costs a second look. */
const FIRST_ROOM = 4096;
/** Of one call to the engine, whose results name one of at most 65,536 arenas; every arena holds a value. */
const MAX_KEYS = 65_536;

interface Waiter<V> {
  resolve(value: V | undefined): void;
  reject(error: Error): void;
}

/** @internal Point reads of one database: cached ones at once, the misses of one turn together. */
export class Reads<K, V> {
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  /** Keys of this turn that the hot cache did not know. */
  readonly #missed = new Packer(PACK_BYTES);
  #waiters: Waiter<V>[] = [];
  /** Absent while keys are being packed, since an array may run code when it is read. */
  #spare: Packer | undefined;
  readonly #flushLater = () => this.flush();

  constructor(native: NativeDatabase, keys: KeyCodec<K>, values: ValueCodec<V>) {
    this.#native = native;
    this.#keys = keys;
    this.#values = values;
  }

  get(key: K): Promise<V | undefined> {
    const bytes = writeKey(request, this.#keys.encode(key));
    const length = this.#lookup(bytes, true);
    if (length >= 0) return Promise.resolve(this.#cut(length));
    if (length === LOOKUP_ABSENT) return Promise.resolve(undefined);
    if (length === LOOKUP_MISS) return this.#queue(bytes);
    if (length <= LOOKUP_NEEDS_ROOM) return Promise.resolve(this.#large(bytes, LOOKUP_NEEDS_ROOM - length));
    return Promise.reject(takeError());
  }

  getSync(key: K, snapshot: NativeSnapshot | undefined): V | undefined {
    const bytes = writeKey(request, this.#keys.encode(key));
    if (snapshot !== undefined) return this.#large(bytes, FIRST_ROOM, snapshot);
    const length = this.#lookup(bytes, false);
    if (length >= 0) return this.#cut(length);
    if (length === LOOKUP_ABSENT) return undefined;
    if (length <= LOOKUP_NEEDS_ROOM) return this.#large(bytes, LOOKUP_NEEDS_ROOM - length);
    throw takeError();
  }

  getMany(keys: readonly K[], snapshot: NativeSnapshot | undefined): Promise<(V | undefined)[]> {
    checkKeys(keys);
    if (keys.length > MAX_KEYS) return this.#inParts(keys, (part) => this.getMany(part, snapshot));
    return this.#read(keys, READ_ASK_CACHE, snapshot, (results, count) => this.#decode(results, count));
  }

  hasMany(keys: readonly K[], snapshot: NativeSnapshot | undefined): Promise<boolean[]> {
    checkKeys(keys);
    if (keys.length > MAX_KEYS) return this.#inParts(keys, (part) => this.hasMany(part, snapshot));
    return this.#read(keys, READ_ASK_CACHE | READ_PRESENCE_ONLY, snapshot, ([index], count) => {
      const pairs = pairsOf(index as Buffer, count);
      return Array.from({ length: count }, (_, i) => pairs[2 * i + 1] !== ABSENT);
    });
  }

  async #inParts<R>(keys: readonly K[], read: (part: readonly K[]) => Promise<R[]>): Promise<R[]> {
    const parts: Promise<R[]>[] = [];
    for (let i = 0; i < keys.length; i += MAX_KEYS) parts.push(read(keys.slice(i, i + MAX_KEYS)));
    return (await Promise.all(parts)).flat();
  }

  /** Sends the misses of this turn. */
  flush(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    const packed = this.#missed;
    this.#waiters = [];
    const fail = (error: Error) => {
      for (const waiter of waiters) waiter.reject(error);
    };
    const ticket = issueTicket<NativeResults>((results) => {
      const pairs = pairsOf(results[0] as Buffer, waiters.length);
      const arenas = arenasOf(results, waiters.length);
      for (let i = 0; i < waiters.length; i++) {
        const waiter = waiters[i] as Waiter<V>;
        try {
          if (pairs[2 * i + 1] === FAILED) waiter.reject(toError(...(results.failure as [number, string])));
          else waiter.resolve(this.#valueAt(arenas, pairs, i));
        } catch (error) {
          waiter.reject(error as Error);
        }
      }
    }, fail);
    // Not asking the cache again: every answer comes through the dispatcher.
    this.#native.getMany(ticket, packed.buffer, packed.size, packed.count, 0, undefined);
    packed.reset();
  }

  /** Asks for the key in the request buffer; on success the value stands at the slab's offset. */
  #lookup(keyBytes: number, cacheOnly: boolean): number {
    if (!slabIsAttached()) renewSlab();
    const length = this.#native.lookup(keyBytes, slab.offset, cacheOnly);
    if (length > LOOKUP_NEEDS_ROOM || LOOKUP_NEEDS_ROOM - length > STANDALONE_BYTES) return length;
    renewSlab();
    return this.#native.lookup(keyBytes, 0, cacheOnly);
  }

  #cut(length: number): V {
    const start = slab.offset;
    const end = start + length;
    // Before decoding, since a codec may read too. Eight-byte steps, so that typed arrays over a value are aligned.
    const { block } = slab;
    if (this.#values.keepsBytes) slab.offset = (end + 7) & ~7;
    return this.#values.decode(block, start, end);
  }

  /** A value that gets a buffer of its own. It may change size, or vanish, between two looks at the present. */
  #large(keyBytes: number, bytes: number, snapshot?: NativeSnapshot): V | undefined {
    for (let room = bytes; ; ) {
      const target = Buffer.allocUnsafeSlow(room);
      const length = this.#native.lookupLarge(keyBytes, target, snapshot);
      if (length >= 0) return this.#values.decode(new Block(target), 0, length);
      if (length === LOOKUP_ABSENT) return undefined;
      if (length > LOOKUP_NEEDS_ROOM) throw takeError();
      room = LOOKUP_NEEDS_ROOM - length;
    }
  }

  #queue(keyBytes: number): Promise<V | undefined> {
    if (this.#waiters.length === 0) process.nextTick(this.#flushLater);
    this.#missed.key(request.subarray(0, keyBytes));
    const promise = new Promise<V | undefined>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if (this.#missed.size >= PACK_BYTES) this.flush();
    return promise;
  }

  #read<R>(
    keys: readonly K[],
    flags: number,
    snapshot: NativeSnapshot | undefined,
    decode: (results: NativeResults, count: number) => R,
  ): Promise<R> {
    const packed = this.#spare ?? new Packer(PACK_BYTES);
    this.#spare = undefined;
    for (let i = 0; i < keys.length; i++) packed.key(this.#keys.encode(keys[i]));
    const { count } = packed;
    let resolve: (value: R) => void = () => {};
    let reject: (error: Error) => void = () => {};
    const ticket = issueTicket<NativeResults>(
      (results) => {
        try {
          resolve(decode(results, count));
        } catch (error) {
          reject(error as Error);
        }
      },
      (error) => reject(error),
    );
    const ready = this.#native.getMany(ticket, packed.buffer, packed.size, count, flags, snapshot);
    packed.reset();
    this.#spare = packed;
    if (ready !== undefined) {
      withdrawTicket(ticket);
      return Promise.resolve(decode(ready, count));
    }
    return new Promise<R>((onValue, onError) => {
      resolve = onValue;
      reject = onError;
    });
  }

  #decode(results: NativeResults, count: number): (V | undefined)[] {
    const pairs = pairsOf(results[0] as Buffer, count);
    const arenas = arenasOf(results, count);
    const values: (V | undefined)[] = new Array(count);
    for (let i = 0; i < count; i++) values[i] = this.#valueAt(arenas, pairs, i);
    return values;
  }

  #valueAt(arenas: Block[], pairs: Uint32Array, index: number): V | undefined {
    const length = pairs[2 * index + 1] as number;
    if (length === ABSENT) return undefined;
    const location = pairs[2 * index] as number;
    const offset = location & 0xffff;
    return this.#values.decode(arenas[location >>> 16] as Block, offset, offset + length);
  }
}

function checkKeys(keys: unknown): void {
  if (!Array.isArray(keys)) throw invalid('the keys must be an array');
}

function arenasOf(results: NativeResults, count: number): Block[] {
  const arenas: Block[] = new Array(results.length - 1);
  for (let i = 1; i < results.length; i++) {
    const bytes = results[i] as Buffer;
    arenas[i - 1] = count === 1 ? new Block(bytes) : Block.shared(bytes);
  }
  return arenas;
}

function pairsOf(index: Buffer, count: number): Uint32Array {
  return new Uint32Array(index.buffer, index.byteOffset, 2 * count);
}
