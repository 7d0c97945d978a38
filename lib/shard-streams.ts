import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { invalid, ThermoclineError } from './error.ts';

/**
 * A folder of files as one stream (docs/on-disk-format.md): the mark; per file a header of u16 name length, u64 size, then
 * name and contents; a header of zeros at the end. Damage within files is found by the snapshot's own checksums.
 */
const MARK = Buffer.from('thermocline shard stream 1\n');
const HEADER_BYTES = 10;
const MAX_NAME = 200;
const NAME = /^(?:SHARDS|[0-9a-z-]+\.sst)$/;

function header(name: string, size: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + name.length);
  bytes.writeUInt16LE(name.length, 0);
  bytes.writeBigUInt64LE(BigInt(size), 2);
  bytes.write(name, HEADER_BYTES, 'latin1');
  return bytes;
}

async function* pack(dir: string, fill: () => Promise<void>): AsyncGenerator<Buffer> {
  try {
    await mkdir(dirname(dir), { recursive: true });
    await fill();
    yield MARK;
    for (const name of await readdir(dir)) {
      const path = join(dir, name);
      yield header(name, (await stat(path)).size);
      for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 })) yield piece as Buffer;
      await rm(path);
    }
    yield header('', 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** @internal The stream of a folder that `fill` makes; it is deleted when the stream ends, however it does. */
export function packFolder(dir: string, fill: () => Promise<void>): Readable {
  return Readable.from(pack(dir, fill), { objectMode: false });
}

/** Takes a stream of pieces apart. */
class Source {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  /** Up to `size` bytes and at least one; undefined at the end of the stream. */
  async some(size: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done) return undefined;
      if (!(next.value instanceof Uint8Array)) throw invalid('a shard stream consists of bytes');
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  async exactly(size: number): Promise<Buffer> {
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; ) {
      const piece = await this.some(size - at);
      if (piece === undefined) throw cut();
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  async end(): Promise<void> {
    await this.#pieces.return?.();
  }
}

function cut(): ThermoclineError {
  return new ThermoclineError('ERR_CORRUPTION', 'the shard stream ends early: nothing was restored');
}

/** Failures of the file system as the database reports its own. */
async function filing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new ThermoclineError('ERR_CORRUPTION', 'the shard stream is damaged: it has a file twice', { cause });
    }
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new ThermoclineError(full ? 'ERR_NO_SPACE' : 'ERR_IO', `receiving a shard stream failed: ${message}`, {
      cause,
    });
  }
}

async function receiveFile(source: Source, path: string, size: number): Promise<void> {
  const file = await filing(open(path, 'wx'));
  try {
    for (let left = size; left > 0; ) {
      const piece = await source.some(left);
      if (piece === undefined) throw cut();
      await filing(file.writeFile(piece));
      left -= piece.length;
    }
  } finally {
    await filing(file.close());
  }
}

async function unpack(source: Source, dir: string): Promise<void> {
  let mark: Buffer;
  try {
    mark = await source.exactly(MARK.length);
  } catch (error) {
    throw error instanceof ThermoclineError && error.code === 'ERR_CORRUPTION' ? cut() : error;
  }
  if (!mark.equals(MARK)) throw invalid('this is no stream of a shard snapshot');
  for (;;) {
    const head = await source.exactly(HEADER_BYTES);
    const length = head.readUInt16LE(0);
    if (length === 0) break;
    const size = Number(head.readBigUInt64LE(2));
    const name = length <= MAX_NAME ? (await source.exactly(length)).toString('latin1') : '';
    if (!NAME.test(name))
      throw new ThermoclineError('ERR_CORRUPTION', 'the shard stream is damaged: no file has such a name');
    await receiveFile(source, join(dir, name), size);
  }
}

/** @internal Writes a stream's files to a folder, calls `use` with it, and deletes it, whatever happens. */
export async function unpackFolder<T>(
  stream: AsyncIterable<Uint8Array>,
  dir: string,
  use: (dir: string) => Promise<T>,
): Promise<T> {
  if (typeof stream?.[Symbol.asyncIterator] !== 'function') throw invalid('restoreStream takes a Readable');
  const source = new Source(stream);
  try {
    await filing(mkdir(dir, { recursive: true }));
    await unpack(source, dir);
    return await use(dir);
  } finally {
    await source.end();
    await rm(dir, { recursive: true, force: true });
  }
}
