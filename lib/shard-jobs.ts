import { checkObject } from './checks.ts';
import { call } from './dispatcher.ts';
import { invalid, ThermoclineError } from './error.ts';
import { type NativeShardJob, native } from './native.ts';

const PROGRESS_MS = 100;

/** How far a snapshot or restore of shards, or a check, is: bytes whose checksums were computed or compared. */
export interface ShardProgress {
  bytes: number;
  /** 0 until it is known. */
  totalBytes: number;
}

/** Options of what takes long with shards, and of checks. */
export interface ShardJobOptions {
  /** Ends the work with ERR_ABORTED, unless it is done. Default: none. */
  signal?: AbortSignal;
  /** Called about ten times a second, and at the end. Default: none. */
  onProgress?: (progress: ShardProgress) => void;
}

/** @internal Checks the options of a job; `more` are names that the caller looks at itself. */
export function checkJobOptions(options: unknown, of: string, more: readonly string[] = []): ShardJobOptions {
  const given = checkObject(options, new Set(['signal', 'onProgress', ...more]), of) ?? {};
  const { signal, onProgress } = given as ShardJobOptions;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
  if (onProgress !== undefined && typeof onProgress !== 'function') throw invalid('onProgress must be a function');
  return { ...(signal && { signal }), ...(onProgress && { onProgress }) };
}

/** @internal Runs a job of the engine that can be aborted and tells how far it is. */
export async function runJob<T>(
  { signal, onProgress }: ShardJobOptions,
  start: (ticket: number, job: NativeShardJob) => void,
): Promise<T> {
  if (signal?.aborted) {
    throw new ThermoclineError('ERR_ABORTED', 'the operation was aborted', { cause: signal.reason });
  }
  const job = native.shardJob();
  let abort = () => {};
  // What has not begun ends at once, and not when a thread would have come to it.
  const cancelled = new Promise<never>((_, reject) => {
    abort = () => {
      if (native.shardJobAbort(job)) reject(new ThermoclineError('ERR_ABORTED', 'the operation was aborted'));
    };
  });
  const tell = () => {
    const [bytes, totalBytes] = native.shardJobProgress(job);
    onProgress?.({ bytes, totalBytes });
  };
  signal?.addEventListener('abort', abort, { once: true });
  const timer = onProgress && setInterval(tell, PROGRESS_MS);
  timer?.unref();
  try {
    const result = await Promise.race([call<T>((ticket) => start(ticket, job)), cancelled]);
    tell();
    return result;
  } catch (error) {
    if (!signal?.aborted || (error as ThermoclineError).code !== 'ERR_ABORTED') throw error;
    throw new ThermoclineError('ERR_ABORTED', (error as Error).message, { cause: signal.reason });
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', abort);
  }
}
