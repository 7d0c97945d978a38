import type { ShardJobOptions } from '../index.ts';
import { catchInterrupts } from './interrupt.ts';
import { startProgress } from './progress.ts';

/** Runs what can be aborted by Ctrl-C. */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupt = catchInterrupts();
  try {
    return await run(interrupt.signal);
  } finally {
    interrupt.dispose();
  }
}

/** The same, with a bar. */
export function job<T>(run: (options: ShardJobOptions) => Promise<T>): Promise<T> {
  return interruptible(async (signal) => {
    const bar = startProgress(1);
    try {
      return await run({
        signal,
        onProgress: ({ bytes, totalBytes }) => bar.update(totalBytes === 0 ? 0 : bytes / totalBytes, 0),
      });
    } finally {
      bar.stop();
    }
  });
}
