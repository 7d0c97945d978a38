// One trial of `thermocline tune` in a process of its own: its task comes as an argument, its figures go as a message.
import { call } from '../../dispatcher.ts';
import { type Database, type OpenOptions, open } from '../../index.ts';
import { native } from '../../native.ts';
import { answer } from '../bench/trials.ts';
import { readSample } from './sample.ts';

/** @internal */
export interface Trial {
  sample: string;
  location: string;
  options: OpenOptions;
  /** Records in one batch. */
  batch: number;
  /** For each kind of read. */
  seconds: number;
  /** Only writes, for what reads do not depend on. */
  writesOnly: boolean;
}

/** @internal What one trial measured. Rates are records per second. */
export interface Figures {
  /** Until all records were in compacted tables. */
  write: number;
  /** Until the last batch was acknowledged. */
  acknowledged: number;
  /** Single reads, some keys far more often than others; 128 outstanding. */
  get: number;
  /** Reads of 100 keys at once, all keys alike. */
  getMany: number;
  scan: number;
  diskBytes: number;
  peakMemoryBytes: number;
}

const OUTSTANDING = 128;
const MANY = 100;
/** Of the zipfian choice of keys, as YCSB has it. */
const SKEW = 0.99;

/** The same numbers in every trial: Marsaglia's xorshift. */
function randomNumbers(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/**
 * Zipfian numbers from 0 to `count` - 1, the small ones often (J. Gray et al., Quickly generating billion-record synthetic
 * databases, SIGMOD 1994).
 */
function zipfian(count: number, random: () => number): () => number {
  let zeta = 0;
  for (let i = 1; i <= count; i++) zeta += 1 / i ** SKEW;
  const alpha = 1 / (1 - SKEW);
  const eta = (1 - (2 / count) ** (1 - SKEW)) / (1 - (1 + 0.5 ** SKEW) / zeta);
  return () => {
    const u = random();
    const uz = u * zeta;
    if (uz < 1) return 0;
    if (uz < 1 + 0.5 ** SKEW) return Math.min(1, count - 1);
    return Math.min(count - 1, Math.floor(count * (eta * u - eta + 1) ** alpha));
  };
}

function shuffle<T>(items: T[], random: () => number): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
}

type Bytes = Database<Buffer, Buffer>;

/** Writes everything in random order, which is what makes levels merge. */
async function write(db: Bytes, records: [Buffer, Buffer][], batch: number): Promise<[number, number]> {
  const began = performance.now();
  const inFlight = new Set<Promise<void>>();
  for (let from = 0; from < records.length; from += batch) {
    const operations = records.slice(from, from + batch).map(([key, value]) => ({ type: 'put' as const, key, value }));
    const done: Promise<void> = db.batch(operations).finally(() => inFlight.delete(done));
    inFlight.add(done);
    if (inFlight.size >= 4) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  const acknowledged = performance.now() - began;
  await db.flush();
  await db.compact();
  return [(1000 * records.length) / (performance.now() - began), (1000 * records.length) / acknowledged];
}

/** Runs `work` until the time is over. @param work gives how many records it read @returns records per second */
async function rate(seconds: number, work: () => Promise<number>): Promise<number> {
  const began = performance.now();
  let count = 0;
  let took = 0;
  do {
    count += await work();
    took = (performance.now() - began) / 1000;
  } while (took < seconds);
  return count / took;
}

function check(value: Buffer | undefined, record: [Buffer, Buffer]): void {
  if (value?.length !== record[1].length) throw new Error('a read gave another value than was written');
}

async function read(db: Bytes, records: [Buffer, Buffer][], seconds: number) {
  const random = randomNumbers(0x51ed2701);
  const popular = zipfian(records.length, random);
  const gets = async () => {
    const chosen = Array.from({ length: OUTSTANDING }, () => records[popular()] as [Buffer, Buffer]);
    const values = await Promise.all(chosen.map(([key]) => db.get(key)));
    for (const [i, value] of values.entries()) check(value, chosen[i] as [Buffer, Buffer]);
    return chosen.length;
  };
  const many = async () => {
    const chosen = Array.from(
      { length: MANY },
      () => records[Math.floor(random() * records.length)] as [Buffer, Buffer],
    );
    const values = await db.getMany(chosen.map(([key]) => key));
    for (const [i, value] of values.entries()) check(value, chosen[i] as [Buffer, Buffer]);
    return chosen.length;
  };
  const scan = async () => {
    let found = 0;
    const all = db.iterator();
    for (let page = await all.nextMany(1000); page.length > 0; page = await all.nextMany(1000)) found += page.length;
    await all.close();
    if (found !== records.length) throw new Error(`a scan gave ${found} records of ${records.length}`);
    return found;
  };
  const getMany = await rate(seconds, many);
  const scanned = await rate(seconds, scan);
  await rate(seconds / 2, gets); // until the hot cache knows the popular keys
  return { getMany, scan: scanned, get: await rate(seconds, gets) };
}

async function run({ sample, location, options, batch, seconds, writesOnly }: Trial): Promise<Figures> {
  const records = [...new Map(readSample(sample).map((record) => [record[0].toString('latin1'), record])).values()];
  shuffle(records, randomNumbers(0x7e57da7a));
  const all = { ...options, keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  let db = await open(location, all);
  const [written, acknowledged] = await write(db, records, batch);
  const { tableBytes } = db.stats().disk;
  await db.close();
  let reads = { get: 0, getMany: 0, scan: 0 };
  if (!writesOnly) {
    db = await open(location, all);
    // Reads begin at the disk, and not in the system's memory.
    await call((ticket) => native.dropFileCache(ticket, location));
    reads = await read(db, records, seconds);
    await db.close();
  }
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  return { write: written, acknowledged, ...reads, diskBytes: tableBytes, peakMemoryBytes };
}

answer(run);
