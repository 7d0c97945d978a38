import { invalid, ThermoclineError } from './error.ts';
import type { Tuple, TupleElement } from './tuple-types.ts';

// Each element is a type byte and a body of known end, so that no encoded tuple begins with another unless the tuple
// does, and bytes compare as elements do (docs/on-disk-format.md). 0 ends strings, bytes and nested tuples: it is below
// every type byte, and the bodies escape it.
const END = 0x00;
const ESCAPE = 0x01;
const NULL = 0x08;
const FALSE = 0x10;
const TRUE = 0x11;
const NUMBER = 0x18;
const BIGINT = 0x20;
const DATE = 0x28;
const STRING = 0x30;
const BYTES = 0x38;
const TUPLE = 0x40;

/** Nested tuples beyond this are refused, so that no key can exhaust the stack. */
const MAX_DEPTH = 64;
const MAX_KEY_BYTES = 64 * 1024;
/** A bigint of more bytes has its length in four bytes of its own. */
const SHORT_BIGINT = 0x7e;

const numberBytes = Buffer.alloc(8);

class Writer {
  bytes: Buffer = Buffer.allocUnsafe(128);
  size = 0;

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.size++] = value;
  }

  reserve(more: number): void {
    if (this.size + more > MAX_KEY_BYTES) throw invalid(`the key has more than ${MAX_KEY_BYTES} bytes`);
    if (this.size + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.size + more, 2 * this.bytes.length));
    larger.set(this.bytes.subarray(0, this.size));
    this.bytes = larger;
  }

  /** 0 as 1 1, 1 as 1 2: order is kept, and the 0 at the end is below all. */
  escaped(body: Uint8Array): void {
    for (const byte of body) {
      if (byte <= ESCAPE) {
        this.byte(ESCAPE);
        this.byte(byte + 1);
      } else {
        this.byte(byte);
      }
    }
    this.byte(END);
  }

  /** IEEE 754, the sign flipped; negative numbers with every bit flipped. */
  double(value: number): void {
    numberBytes.writeDoubleBE(value === 0 ? 0 : value);
    const flip = (numberBytes[0] as number) >= 0x80 ? 0xff : 0x00;
    this.byte((numberBytes[0] as number) ^ flip ^ (flip === 0 ? 0x80 : 0));
    for (let i = 1; i < 8; i++) this.byte((numberBytes[i] as number) ^ flip);
  }

  /** 0x80 for 0; 0x80 and the number of bytes for positive ones; negative ones with every bit flipped. */
  bigint(value: bigint): void {
    if (value === 0n) {
      this.byte(0x80);
      return;
    }
    const flip = value < 0n ? 0xff : 0x00;
    const hex = (value < 0n ? -value : value).toString(16);
    const body = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
    const { length } = body;
    if (length > MAX_KEY_BYTES) throw invalid(`the key has more than ${MAX_KEY_BYTES} bytes`);
    if (length <= SHORT_BIGINT) {
      this.byte((0x80 + length) ^ flip);
    } else {
      this.byte(0xff ^ flip);
      for (const shift of [24, 16, 8, 0]) this.byte(((length >>> shift) & 0xff) ^ flip);
    }
    for (const byte of body) this.byte(byte ^ flip);
  }
}

function write(to: Writer, element: TupleElement, depth: number): void {
  switch (typeof element) {
    case 'boolean':
      to.byte(element ? TRUE : FALSE);
      return;
    case 'number':
      if (Number.isNaN(element)) throw invalid('a tuple cannot hold NaN: it has no place in any order');
      to.byte(NUMBER);
      to.double(element);
      return;
    case 'bigint':
      to.byte(BIGINT);
      to.bigint(element);
      return;
    case 'string':
      if (!(element as unknown as { isWellFormed(): boolean }).isWellFormed()) {
        throw invalid('a string of the tuple has a lone surrogate, which UTF-8 cannot hold');
      }
      to.byte(STRING);
      to.escaped(Buffer.from(element));
      return;
  }
  if (element === null) {
    to.byte(NULL);
    return;
  }
  if (element instanceof Uint8Array) {
    to.byte(BYTES);
    to.escaped(element);
    return;
  }
  if (element instanceof Date) {
    if (Number.isNaN(element.getTime())) throw invalid('a tuple cannot hold an invalid Date');
    to.byte(DATE);
    to.double(element.getTime());
    return;
  }
  if (!Array.isArray(element)) throw invalid(`a tuple cannot hold ${describe(element)}`);
  if (depth === MAX_DEPTH) throw invalid(`tuples nest at most ${MAX_DEPTH} deep`);
  to.byte(TUPLE);
  for (let i = 0; i < element.length; i++) write(to, element[i] as TupleElement, depth + 1);
  to.byte(END);
}

