import { takeError } from '../dispatcher.ts';
import type { NativeDatabase } from '../native.ts';

/** What is traced of slow operations; see `OpenOptions.slowOperations`. */
export interface SlowOptions {
  /** How many of the slowest are kept, 1 to 10,000. Default 32. */
  keep?: number;
  /** How many bytes of an operation's first key are kept, 0 to 256. Default 16. */
  keyPrefix?: number;
}

/** One of the slowest operations. Its stages add up to the whole. */
export interface SlowOperation {
  /** Puts and deletes of one turn of the event loop are one `write`; gets that missed the cache share a `getMany`. */
  kind: 'get' | 'getMany' | 'write' | 'batch' | 'scanChunk';
  /** The beginning of its first key. */
  keyPrefix: Buffer;
  /** Records that it asked for, wrote or returned. */
  records: number;
  ended: Date;
  totalSeconds: number;
  /** Until a thread of the engine took it up. */
  queueSeconds: number;
  /** Reading the stores, or writing the group it was part of. */
  storeSeconds: number;
  /** Waiting for the log's sync. */
  syncSeconds: number;
}

type NativeSlow = Omit<SlowOperation, 'ended'> & { endedMs: number };

/** @internal @throws ERR_CLOSED */
export function slowOperations(native: NativeDatabase, clear: boolean): SlowOperation[] {
  const operations = native.slowOperations(clear) as NativeSlow[] | null | undefined;
  if (operations === null) throw takeError();
  return (operations ?? []).map(({ endedMs, ...operation }) => ({ ...operation, ended: new Date(endedMs) }));
}
