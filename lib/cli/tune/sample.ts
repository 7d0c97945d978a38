import { closeSync, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { BytesDatabase } from '../database.ts';
import { CliError } from '../errors.ts';
import type { Reader } from '../load/blocks.ts';
import { readChunks } from '../load/blocks.ts';

/** What a sample holds. */
export interface SampleInfo {
  records: number;
  /** Of keys and values. */
  bytes: number;
  /** Of the whole data, as far as it is known; at least `bytes`. */
  dataBytes: number;
}

/** Records in one run of a sample of a database: neighbours compress together, so a sample takes whole runs. */
const RUN = 1000;

/** Writes records to a file: u32 length of the key, u32 length of the value, key, value, one after the other. */
export class SampleWriter {
  readonly #fd: number;
  readonly #limit: number;
  #parts: Buffer[] = [];
  #waiting = 0;
  records = 0;
  bytes = 0;

  /** @param limit bytes of keys and values after which `full` is true */
  constructor(file: string, limit: number) {
    this.#fd = openSync(file, 'w');
    this.#limit = limit;
  }

  get full(): boolean {
    return this.bytes >= this.#limit;
  }

  add(key: Buffer, value: Buffer): void {
    const lengths = Buffer.allocUnsafe(8);
    lengths.writeUInt32LE(key.length, 0);
    lengths.writeUInt32LE(value.length, 4);
    this.#parts.push(lengths, key, value);
    this.#waiting += 8 + key.length + value.length;
    this.records++;
    this.bytes += key.length + value.length;
    if (this.#waiting > 1 << 20) this.#write();
  }

  close(): void {
    this.#write();
    closeSync(this.#fd);
  }

  #write(): void {
    const bytes = Buffer.concat(this.#parts);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    this.#parts = [];
    this.#waiting = 0;
  }
}

/** The records of a sample file, as views of one buffer. */
export function readSample(file: string): [key: Buffer, value: Buffer][] {
  const bytes = readFileSync(file);
  const records: [Buffer, Buffer][] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = bytes.readUInt32LE(at);
    const value = bytes.readUInt32LE(at + 4);
    at += 8;
    records.push([bytes.subarray(at, at + key), bytes.subarray(at + key, at + key + value)]);
    at += key + value;
  }
  return records;
}

/** Takes runs of records from all over a database. */
export async function sampleDatabase(
  db: BytesDatabase,
  file: string,
  limit: number,
  signal: AbortSignal,
): Promise<SampleInfo> {
  const writer = new SampleWriter(file, limit);
  // Of the uncompressed size only a walk would tell; the records' number is known well enough to thin them out.
  const all = db.iterator();
  const first = await all.nextMany(RUN);
  const runBytes = first.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  const { estimatedRecords } = db.stats().disk;
  const mean = first.length === 0 ? 0 : runBytes / first.length;
  const every = Math.max(1, Math.floor((estimatedRecords * mean) / limit));
  let bytes = 0;
  let run = 0;
  for (let page = first; page.length > 0 && !signal.aborted; page = await all.nextMany(RUN)) {
    const taken = run++ % every === 0 && !writer.full;
    for (const [key, value] of page) {
      bytes += key.length + value.length;
      if (taken) writer.add(key, value);
    }
  }
  await all.close();
  writer.close();
  return { records: writer.records, bytes: writer.bytes, dataBytes: bytes };
}

/** Takes the first records of files, up to the limit. */
export async function sampleFiles(
  files: readonly string[],
  reader: Reader,
  file: string,
  limit: number,
  signal: AbortSignal,
): Promise<SampleInfo> {
  const writer = new SampleWriter(file, limit);
  let readBytes = 0;
  let fileBytes = 0;
  for (const name of files) {
    fileBytes += sizeOf(name);
    // A part of each file, so that files of different kinds all have their share.
    const share = (limit * fileBytes) / Math.max(1, totalOf(files));
    for await (const { rows, bytes } of reader(name, readChunks(name, signal))) {
      readBytes += bytes;
      for (const { key, value } of rows) writer.add(Buffer.from(key), Buffer.from(value));
      if (writer.bytes >= share) break;
    }
  }
  writer.close();
  if (writer.records === 0) throw new CliError('the files hold no record');
  const whole = (writer.bytes * fileBytes) / Math.max(1, readBytes);
  return { records: writer.records, bytes: writer.bytes, dataBytes: Math.max(writer.bytes, Math.round(whole)) };
}

function sizeOf(name: string): number {
  const fd = openSync(name, 'r');
  try {
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

function totalOf(files: readonly string[]): number {
  return files.reduce((sum, name) => sum + sizeOf(name), 0);
}

/** A described data set: so many records with keys and values of so many bytes, of which a share compresses away. */
export interface Description {
  records: number;
  key: number;
  value: number;
  /** From 0, random bytes, to 1, the same bytes everywhere. */
  compressible: number;
}

/** Makes the records that a description asks for, up to the limit; the same ones every time. */
export function sampleDescription(wanted: Description, file: string, limit: number): SampleInfo {
  const writer = new SampleWriter(file, limit);
  let x = 0x2545f491;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  const noise = Math.round(wanted.value * (1 - wanted.compressible));
  for (let i = 0; i < wanted.records && !writer.full; i++) {
    const number = (Math.imul(i, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
    const key = Buffer.from(number.repeat(Math.ceil(wanted.key / 8)).slice(0, Math.max(8, wanted.key)));
    const value = Buffer.alloc(wanted.value, 'thermocline ');
    for (let at = 0; at + 4 <= noise; at += 4) value.writeUInt32LE(next(), at);
    writer.add(key, value);
  }
  writer.close();
  const dataBytes = wanted.records * (Math.max(8, wanted.key) + wanted.value);
  return { records: writer.records, bytes: writer.bytes, dataBytes: Math.max(writer.bytes, dataBytes) };
}
