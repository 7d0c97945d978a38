import { checkObject } from './checks.ts';
import { call, takeError } from './dispatcher.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { NativeDatabase, NativeReshard } from './native.ts';

/** How far a split or merge is. */
export interface ShardMoveProgress {
  /** Waiting for another one to end; copying; copying again what was written meanwhile; done. */
  phase: 'waiting' | 'copying' | 'catching-up' | 'switched';
  /** Of keys and values. */
  copiedBytes: number;
  copiedRecords: number;
  /** What will be copied, as estimated at the start. */
  totalBytes: number;
  /** Records copied again because they were written meanwhile. */
  caughtUp: number;
}

/** Options of `db.shards.merge`. */
export interface MergeOptions {
  /** Ends the merge with ERR_ABORTED; nothing has changed then. Default: none. */
  signal?: AbortSignal;
  /** Called about ten times a second, and once at the end. Default: none. */
  onProgress?: (progress: ShardMoveProgress) => void;
}

/** Options of `db.shards.split`. */
export interface SplitOptions extends MergeOptions {
  /** The first slot that goes to the new shard. Default: the one that halves the shard's bytes, by a sample. */
  at?: number;
}

/**
 * A split or merge that is running: a promise of the ids of the shards that hold the data afterwards, which can also be
 * asked and told.
 */
export interface ShardMove extends Promise<number[]> {
  readonly progress: ShardMoveProgress;
  /**
   * Stops copying until `resume()`. What is written meanwhile is still followed, and the shards stay as they are. Restores,
   * freezes and thaws are refused with ERR_LOCKED until then, and writes to a frozen shard, which need a thaw; other
   * splits and merges wait.
   *
   * @example
   * ```ts
   * const move = db.shards.split(0);
   * move.pause(); // at a busy hour
   * move.resume();
   * await move;
   * ```
   */
  pause(): void;
  resume(): void;
  /**
   * Ends it with ERR_ABORTED, unless it was done.
   *
   * @example
   * ```ts
   * const move = db.shards.split(0);
   * move.abort();
   * await move.catch(() => console.log('as before'));
   * ```
   */
  abort(reason?: unknown): void;
}

const PHASES = ['waiting', 'copying', 'catching-up', 'switched'] as const;
const POLL_MS = 100;
const MERGE_NAMES = new Set(['signal', 'onProgress']);
const SPLIT_NAMES = new Set(['at', ...MERGE_NAMES]);

function progressOf(native: NativeReshard): ShardMoveProgress {
  const [phase, copiedBytes, copiedRecords, totalBytes, caughtUp] = native.progress();
  return {
    phase: PHASES[phase] as ShardMoveProgress['phase'],
    copiedBytes,
    copiedRecords,
    totalBytes: Math.max(totalBytes, copiedBytes),
    caughtUp,
  };
}

/** @internal A shard id as a caller gives it. */
export function checkShardId(id: unknown): number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 32) return id as number;
  throw invalid('a shard id is a whole number from 0');
}

/** @internal Begins a split, or with `other` a merge. Throws what is wrong with the arguments. */
export function startShardMove(
  database: NativeDatabase,
  id: number,
  other: number | undefined,
  options: unknown,
): ShardMove {
  const split = other === undefined;
  const given = checkObject(options, split ? SPLIT_NAMES : MERGE_NAMES, split ? 'of split' : 'of merge') ?? {};
  const { at, signal, onProgress } = given as SplitOptions;
  if (at !== undefined && !(Number.isInteger(at) && at >= 0 && at < 16_384)) {
    throw invalid('at must be a slot, a whole number from 0 to 16383');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
  if (onProgress !== undefined && typeof onProgress !== 'function') throw invalid('onProgress must be a function');
  const native = database.reshard();
  if (native === undefined) throw takeError();
  let aborted: { reason: unknown } | undefined;
  let cancel = () => {};
  // What has not begun ends at once, and not when a thread would have come to it.
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () => reject(new ThermoclineError('ERR_ABORTED', 'the split or merge was aborted'));
  });
  const abort = (reason?: unknown) => {
    aborted ??= { reason };
    if (native.abort()) cancel();
  };
  const run = async (): Promise<number[]> => {
    const onAbort = () => abort(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = onProgress && setInterval(() => onProgress(progressOf(native)), POLL_MS).unref();
    try {
      const ids = await Promise.race([call<number[]>((ticket) => native.run(ticket, id, other, at)), cancelled]);
      onProgress?.(progressOf(native));
      return ids;
    } catch (error) {
      if (aborted === undefined || (error as ThermoclineError).code !== 'ERR_ABORTED') throw error;
      throw new ThermoclineError('ERR_ABORTED', (error as Error).message, { cause: aborted.reason });
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  };
  const move = run() as ShardMove;
  Object.defineProperty(move, 'progress', { get: () => progressOf(native) });
  return Object.assign(move, { pause: () => native.pause(true), resume: () => native.pause(false), abort });
}
