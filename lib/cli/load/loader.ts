import type { TextDatabase } from '../database.ts';
import { type Block, type Reader, type Reject, type Row, readChunks } from './blocks.ts';

/** How a load is done. */
export interface LoadOptions {
  files: readonly string[];
  reader: Reader;
  /** Records in one batch; batches are atomic. Default 1000. */
  batchSize?: number;
  /** Stop at the first malformed row. What stands before it is loaded. */
  strict?: boolean;
  /** Ends the load: nothing more is read, batches in flight are awaited. */
  signal: AbortSignal;
  onReject?: (reject: Reject) => void;
  /** Called after every block read and batch committed. @param bytes read so far; @param records committed so far */
  onProgress?: (bytes: number, records: number) => void;
}

/** What a load did. */
export interface LoadResult {
  /** Records whose batch was acknowledged. */
  records: number;
  /** Malformed rows. */
  rejected: number;
  /** Bytes of the files that were read. */
  bytes: number;
  seconds: number;
  /** Why not everything was loaded; `failed` comes with the error. */
  stopped?: 'interrupted' | 'strict' | 'failed';
  error?: unknown;
}

/** Batches committing while the next ones are parsed. */
const maxInFlight = 4;
/** A batch of large rows is cut here, which bounds memory together with `maxInFlight`. In UTF-16 units. */
const maxBatchLength = 4 * 1024 * 1024;

/**
 * Loads files into a database opened with text keys and text values. Memory does not grow with the files.
 *
 * A load that comes to its end is flushed, so that whoever opens the database next need not replay the log; the time
 * does not count that. Never rejects: a failure to read or to commit ends the load, and the result says so beside what
 * is kept.
 *
 * @param openDatabase called when the first block has been read, so that a wrong file or column name leaves no empty
 *   database behind
 */
export async function load(openDatabase: () => Promise<TextDatabase>, options: LoadOptions): Promise<LoadResult> {
  const { signal, onReject, onProgress } = options;
  const started = performance.now();
  const result: LoadResult = { records: 0, rejected: 0, bytes: 0, seconds: 0 };
  let db: TextDatabase | undefined;
  let committer: Committer | undefined;
  const fail = (error: unknown) => {
    result.stopped = 'failed';
    result.error = error;
  };
  try {
    for await (const block of readBlocks(options)) {
      if (signal.aborted) break;
      db ??= await openDatabase();
      committer ??= new Committer(db, options.batchSize ?? 1000, (records) => {
        result.records += records;
        onProgress?.(result.bytes, result.records);
      });
      const stop = options.strict === true && block.rejects.length > 0;
      const rows = stop ? block.rows.slice(0, block.rejects[0]?.after) : block.rows;
      for (const row of rows) {
        const full = committer.add(row);
        if (full === undefined) continue;
        await full;
        if (signal.aborted) break;
      }
      if (signal.aborted) break;
      for (const reject of stop ? block.rejects.slice(0, 1) : block.rejects) {
        result.rejected++;
        onReject?.(reject);
      }
      result.bytes += block.bytes;
      onProgress?.(result.bytes, result.records);
      if (stop) {
        result.stopped = 'strict';
        break;
      }
    }
    if (signal.aborted) result.stopped = 'interrupted';
  } catch (error) {
    fail(error);
  }
  // Rows parsed but not yet sent go too, whatever ended the reading; after a failed batch this sends nothing more.
  await committer?.finish().catch(fail);
  result.seconds = (performance.now() - started) / 1000;
  if (result.stopped === undefined) await db?.flush().catch(fail);
  return result;
}

async function* readBlocks(options: LoadOptions): AsyncGenerator<Block> {
  for (const file of options.files) {
    if (options.signal.aborted) return;
    yield* options.reader(file, readChunks(file, options.signal));
  }
}

/** Gathers rows into batches and keeps a few of them in flight. */
class Committer {
  readonly #db: TextDatabase;
  readonly #batchSize: number;
  readonly #onCommit: (records: number) => void;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: { type: 'put'; key: string; value: string }[] = [];
  #length = 0;
  #failure: { error: unknown } | undefined;

  constructor(db: TextDatabase, batchSize: number, onCommit: (records: number) => void) {
    this.#db = db;
    this.#batchSize = batchSize;
    this.#onCommit = onCommit;
  }

  /** @returns a promise to await before the next row, when a batch was sent; it rejects if an earlier batch failed */
  add({ key, value }: Row): Promise<void> | undefined {
    this.#batch.push({ type: 'put', key, value });
    this.#length += key.length + value.length;
    if (this.#batch.length < this.#batchSize && this.#length < maxBatchLength) return undefined;
    return this.#send();
  }

  /** Sends what is left, unless a batch has failed, and waits until nothing is in flight. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0 && this.#failure === undefined) await this.#send();
    await Promise.all(this.#inFlight);
    this.#throwFailure();
  }

  async #send(): Promise<void> {
    const ops = this.#batch;
    this.#batch = [];
    this.#length = 0;
    const committed: Promise<void> = this.#db
      .batch(ops)
      .then(
        () => this.#onCommit(ops.length),
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => this.#inFlight.delete(committed));
    this.#inFlight.add(committed);
    if (this.#inFlight.size >= maxInFlight) await Promise.race(this.#inFlight);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
