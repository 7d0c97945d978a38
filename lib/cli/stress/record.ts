/**
 * The records of a stress run. Every value says whose it is: magic, number of the key, version, length, body, CRC-32 of
 * all that. A value that was torn, mixed up, or belongs to another key or time therefore shows by itself.
 */

const MAGIC = 0x54435354;
const HEADER = 16;
const CRC = 4;

/** What a value says of itself. */
export type Parsed = { key: number; version: number } | { damage: string };

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32 as zlib and PNG have it. */
export function crc32(bytes: Uint8Array, end = bytes.length): number {
  let crc = 0xffffffff;
  for (let i = 0; i < end; i++) crc = (table[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Small, fast, and the same everywhere: Marsaglia's xorshift with 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    this.next();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }
}

/**
 * The value of a key's version; always the same one. Half of the body compresses.
 *
 * @param meanSize bytes of the body on average; sizes go from 0 to twice that
 */
export function makeValue(key: number, version: number, meanSize: number): Buffer {
  const random = new Random(Math.imul(key, 0x27d4eb2f) ^ version);
  const body = random.below(2 * meanSize + 1);
  const value = Buffer.allocUnsafe(HEADER + body + CRC);
  value.writeUInt32LE(MAGIC, 0);
  value.writeUInt32LE(key, 4);
  value.writeUInt32LE(version, 8);
  value.writeUInt32LE(body, 12);
  const noise = HEADER + (body >>> 1);
  let at = HEADER;
  for (; at + 4 <= noise; at += 4) value.writeUInt32LE(random.next(), at);
  value.fill(key & 0xff, at, HEADER + body);
  value.writeUInt32LE(crc32(value, HEADER + body), HEADER + body);
  return value;
}

/** Reads a value and checks everything that can be known without the model. */
export function parseValue(value: Buffer): Parsed {
  if (value.length < HEADER + CRC) return { damage: `it has ${value.length} bytes` };
  if (value.readUInt32LE(0) !== MAGIC) return { damage: 'it does not begin as a stress value' };
  const body = value.readUInt32LE(12);
  if (value.length !== HEADER + body + CRC) return { damage: `${value.length} bytes for a body of ${body}` };
  if (value.readUInt32LE(HEADER + body) !== crc32(value, HEADER + body)) return { damage: 'its checksum is wrong' };
  return { key: value.readUInt32LE(4), version: value.readUInt32LE(8) };
}

/** How the keys of a run are named: by worker, then in order, so that a worker's keys stand in one range. */
export class Keys {
  readonly count: number;
  readonly workers: number;
  readonly perWorker: number;

  constructor(workers: number, records: number) {
    this.workers = workers;
    this.perWorker = Math.max(1, Math.floor(records / workers));
    this.count = this.perWorker * workers;
  }

  name(key: number): string {
    const worker = Math.floor(key / this.perWorker);
    return `w${String(worker).padStart(3, '0')}/${String(key % this.perWorker).padStart(9, '0')}`;
  }

  /** The number of a key; undefined if it is no key of this run. */
  number(name: string): number | undefined {
    const match = /^w(\d{3})\/(\d{9})$/.exec(name);
    if (match === null) return undefined;
    const [worker, index] = [Number(match[1]), Number(match[2])];
    return worker < this.workers && index < this.perWorker ? worker * this.perWorker + index : undefined;
  }
}
