import { Block } from '../block.ts';
import type { KeyCodec, ValueCodec } from '../encoding.ts';
import type { NativeTopicChunk } from '../native-topics.ts';
import { HAS_HEADERS, HAS_ID, HAS_KEY, HAS_TIMESTAMP } from './packer.ts';

/** A message to append. */
export interface MessageInput<V = Buffer, K = string> {
  value: V;
  /** Messages with the same key go to the same partition. Default: none, and partitions take turns. */
  key?: K;
  /** What the program calls the message. Default: none. */
  id?: string;
  headers?: Readonly<Record<string, string | Uint8Array>>;
  /** Unix milliseconds. Default: the time of the append. */
  timestamp?: number;
}

/** A message that was read. Buffers are the caller's to keep and to change; a kept one keeps its batch in memory. */
export class Message<V = Buffer, K = string> {
  readonly partition: number;
  readonly offset: number;
  /** Unix milliseconds. */
  readonly timestamp: number;
  readonly value: V;
  readonly key: K | undefined;
  readonly id: string | undefined;
  readonly headers: Readonly<Record<string, Buffer>> | undefined;

  /** @internal */
  constructor(
    partition: number,
    offset: number,
    timestamp: number,
    value: V,
    key: K | undefined,
    id: string | undefined,
    headers: Record<string, Buffer> | undefined,
  ) {
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.value = value;
    this.key = key;
    this.id = id;
    this.headers = headers;
  }
}

/** Messages that were passed over, because reading past damage was asked for. */
export interface LostMessages {
  /** Path of the damaged segment. */
  segment: string;
  /** Byte at which the damage begins. */
  position: number;
  fromOffset: number;
  /** Of the next message that is there. */
  toOffset: number;
}

const FIELDS = 5;

/** What one read gives: messages of one partition in the order of their offsets, decoded as they are walked. */
export class MessageBatch<V = Buffer, K = string> implements Iterable<Message<V, K>> {
  readonly partition: number;
  /** How many messages it has. */
  readonly length: number;
  /** Where the next read goes on. */
  readonly nextOffset: number;
  /** Of the partition, at the time of the read: the offset that the next message appended gets. */
  readonly endOffset: number;
  /** Empty unless `pastDamage` was asked for and something was damaged. */
  readonly lost: readonly LostMessages[];
  readonly #block: Block | undefined;
  readonly #batches: Float64Array;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;

  /** @internal */
  constructor(partition: number, chunk: NativeTopicChunk, keys: KeyCodec<K>, values: ValueCodec<V>) {
    const [block, batches, nextOffset, endOffset, lost] = chunk;
    this.partition = partition;
    this.nextOffset = nextOffset;
    this.endOffset = endOffset;
    this.#block = block === undefined ? undefined : Block.shared(block);
    this.#batches = batches;
    this.#keys = keys;
    this.#values = values;
    let length = 0;
    for (let i = 0; i < batches.length; i += FIELDS) length += batches[i + 1] as number;
    this.length = length;
    this.lost = lostOf(lost);
  }

  /** Offset of the first message; `nextOffset` if there is none. */
  get firstOffset(): number {
    return this.#batches.length > 0 ? (this.#batches[0] as number) : this.nextOffset;
  }

  /** Bytes of the messages, as they were packed. */
  get bytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.#batches.length; i += FIELDS) bytes += this.#batches[i + 4] as number;
    return bytes;
  }

  /**
   * @returns all messages at once.
   *
   * @example
   * ```ts
   * const messages = (await topic.read({ offset: 0 })).toArray();
   * ```
   */
  toArray(): Message<V, K>[] {
    const messages: Message<V, K>[] = [];
    for (const message of this) messages.push(message);
    return messages;
  }

  [Symbol.iterator](): Iterator<Message<V, K>> {
    return this.#walk((at, offset, timestamp) => this.#message(at, offset, timestamp));
  }

  /**
   * The values alone, without an object for each message.
   *
   * @example
   * ```ts
   * for (const value of (await topic.read({ offset: 0 })).values()) console.log(value);
   * ```
   */
  values(): IterableIterator<V> {
    return this.#walk((at) => this.#value(at));
  }

  /** Records are checked by the engine before they come here, so nothing is checked again. */
  *#walk<T>(make: (at: Cursor, offset: number, timestamp: number) => T): IterableIterator<T> {
    const batches = this.#batches;
    if (this.#block === undefined) return;
    const at = new Cursor(this.#block.bytes);
    for (let i = 0; i < batches.length; i += FIELDS) {
      const first = batches[i] as number;
      const end = first + (batches[i + 1] as number);
      at.position = batches[i + 3] as number;
      for (let offset = first; offset < end; offset++) yield make(at, offset, batches[i + 2] as number);
    }
  }

  #message(at: Cursor, offset: number, firstTimestamp: number): Message<V, K> {
    const block = this.#block as Block;
    const flags = at.byte();
    let timestamp = firstTimestamp;
    let key: K | undefined;
    let id: string | undefined;
    let headers: Record<string, Buffer> | undefined;
    if (flags !== 0) {
      if (flags & HAS_TIMESTAMP) timestamp += at.zigzag();
      if (flags & HAS_ID) {
        const size = at.varint();
        id = block.utf8(at.position, at.position + size);
        at.position += size;
      }
      if (flags & HAS_KEY) {
        const size = at.varint();
        key = this.#keys.decode(block, at.position, at.position + size);
        at.position += size;
      }
      if (flags & HAS_HEADERS) {
        headers = {};
        for (let left = at.varint(); left > 0; left--) {
          const nameSize = at.varint();
          const name = block.utf8(at.position, at.position + nameSize);
          at.position += nameSize;
          const size = at.varint();
          headers[name] = block.view(at.position, at.position + size);
          at.position += size;
        }
      }
    }
    const size = at.varint();
    const begin = at.position;
    at.position += size;
    const value = this.#values.decode(block, begin, begin + size);
    return new Message(this.partition, offset, timestamp, value, key, id, headers);
  }

  #value(at: Cursor): V {
    const flags = at.byte();
    if (flags !== 0) {
      if (flags & HAS_TIMESTAMP) at.zigzag();
      if (flags & HAS_ID) at.skip();
      if (flags & HAS_KEY) at.skip();
      if (flags & HAS_HEADERS) for (let left = 2 * at.varint(); left > 0; left--) at.skip();
    }
    const size = at.varint();
    const begin = at.position;
    at.position += size;
    return this.#values.decode(this.#block as Block, begin, begin + size);
  }
}

class Cursor {
  position = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes[this.position++] as number;
  }

  varint(): number {
    let byte = this.#bytes[this.position++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let factor = 0x80; ; factor *= 0x80) {
      byte = this.#bytes[this.position++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  /** A signed number. */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Passes over bytes with their length in front. */
  skip(): void {
    const size = this.varint();
    this.position += size;
  }
}

function lostOf(numbers: (string | number)[]): LostMessages[] {
  const lost: LostMessages[] = [];
  for (let i = 0; i < numbers.length; i += 4) {
    lost.push({
      segment: numbers[i] as string,
      position: numbers[i + 1] as number,
      fromOffset: numbers[i + 2] as number,
      toOffset: numbers[i + 3] as number,
    });
  }
  return lost;
}
