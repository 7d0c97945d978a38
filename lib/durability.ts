import { checkObject } from './checks.ts';
import { invalid, ThermoclineError } from './error.ts';
import { SUBMIT_FSYNC } from './native.ts';

/**
 * What an acknowledged write has survived: `'wal'` a crash of the process, `'fsync'` a loss of power. `'none'` is a
 * property of a database: it has no log, and promises only what was flushed.
 */
export type Durability = 'none' | 'wal' | 'fsync';

/** Options of every write. */
export interface WriteOptions {
  /** Default: the database's own. */
  durability?: 'wal' | 'fsync';
  /** Gives up waiting with ERR_ABORTED; the write may still happen if it has been sent. Default: none. */
  signal?: AbortSignal;
}

/** Two promises of one write: `applied` when reads see it, `durable` when it survives a loss of power. */
export interface CommitHandle {
  applied: Promise<void>;
  durable: Promise<void>;
}

/** @internal */
export const MAX_EXPIRY_MS: number = 2 ** 48 - 1;

/** @internal Checks write options against what the database can promise. */
export class WriteSettings {
  readonly #durability: Durability;
  /** For writes without options. */
  readonly flags: number;

  constructor(durability: Durability) {
    this.#durability = durability;
    this.flags = durability === 'fsync' ? SUBMIT_FSYNC : 0;
  }

  /** @returns the flags of a write with these options. */
  check(options: WriteOptions | undefined, names: ReadonlySet<string>, where: string): number {
    const given = checkObject(options, names, where) as WriteOptions | undefined;
    if (given === undefined) return this.flags;
    const { signal, durability } = given;
    if (signal !== undefined) {
      if (!(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
      if (signal.aborted) throw aborted(signal);
    }
    if (durability === undefined) return this.flags;
    if (durability !== 'wal' && durability !== 'fsync') throw invalid("durability must be 'wal' or 'fsync'");
    if (this.#durability === 'none') {
      throw invalid(`the database has no log (durability 'none'), so no write can have durability '${durability}'`);
    }
    return durability === 'fsync' ? SUBMIT_FSYNC : 0;
  }
}

/** @internal */
export function expiryOf(ttl: unknown): number {
  if (typeof ttl !== 'number' || !Number.isFinite(ttl) || ttl < 1) {
    throw invalid('ttl must be a number of milliseconds, at least 1');
  }
  return Math.min(Date.now() + Math.ceil(ttl), MAX_EXPIRY_MS);
}

/** @internal */
export function aborted(signal: AbortSignal): ThermoclineError {
  return new ThermoclineError('ERR_ABORTED', 'the operation was aborted', { cause: signal.reason });
}

const TTL_NAMES = new Set(['ttl']);

/** @internal The expiry of a put whose options are `ttl` alone; 0 for none. */
export function putExpiry(options: { ttl?: number } | undefined): number {
  const ttl = checkObject(options, TTL_NAMES, 'of put')?.ttl;
  return ttl === undefined ? 0 : expiryOf(ttl);
}

const waiting = new WeakMap<AbortSignal, { calls: Set<() => void>; listener: () => void }>();

/** One listener for all who wait on a signal: many may, and Node warns of more than ten. */
function listen(signal: AbortSignal, call: () => void): () => void {
  let entry = waiting.get(signal);
  if (entry === undefined) {
    const calls = new Set<() => void>();
    const listener = () => {
      waiting.delete(signal);
      for (const each of calls) each();
    };
    entry = { calls, listener };
    waiting.set(signal, entry);
    signal.addEventListener('abort', listener, { once: true });
  }
  const { calls, listener } = entry;
  calls.add(call);
  return () => {
    calls.delete(call);
    if (calls.size > 0 || waiting.get(signal)?.calls !== calls) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

/** @internal The promise, or ERR_ABORTED as soon as the signal says so. */
export function until<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(aborted(signal));
  }
  return new Promise((resolve, reject) => {
    const give = () => reject(aborted(signal));
    const forget = listen(signal, give);
    // In this order: whoever sees the end finds nothing that listens.
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error) => {
        forget();
        reject(error);
      },
    );
  });
}
