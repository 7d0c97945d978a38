// One trial of `thermocline bench` in a process of its own: its task comes as an argument, its figures go as a message.
import { readFileSync } from 'node:fs';
import { call } from '../../dispatcher.ts';
import { type Database, open } from '../../index.ts';
import { native } from '../../native.ts';
import { answer } from './trials.ts';

/** @internal */
export interface Trial {
  kind: 'durable' | 'load' | 'read' | 'scan';
  /** Of the database; `read` and `scan` find there what `load` left. */
  location: string;
  records: number;
  valueSize: number;
  seconds: number;
  /** Writers, or reads outstanding. */
  width: number;
  /** Of the PARTS of the keys, the one that `read` asks for. */
  part: number;
}

/** @internal Figures by name; rates are per second. */
export type Figures = Record<string, number>;

const BATCH = 1000;
/** Trials that read may be so many, each asking for keys of its own. */
const PARTS = 8;
const KEY_BYTES = 16;
const READ_CACHES = { hotCache: 0, blockCache: '32MB' } as const;

/** Keys in an order that looks random, each once: multiplying by an odd number permutes 32 bits. */
function keyOf(index: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.writeUInt32BE(Math.imul(index, 0x9e3779b1) >>> 0, 0);
  key.write(String(index).padStart(12, '0'), 4, 'latin1');
  return key;
}

/** Values of random bytes, each written twice: half of one can be compressed away. */
class Values {
  readonly #pool = Buffer.allocUnsafeSlow(1 << 20);
  readonly #size: number;
  readonly #half: number;

  constructor(size: number) {
    this.#size = size;
    this.#half = size >>> 1;
    let x = 0x7e57da7a;
    for (let i = 0; i < this.#pool.length; i += 4) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      this.#pool.writeInt32LE(x, i);
    }
  }

  at(index: number): Buffer {
    const value = Buffer.allocUnsafe(this.#size);
    const from = (Math.imul(index, 0x85ebca6b) >>> 0) % (this.#pool.length - this.#half - 1);
    this.#pool.copy(value, 0, from, from + this.#half);
    this.#pool.copy(value, this.#half, from, from + (this.#size - this.#half));
    return value;
  }
}

/** Bytes that this process has had read from and written to disks, where the system counts them. */
function diskBytes(): { read: number; written: number } {
  try {
    const text = readFileSync('/proc/self/io', 'utf8');
    const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
    return { read: of('read_bytes'), written: of('write_bytes') };
  } catch {
    return { read: Number.NaN, written: Number.NaN };
  }
}

/** `width` callers, each awaiting its call before the next, until `next` gives no more or time is up. */
async function callers(width: number, seconds: number, next: () => Promise<unknown> | undefined) {
  const began = performance.now();
  const end = began + seconds * 1000;
  const latencies: number[] = [];
  const caller = async () => {
    for (let now = performance.now(); now < end; ) {
      const pending = next();
      if (pending === undefined) return;
      await pending;
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: width }, caller));
  const took = (performance.now() - began) / 1000;
  latencies.sort((a, b) => a - b);
  const quantile = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? Number.NaN) / 1000;
  return { count: latencies.length, took, p50Seconds: quantile(0.5), p99Seconds: quantile(0.99) };
}

/** Writes that wait until they are safe from a loss of power. */
async function durable(db: Database<Buffer, Buffer>, { records, valueSize, seconds, width }: Trial): Promise<Figures> {
  const values = new Values(valueSize);
  let index = 0;
  const put = () => {
    const i = index++ % records;
    return db.put(keyOf(i), values.at(i), { durability: 'fsync' });
  };
  await callers(width, Math.min(0.3, seconds), put);
  const before = db.stats().writes.fsyncs;
  const { count, took, p50Seconds, p99Seconds } = await callers(width, seconds, put);
  const fsyncs = db.stats().writes.fsyncs - before;
  return { writesPerSecond: count / took, fsyncsPerSecond: fsyncs / took, p50Seconds, p99Seconds };
}

/** All records in batches, until everything is in tables on the disk. */
async function load(db: Database<Buffer, Buffer>, { records, valueSize }: Trial): Promise<Figures> {
  const values = new Values(valueSize);
  const before = diskBytes().written;
  const began = performance.now();
  for (let from = 0; from < records; from += BATCH) {
    const batch = db.beginBatch();
    for (let i = from; i < Math.min(from + BATCH, records); i++) batch.put(keyOf(i), values.at(i));
    await batch.commit();
  }
  await db.flush();
  const took = (performance.now() - began) / 1000;
  const written = diskBytes().written - before;
  await db.compact();
  return {
    bytesPerSecond: (records * (KEY_BYTES + valueSize)) / took,
    recordsPerSecond: records / took,
    diskBytesPerSecond: written / took,
    tableBytes: db.stats().disk.tableBytes,
  };
}

/** Each key at most once, and a small part of them, so that neither a cache nor the system's memory knows its block. */
async function read(
  db: Database<Buffer, Buffer>,
  { records, valueSize, seconds, width, part }: Trial,
): Promise<Figures> {
  const most = Math.floor(records / PARTS);
  let asked = 0;
  const before = diskBytes().read;
  const get = () => {
    if (asked >= most) return undefined;
    const i = asked++ * PARTS + part;
    return db.get(keyOf(i)).then((value) => {
      if (value?.length !== valueSize) throw new Error(`wrong read: key ${i} has ${value?.length} bytes`);
    });
  };
  const { count, took, p50Seconds, p99Seconds } = await callers(width, seconds, get);
  const bytes = diskBytes().read - before;
  return { readsPerSecond: count / took, diskBytesPerRead: bytes / count, p50Seconds, p99Seconds };
}

/** Every record in order. */
async function scan(db: Database<Buffer, Buffer>, { records, valueSize }: Trial): Promise<Figures> {
  const before = diskBytes().read;
  const began = performance.now();
  let found = 0;
  let bytes = 0;
  const iterator = db.iterator();
  for (let rows = await iterator.nextMany(BATCH); rows.length > 0; rows = await iterator.nextMany(BATCH)) {
    for (const [key, value] of rows) {
      found++;
      bytes += key.length + value.length;
    }
  }
  await iterator.close();
  const took = (performance.now() - began) / 1000;
  if (found !== records || bytes !== records * (KEY_BYTES + valueSize)) {
    throw new Error(`wrong scan: ${found} records, ${bytes} bytes`);
  }
  return { bytesPerSecond: bytes / took, diskBytesPerSecond: (diskBytes().read - before) / took };
}

async function run(trial: Trial): Promise<Figures> {
  const cold = trial.kind === 'read' || trial.kind === 'scan';
  const db = await open(trial.location, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: !cold,
    // Waiting for a disk takes no processor: as many threads as reads are outstanding.
    ...(cold ? { memory: READ_CACHES, threads: { read: Math.min(256, trial.width) } } : {}),
  });
  // The key below is none of those asked for, and brings in what every read needs: the tables' indexes and filters.
  if (cold) {
    await db.getMany(Array.from({ length: 256 }, (_, i) => keyOf(trial.records + i * 7919)));
    await call((ticket) => native.dropFileCache(ticket, trial.location));
  }
  try {
    return await { durable, load, read, scan }[trial.kind](db, trial);
  } finally {
    await db.close();
  }
}

answer(run);
