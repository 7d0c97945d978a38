import { writeSync } from 'node:fs';

const nobody = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes a line to the standard output that is there however the process ends next. Waits while the pipe is full: the
 * parent may be slow, and whether a pipe blocks is the parent's choice.
 */
export function report(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(nobody, 0, 0, 1);
    }
  }
}
