import { Block } from './block.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { Tuple } from './tuple-types.ts';
import { decodeTuple, encodeTuple } from './tuples.ts';

/** Keys that are tuples of type `T`: see {@link tuples}. */
export interface TupleEncoding<T extends Tuple> {
  /** Types alone. */
  readonly tuple: T;
}

const TUPLES: TupleEncoding<Tuple> = Object.freeze({ tuple: [] });

/**
 * Composite keys: tuples, ordered element by element. Elements of different types are ordered by type: `null`, `false`,
 * `true`, numbers, bigints, Dates, strings (by code point), bytes, tuples. A tuple stands before the longer ones that
 * begin with it. Ranges and prefixes take the beginnings of tuples too. `-0` is `0`; NaN, invalid Dates, lone surrogates
 * and everything else are refused.
 *
 * @returns a value for `keyEncoding`
 * @example
 * ```ts
 * const orders = await open('./orders', { keyEncoding: tuples<[customer: string, at: Date]>(), valueEncoding: 'json' });
 * await orders.put(['kari', new Date('2026-01-02')], { total: 12 });
 * await orders.iterator({ prefix: ['kari'], reverse: true, limit: 1 }).next(); // the latest of one customer
 * await orders.close();
 * ```
 */
export function tuples<T extends Tuple = Tuple>(): TupleEncoding<T> {
  return TUPLES as TupleEncoding<T>;
}

/** How keys look to the program: `'utf8'` strings (the default), `'buffer'`, or {@link tuples}. */
export type KeyEncoding = 'utf8' | 'buffer' | TupleEncoding<Tuple>;

/**
 * Turns values into bytes and back.
 *
 * @example
 * ```ts
 * const dates: Codec<Date> = {
 *   encode: (date) => date.toISOString(),
 *   decode: (bytes) => new Date(bytes.toString()),
 * };
 * ```
 */
export interface Codec<T> {
  /** @returns what is stored: bytes, or text to be stored as UTF-8. */
  encode(value: T): Uint8Array | string;
  /** @param bytes a view that the caller owns; it may be kept. @returns anything but `undefined`, which means absent. */
  decode(bytes: Buffer): T;
}

/**
 * JSON with a type: `open(location, { valueEncoding: json<City>() })`. What is stored is trusted to have it.
 *
 * @returns a codec that stores what `'json'` does.
 * @example
 * ```ts
 * const db = await open('./cities', { valueEncoding: json<{ people: number }>() });
 * await db.put('oslo', { people: 709_000 });
 * await db.close();
 * ```
 */
export function json<T>(): Codec<T> {
  return {
    encode: (value) => jsonValues.encode(value),
    decode: (bytes) => jsonValues.decode(new Block(bytes), 0, bytes.length) as T,
  };
}

/** How values look to the program: `'buffer'` (the default), `'utf8'`, `'json'`, or a codec of your own. */
export type ValueEncoding<T = unknown> = 'buffer' | 'utf8' | 'json' | Codec<T>;

/** @internal What the database does with one side of its records. */
export interface KeyCodec<K> {
  /** Checks the type. The packer writes strings as UTF-8 and refuses what UTF-8 cannot hold. */
  encode(key: unknown): string | Uint8Array;
  decode(block: Block, start: number, end: number): K;
  readonly text: boolean;
}

/** @internal */
export interface ValueCodec<V> {
  encode(value: unknown): string | Uint8Array;
  decode(block: Block, start: number, end: number): V;
  /** decode returns a view of the buffer, so its bytes must not be written again. */
  readonly keepsBytes: boolean;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value;
}

/** Memory that was transferred away looks empty, and would be stored as such. */
function checkAttached(bytes: Uint8Array): void {
  try {
    new Uint8Array(bytes.buffer);
  } catch {
    throw invalid('the buffer is detached: its memory was transferred away');
  }
}

