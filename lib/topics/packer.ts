import { invalid } from '../error.ts';

// Twins of native/engine/topic/record_format.h.
export const HAS_TIMESTAMP = 1;
export const HAS_ID = 2;
export const HAS_KEY = 4;
export const HAS_HEADERS = 8;

/** The most that the messages of one append may have, packed. */
export const MAX_APPEND_BYTES: number = 64 * 1024 * 1024;

const SHORT = 64;

/** Node's own fast paths, which its types leave out. */
interface FastBuffer extends Buffer {
  utf8Write(text: string, offset: number, length: number): number;
}

/** ECMAScript 2024; in every Node that this package supports. */
interface WellFormed {
  isWellFormed(): boolean;
}

/** @internal Writes messages into one growing buffer, in the form of a batch's body. */
export class MessagePacker {
  buffer: FastBuffer;
  size = 0;
  count = 0;
  readonly #initial: number;

  constructor(initialBytes: number) {
    this.#initial = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes) as FastBuffer;
  }

  reset(): void {
    this.size = 0;
    this.count = 0;
    // What one huge append has grown is given back.
    if (this.buffer.length > 16 * this.#initial) this.buffer = Buffer.allocUnsafeSlow(this.#initial) as FastBuffer;
  }

  /** Forgets what was written after `size` and `count`. */
  rewind(size: number, count: number): void {
    this.size = size;
    this.count = count;
  }

  /** @param delta milliseconds after the batch's first timestamp; undefined: the same */
  add(
    value: string | Uint8Array,
    key: string | Uint8Array | undefined,
    id: string | undefined,
    headers: Readonly<Record<string, string | Uint8Array>> | undefined,
    delta: number | undefined,
  ): void {
    const names = headers === undefined ? [] : Object.keys(headers);
    let flags = 0;
    if (delta !== undefined) flags |= HAS_TIMESTAMP;
    if (id !== undefined) flags |= HAS_ID;
    if (key !== undefined) flags |= HAS_KEY;
    if (names.length > 0) flags |= HAS_HEADERS;
    this.#reserve(16);
    this.buffer[this.size++] = flags;
    if (flags !== 0) {
      if (delta !== undefined) this.#varint(delta >= 0 ? 2 * delta : -2 * delta - 1);
      if (id !== undefined) this.#part(id, 'id');
      if (key !== undefined) this.#part(key, 'key');
      if (names.length > 0) {
        this.#varint(names.length);
        for (const name of names) {
          this.#part(name, 'header name');
          this.#part(headers?.[name] as string | Uint8Array, 'header');
        }
      }
    }
    this.#part(value, 'value');
    this.count++;
  }

  #part(part: string | Uint8Array, what: string): void {
    if (typeof part === 'string') this.#text(part, what);
    else this.#bytes(part, what);
  }

  #bytes(bytes: Uint8Array, what: string): void {
    const { length } = bytes;
    this.#check(length, what);
    this.#reserve(length + 16);
    this.#varint(length);
    if (length <= 24) for (let i = 0; i < length; i++) this.buffer[this.size + i] = bytes[i] as number;
    else this.buffer.set(bytes, this.size);
    this.size += length;
  }

  #text(text: string, what: string): void {
    const { length } = text;
    if (length < SHORT) {
      this.#reserve(length + 16);
      const { buffer } = this;
      const at = this.size + 1;
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        buffer[at + i] = unit;
      }
      if (i === length) {
        buffer[this.size] = length;
        this.size = at + length;
        return;
      }
    }
    if (!(text as unknown as WellFormed).isWellFormed()) {
      throw invalid(`the ${what} has a lone surrogate, which UTF-8 cannot hold`);
    }
    const bytes = Buffer.byteLength(text);
    this.#check(bytes, what);
    this.#reserve(bytes + 16);
    this.#varint(bytes);
    this.size += this.buffer.utf8Write(text, this.size, bytes);
  }

  #check(bytes: number, what: string): void {
    if (this.size + bytes <= MAX_APPEND_BYTES) return;
    throw invalid(`with this ${what} of ${bytes} bytes the append exceeds ${MAX_APPEND_BYTES}: append in parts`);
  }

  /** REQUIRES: room for it. */
  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.size++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.size++] = rest;
  }

  #reserve(bytes: number): void {
    const needed = this.size + bytes;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.buffer.length)) as FastBuffer;
    larger.set(this.buffer.subarray(0, this.size));
    this.buffer = larger;
  }
}
