import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from './boundary.ts';
import { invalid } from './error.ts';

// Twins of native/engine/commit/packed_ops.h.
const OP_PUT = 0;
const OP_DELETE = 1;
const OP_DELETE_RANGE = 2;
const HAS_EXPIRY = 0x10;
const HAS_END = 0x20;

const MAX_VARINT = 5;
const SHORT = 64;

/** Node's own fast paths, which its types leave out. */
interface FastBuffer extends Buffer {
  utf8Write(text: string, offset: number, length: number): number;
}

/** ECMAScript 2024; in every Node that this package supports. */
interface WellFormed {
  isWellFormed(): boolean;
}

/**
 * Writes keys and operations into one growing buffer, in the form the engine reads.
 *
 * The buffer is reused after {@link Packer.reset}; the engine copies it when it is submitted.
 */
export class Packer {
  buffer: FastBuffer;
  /** Bytes written. */
  size = 0;
  /** Operations or keys written. */
  count = 0;
  readonly #initial: number;

  constructor(initialBytes: number) {
    this.#initial = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes) as FastBuffer;
  }

  reset(): void {
    this.size = 0;
    this.count = 0;
    // What one huge batch has grown is given back.
    if (this.buffer.length > 16 * this.#initial) this.buffer = Buffer.allocUnsafeSlow(this.#initial) as FastBuffer;
  }

  /** Forgets what was written after `size` and `count`: an operation that failed half-way. */
  rewind(size: number, count: number): void {
    this.size = size;
    this.count = count;
  }

  put(key: string | Uint8Array, value: string | Uint8Array, expiryMs: number): void {
    this.#reserve(1);
    this.buffer[this.size++] = expiryMs === 0 ? OP_PUT : OP_PUT | HAS_EXPIRY;
    this.#key(key);
    if (typeof value === 'string') this.#text(value, MAX_VALUE_BYTES, 'value');
    else this.#bytes(value, MAX_VALUE_BYTES, 'value');
    if (expiryMs !== 0) {
      this.#reserve(6);
      this.buffer.writeUIntLE(expiryMs, this.size, 6);
      this.size += 6;
    }
    this.count++;
  }

  delete(key: string | Uint8Array): void {
    this.#reserve(1);
    this.buffer[this.size++] = OP_DELETE;
    this.#key(key);
    this.count++;
  }

  /** `start` is inclusive, `end` exclusive; without `end` everything from `start` on. */
  deleteRange(start: Uint8Array, end: Uint8Array | undefined): void {
    this.#reserve(1);
    this.buffer[this.size++] = end === undefined ? OP_DELETE_RANGE : OP_DELETE_RANGE | HAS_END;
    // A bound derived from the longest key is one byte longer than a key.
    this.#bytes(start, MAX_KEY_BYTES + 1, 'key');
    if (end !== undefined) this.#bytes(end, MAX_KEY_BYTES + 1, 'key');
    this.count++;
  }

  /** A bare key, for reads. */
  key(key: string | Uint8Array): void {
    this.#key(key);
    this.count++;
  }

  #key(key: string | Uint8Array): void {
    if (typeof key === 'string') this.#text(key, MAX_KEY_BYTES, 'key');
    else this.#bytes(key, MAX_KEY_BYTES, 'key');
  }

  #text(text: string, limit: number, what: string): void {
    const length = text.length;
    if (length < SHORT) {
      this.#reserve(1 + length);
      const { buffer } = this;
      let at = this.size + 1;
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        buffer[at++] = unit;
      }
      if (i === length) {
        buffer[this.size] = length;
        this.size = at;
        return;
      }
    }
    if (!(text as unknown as WellFormed).isWellFormed()) throw loneSurrogate(what);
    const bytes = Buffer.byteLength(text);
    if (bytes > limit) throw tooLong(what, bytes, limit);
    this.#reserve(MAX_VARINT + bytes);
    this.#varint(bytes);
    this.buffer.utf8Write(text, this.size, bytes);
    this.size += bytes;
  }

  #bytes(bytes: Uint8Array, limit: number, what: string): void {
    const length = bytes.length;
    if (length > limit) throw tooLong(what, length, limit);
    this.#reserve(MAX_VARINT + length);
    this.#varint(length);
    if (length <= 24) {
      // Below this the call into the runtime costs more than the loop.
      const { buffer } = this;
      const at = this.size;
      for (let i = 0; i < length; i++) buffer[at + i] = bytes[i] as number;
    } else {
      this.buffer.set(bytes, this.size);
    }
    this.size += length;
  }

  #varint(value: number): void {
    const { buffer } = this;
    let rest = value;
    while (rest >= 0x80) {
      buffer[this.size++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.size++] = rest;
  }

  #reserve(bytes: number): void {
    const needed = this.size + bytes;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.buffer.length)) as FastBuffer;
    larger.set(this.buffer.subarray(0, this.size));
    this.buffer = larger;
  }
}

/** Writes a key's bytes to the start of `target`, without a length. Returns how many. */
export function writeKey(target: Buffer, key: string | Uint8Array): number {
  const { length } = key;
  if (typeof key !== 'string') {
    if (length > MAX_KEY_BYTES) throw tooLong('key', length, MAX_KEY_BYTES);
    if (length <= 24) for (let i = 0; i < length; i++) target[i] = key[i] as number;
    else target.set(key);
    return length;
  }
  if (length < SHORT) {
    let i = 0;
    for (; i < length; i++) {
      const unit = key.charCodeAt(i);
      if (unit >= 0x80) break;
      target[i] = unit;
    }
    if (i === length) return length;
  }
  if (!(key as unknown as WellFormed).isWellFormed()) throw loneSurrogate('key');
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) throw tooLong('key', bytes, MAX_KEY_BYTES);
  return (target as FastBuffer).utf8Write(key, 0, bytes);
}

/** A key or value as bytes of their own; refused like the packer refuses them. */
export function toBytes(encoded: string | Uint8Array, what: 'key' | 'value'): Buffer {
  const limit = what === 'key' ? MAX_KEY_BYTES : MAX_VALUE_BYTES;
  if (typeof encoded === 'string' && !(encoded as unknown as WellFormed).isWellFormed()) throw loneSurrogate(what);
  const bytes = Buffer.from(encoded as Uint8Array);
  if (bytes.length > limit) throw tooLong(what, bytes.length, limit);
  return bytes;
}

function tooLong(what: string, bytes: number, limit: number): Error {
  return invalid(`the ${what} has ${bytes} bytes; at most ${limit} are possible`);
}

function loneSurrogate(what: string): Error {
  return invalid(
    `the ${what} has a lone surrogate, which UTF-8 cannot hold: two such strings would become the same bytes`,
  );
}