/** @internal */
export const utf8Keys: KeyCodec<string> = {
  encode(key) {
    if (typeof key !== 'string') {
      throw invalid(
        `keys are strings here, this one is ${typeName(key)}: open with keyEncoding 'buffer' for binary keys`,
      );
    }
    return key;
  },
  decode: (block, start, end) => block.utf8(start, end),
  text: true,
};

/** @internal */
export const bufferKeys: KeyCodec<Buffer> = {
  encode(key) {
    if (!(key instanceof Uint8Array)) {
      throw invalid(`keys are Buffers or Uint8Arrays here (keyEncoding 'buffer'), this one is ${typeName(key)}`);
    }
    if (key.length === 0) checkAttached(key);
    return key;
  },
  decode: (block, start, end) => block.view(start, end),
  text: false,
};

const tupleKeys: KeyCodec<Tuple> = {
  encode: encodeTuple,
  decode: (block, start, end) => decodeTuple(block.bytes.subarray(start, end)),
  text: false,
};

/** @internal */
export const bufferValues: ValueCodec<Buffer> = {
  encode(value) {
    if (!(value instanceof Uint8Array)) {
      throw invalid(
        `values are Buffers or Uint8Arrays here, this one is ${typeName(value)}: ` +
          "open with valueEncoding 'utf8' for strings or 'json' for objects",
      );
    }
    if (value.length === 0) checkAttached(value);
    return value;
  },
  decode: (block, start, end) => block.view(start, end),
  keepsBytes: true,
};

/** @internal */
export const utf8Values: ValueCodec<string> = {
  encode(value) {
    if (typeof value !== 'string') throw invalid(`values are strings here, this one is ${typeName(value)}`);
    return value;
  },
  decode: (block, start, end) => block.utf8(start, end),
  keepsBytes: false,
};

const jsonValues: ValueCodec<unknown> = {
  encode(value) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      throw invalid(`the value cannot be written as JSON: ${(cause as Error).message}`);
    }
    if (text === undefined) throw invalid(`${typeName(value)} cannot be written as JSON`);
    return text;
  },
  decode(block, start, end) {
    try {
      return JSON.parse(block.utf8(start, end));
    } catch (cause) {
      const message = 'a stored value is not JSON: it was written with another valueEncoding, or is damaged';
      throw new ThermoclineError('ERR_CORRUPTION', message, { cause });
    }
  },
  keepsBytes: false,
};

function customValues<V>(codec: Codec<V>): ValueCodec<V> {
  return {
    encode(value) {
      if (value === undefined) throw invalid('undefined means absent, so it cannot be stored: delete the key instead');
      const encoded = codec.encode(value as V);
      if (typeof encoded !== 'string' && !(encoded instanceof Uint8Array)) {
        throw invalid(`the value codec's encode returned ${typeName(encoded)} instead of bytes or a string`);
      }
      return encoded;
    },
    decode(block, start, end) {
      const value = codec.decode(block.view(start, end));
      if (value === undefined) throw invalid("the value codec's decode returned undefined, which means absent");
      return value;
    },
    keepsBytes: true,
  };
}

/** @internal */
export function keyCodec(encoding: unknown): KeyCodec<string> | KeyCodec<Buffer> | KeyCodec<Tuple> {
  if (encoding === undefined || encoding === 'utf8') return utf8Keys;
  if (encoding === 'buffer') return bufferKeys;
  if (encoding === TUPLES) return tupleKeys;
  throw invalid("keyEncoding must be 'utf8', 'buffer' or tuples()");
}

/** @internal */
export function valueCodec(encoding: unknown): ValueCodec<unknown> {
  if (encoding === undefined || encoding === 'buffer') return bufferValues;
  if (encoding === 'utf8') return utf8Values;
  if (encoding === 'json') return jsonValues;
  if (typeof encoding === 'object' && encoding !== null) {
    const codec = encoding as Partial<Codec<unknown>>;
    if (typeof codec.encode === 'function' && typeof codec.decode === 'function') {
      return customValues(codec as Codec<unknown>);
    }
  }
  throw invalid("valueEncoding must be 'buffer', 'utf8', 'json', or an object with encode and decode");
}
