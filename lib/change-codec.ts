import { Block } from './block.ts';
import type { Change, ChangeOperation } from './change.ts';
import {
  type Codec,
  type KeyCodec,
  type KeyEncoding,
  keyCodec,
  type ValueCodec,
  type ValueEncoding,
  valueCodec,
} from './encoding.ts';
import { ThermoclineError } from './error.ts';

/*
 * u8 version (1), varint sequence, varint id, varint operations; then of each:
 *   put 0           varint shard, varint expiry or 0, varint length, key, varint length, value
 *   delete 1        varint shard, varint length, key
 *   deleteRange 2   varint length, start, varint length, end
 *   ... 3           varint length, start: a range without an end
 */
const VERSION = 1;
const PUT = 0;
const DELETE = 1;
const DELETE_RANGE = 2;
const DELETE_FROM = 3;

class Writer {
  bytes = Buffer.allocUnsafe(256);
  size = 0;

  number(value: number): void {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.bytes[this.size++] = (rest % 0x80) | 0x80;
    this.bytes[this.size++] = rest;
  }

  part(part: Uint8Array): void {
    this.number(part.length);
    this.#reserve(part.length);
    this.bytes.set(part, this.size);
    this.size += part.length;
  }

  #reserve(count: number): void {
    if (this.size + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.size + count, 2 * this.bytes.length));
    larger.set(this.bytes.subarray(0, this.size));
    this.bytes = larger;
  }
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at === this.#bytes.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 0x80) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw damaged();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw damaged();
  }

  /** Begin and end of a part. */
  part(): [number, number] {
    const size = this.number();
    const begin = this.at;
    this.at += size;
    if (this.at > this.#bytes.length) throw damaged();
    return [begin, this.at];
  }
}

function damaged(): ThermoclineError {
  return new ThermoclineError('ERR_CORRUPTION', 'a message of a topic of changes is not a change');
}

/** @internal A change whose keys and values are bytes. */
export function encodeChange({ sequence, id, operations }: Change<Buffer, Buffer>): Buffer {
  const writer = new Writer();
  writer.number(VERSION);
  writer.number(sequence);
  writer.number(id);
  writer.number(operations.length);
  for (const operation of operations) {
    if (operation.type === 'deleteRange') {
      writer.number(operation.lt === undefined ? DELETE_FROM : DELETE_RANGE);
      writer.part(operation.gte);
      if (operation.lt !== undefined) writer.part(operation.lt);
      continue;
    }
    writer.number(operation.type === 'put' ? PUT : DELETE);
    writer.number(operation.shard);
    if (operation.type === 'put') writer.number(operation.expires ?? 0);
    writer.part(operation.key);
    if (operation.type === 'put') writer.part(operation.value);
  }
  return writer.bytes.subarray(0, writer.size);
}

/** @internal */
export function decodeChange<K, V>(bytes: Buffer, keys: KeyCodec<K>, values: ValueCodec<V>): Change<K, V> {
  const block = new Block(bytes);
  const reader = new Reader(bytes);
  const version = reader.number();
  if (version > VERSION) {
    const message = `a topic of changes has messages of version ${version}: update thermocline`;
    throw new ThermoclineError('ERR_FORMAT_VERSION', message);
  }
  if (version < 1) throw damaged();
  const sequence = reader.number();
  const id = reader.number();
  const operations: ChangeOperation<K, V>[] = [];
  for (let left = reader.number(); left > 0; left--) {
    const type = reader.number();
    if (type === DELETE_RANGE) {
      const [gte, lt] = [block.view(...reader.part()), block.view(...reader.part())];
      operations.push({ type: 'deleteRange', gte, lt });
    } else if (type === DELETE_FROM) {
      operations.push({ type: 'deleteRange', gte: block.view(...reader.part()) });
    } else if (type === DELETE) {
      operations.push({ type: 'delete', shard: reader.number(), key: keys.decode(block, ...reader.part()) });
    } else if (type === PUT) {
      const shard = reader.number();
      const expires = reader.number();
      const key = keys.decode(block, ...reader.part());
      const value = values.decode(block, ...reader.part());
      operations.push({ type: 'put', shard, key, value, ...(expires === 0 ? {} : { expires }) });
    } else {
      throw damaged();
    }
  }
  if (!reader.done) throw damaged();
  return { sequence, id, operations };
}

type KeyOf<E> = E extends 'buffer' ? Buffer : string;
// biome-ignore format: a table
type ValueOf<E> = E extends 'utf8' ? string : E extends 'json' ? unknown : E extends Codec<infer T> ? T : Buffer;

/**
 * The `valueEncoding` of a topic that `db.topics.from` has filled, for reading it again.
 *
 * @param encodings those of the database whose changes they are
 * @example
 * ```ts
 * const topic = await db.topics.open('changes', { valueEncoding: changeCodec({ valueEncoding: 'json' }) });
 * ```
 */
export function changeCodec<KE extends KeyEncoding = 'utf8', VE extends ValueEncoding<unknown> = 'buffer'>(
  encodings: { keyEncoding?: KE; valueEncoding?: VE } = {},
): Codec<Change<KeyOf<KE>, ValueOf<VE>>> {
  const keys = keyCodec(encodings.keyEncoding) as KeyCodec<KeyOf<KE>>;
  const values = valueCodec(encodings.valueEncoding) as ValueCodec<ValueOf<VE>>;
  return codecOf(keys, values);
}

/** @internal */
export function codecOf<K, V>(keys: KeyCodec<K>, values: ValueCodec<V>): Codec<Change<K, V>> {
  const bytes = (part: string | Uint8Array) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part));
  return {
    decode: (encoded) => decodeChange(encoded, keys, values),
    encode: ({ sequence, id, operations }) =>
      encodeChange({
        sequence,
        id,
        operations: operations.map((operation) => {
          if (operation.type === 'deleteRange') return operation;
          const key = bytes(keys.encode(operation.key));
          return operation.type === 'put'
            ? { ...operation, key, value: bytes(values.encode(operation.value)) }
            : { ...operation, key };
        }),
      }),
  };
}
