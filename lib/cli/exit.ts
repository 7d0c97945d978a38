import { describeError, exitCodeOf } from './errors.ts';
import { note } from './output.ts';

/**
 * Runs a program and makes its outcome the exit code of the process.
 *
 * @param program gives the exit code; what it throws is told in one line. Programs are imported inside it, so that a
 *   native addon that does not load is told in one line too.
 */
export function exitAfter(program: () => Promise<number>): void {
  process.stderr.on('error', () => {});
  program()
    .catch((error: unknown) => {
      note(describeError(error));
      return exitCodeOf(error);
    })
    .then((code) => {
      // Not process.exit: what standard output still holds must reach the pipe.
      process.exitCode = code;
    });
}
