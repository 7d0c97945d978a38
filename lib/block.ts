import { markAsUntransferable } from 'node:worker_threads';

/** Node's own fast paths, which its types leave out. */
interface SliceableBuffer extends Buffer {
  utf8Slice(start: number, end: number): string;
  latin1Slice(start: number, end: number): string;
}

type BufferConstructor = new (memory: ArrayBufferLike, offset: number, length: number) => Buffer;

/**
 * The class that every Buffer is made by. Constructing it takes 21 ns where `subarray` takes 47 ns, since nothing is
 * looked up or clamped.
 */
const FastBuffer = (Buffer as unknown as { [Symbol.species]: BufferConstructor })[Symbol.species];

/** A piece of memory that results are cut out of. */
export class Block {
  readonly bytes: SliceableBuffer;
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes as SliceableBuffer;
    this.#memory = bytes.buffer;
    this.#offset = bytes.byteOffset;
  }

  /** A block that several results share: transferring one would take the memory away from the others. */
  static shared(bytes: Buffer): Block {
    markAsUntransferable(bytes.buffer);
    return new Block(bytes);
  }

  /** A Buffer over a part of the block. */
  view(start: number, end: number): Buffer {
    return new FastBuffer(this.#memory, this.#offset + start, end - start);
  }

  utf8(start: number, end: number): string {
    return this.bytes.utf8Slice(start, end);
  }

  /** For bytes that are known to be ASCII. */
  latin1(start: number, end: number): string {
    return this.bytes.latin1Slice(start, end);
  }
}
