import { createReadStream, statSync } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { fileError } from '../errors.ts';

/** One record to be written. */
export interface Row {
  key: string;
  value: string;
}

/** Why one row cannot be loaded. The load counts it and goes on. */
export class RowError extends Error {
  override readonly name = 'RowError';
}

/** One row that could not be read. */
export interface Reject {
  file: string;
  /** Counted from 1. */
  line: number;
  reason: string;
  /** How many rows of the same block stand before it. */
  after: number;
}

/** What became of one piece of a file. */
export interface Block {
  rows: Row[];
  rejects: Reject[];
  /** Bytes of the file that this block covers. */
  bytes: number;
}

/** Reads one file's bytes into blocks; the formats differ in this alone. */
export type Reader = (file: string, chunks: AsyncIterable<Buffer>) => AsyncGenerator<Block>;

/** The longest row that is read, in bytes. It bounds memory when a line feed or a closing quote is missing. */
export const maxRowBytes = 96 * 1024 * 1024;

/** The longest key and value that the database takes, in bytes. */
const maxKeyBytes = 64 * 1024;
const maxValueBytes = 64 * 1024 * 1024;

/** @returns the row @throws RowError when the database would refuse it, and with it the whole batch */
export function fitting(row: Row): Row {
  if (exceeds(row.key, maxKeyBytes)) throw new RowError(`the key is longer than ${maxKeyBytes} bytes`);
  if (exceeds(row.value, maxValueBytes)) throw new RowError(`the value is longer than ${maxValueBytes} bytes`);
  return row;
}

function exceeds(text: string, bytes: number): boolean {
  // No UTF-16 unit takes more than three bytes, so that nearly no text need be measured.
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}

/** Notes a malformed row; any other error is not the row's fault and goes on. */
export function reject(file: string, line: number, error: unknown, after: number): Reject {
  if (!(error instanceof RowError)) throw error;
  return { file, line, reason: error.message, after };
}

/**
 * A file's bytes in pieces of 64 KiB; `-` is standard input.
 *
 * @throws CliError when the file cannot be read
 */
export async function* readChunks(file: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stream: Readable = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 64 * 1024 });
  addAbortSignal(signal, stream);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    if (signal.aborted) return;
    throw fileError(file, error);
  }
}

/**
 * Checks that the files are there, before anything is created.
 *
 * @returns their size in bytes, or undefined when standard input is among them
 * @throws CliError naming the file that cannot be read
 */
export function totalSize(files: readonly string[]): number | undefined {
  let total = 0;
  for (const file of files) {
    if (file === '-') continue;
    try {
      const stat = statSync(file);
      if (stat.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
      total += stat.size;
    } catch (error) {
      throw fileError(file, error);
    }
  }
  return files.includes('-') ? undefined : total;
}

/** Number of line feeds in some bytes. */
export function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** The bytes after a UTF-8 byte order mark, if there is one. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The same bytes, with at least three in the first piece (if there are so many), so that a mark is seen whole. */
export async function* wholeMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < 3) continue;
    yield head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}