function describe(value: unknown): string {
  return typeof value === 'object' ? `an object that is no array, Date or Uint8Array` : String(typeof value);
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('it ends too early');
    return byte;
  }

  escaped(): Buffer {
    const body: number[] = [];
    for (let byte = this.byte(); byte !== END; byte = this.byte()) {
      if (byte !== ESCAPE) {
        body.push(byte);
        continue;
      }
      const escaped = this.byte();
      if (escaped !== 1 && escaped !== 2) throw new RangeError('it has an unknown escape');
      body.push(escaped - 1);
    }
    return Buffer.from(body);
  }

  double(): number {
    const first = this.byte();
    const flip = first >= 0x80 ? 0x00 : 0xff;
    const bytes = Buffer.alloc(8);
    bytes[0] = flip === 0 ? first ^ 0x80 : first ^ 0xff;
    for (let i = 1; i < 8; i++) bytes[i] = this.byte() ^ flip;
    return bytes.readDoubleBE();
  }

  bigint(): bigint {
    const first = this.byte();
    if (first === 0x80) return 0n;
    const flip = first < 0x80 ? 0xff : 0x00;
    let length = (first ^ flip) - 0x80;
    if (length > SHORT_BIGINT) {
      length = 0;
      for (let i = 0; i < 4; i++) length = length * 256 + (this.byte() ^ flip);
    }
    if (length > this.#bytes.length) throw new RangeError('it ends too early');
    const body = Buffer.alloc(length);
    for (let i = 0; i < length; i++) body[i] = this.byte() ^ flip;
    const value = BigInt(`0x${body.toString('hex')}`);
    return flip === 0 ? value : -value;
  }

  element(type: number, depth: number): TupleElement {
    switch (type) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NUMBER:
        return this.double();
      case BIGINT:
        return this.bigint();
      case DATE:
        return new Date(this.double());
      case STRING:
        return this.escaped().toString();
      case BYTES:
        return this.escaped();
      case TUPLE: {
        if (depth === MAX_DEPTH) throw new RangeError('it nests too deep');
        const elements: TupleElement[] = [];
        for (let next = this.byte(); next !== END; next = this.byte()) elements.push(this.element(next, depth + 1));
        return elements;
      }
      default:
        throw new RangeError(`it has an element of unknown type ${type}`);
    }
  }
}

/** @internal The bytes of a tuple: they compare as the tuples do. */
export function encodeTuple(tuple: unknown): Buffer {
  if (!Array.isArray(tuple))
    throw invalid('keys are tuples here: arrays of null, booleans, numbers, bigints, Dates, strings, bytes and arrays');
  const writer = new Writer();
  for (let i = 0; i < tuple.length; i++) write(writer, tuple[i] as TupleElement, 0);
  return writer.bytes.subarray(0, writer.size);
}

/** @internal @throws ERR_CORRUPTION for bytes that encodeTuple does not make */
export function decodeTuple(bytes: Uint8Array): Tuple {
  try {
    const reader = new Reader(bytes);
    const elements: TupleElement[] = [];
    while (!reader.atEnd) elements.push(reader.element(reader.byte(), 0));
    return elements;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `a stored key is no tuple (${why}): it was written with another keyEncoding, or is damaged`;
    throw new ThermoclineError('ERR_CORRUPTION', message, { cause });
  }
}
