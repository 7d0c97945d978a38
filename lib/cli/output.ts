import { codeOf } from './errors.ts';

/**
 * Standard output for commands that may print more than a pipe holds.
 *
 * A reader that goes away (`thermocline scan db | head`) is no failure: `closed` turns true, writes are dropped, and
 * the command stops at its next step.
 */
export class Output {
  /** Whether the reader went away. */
  closed = false;
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream = process.stdout) {
    this.#stream = stream;
    // The callback of each write tells of its failure.
    stream.on('error', () => {});
  }

  /** Whether a person reads this on a terminal. */
  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Writes, and waits until the system has taken it. @throws what the system says, such as ENOSPC for a full disk */
  write(data: string | Uint8Array): Promise<void> {
    if (this.closed || data.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#stream.write(data, (error) => {
        if (codeOf(error) === 'EPIPE') this.closed = true;
        else if (error) return reject(error);
        resolve();
      });
    });
  }

  /** Writes one line. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }
}

/** One line to standard error, whoever reads it. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
