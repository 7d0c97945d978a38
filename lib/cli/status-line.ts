/** Shows how something long stands: one line that changes on a terminal, a line a minute where it is a pipe or a file. */
export interface StatusLine {
  show(text: string): void;
  /** Clears the line on a terminal. */
  stop(): void;
}

const MINUTE = 60_000;

/** @param every milliseconds between lines where standard error is no terminal */
export function startStatusLine(stream = process.stderr, every = MINUTE): StatusLine {
  if (stream.isTTY !== true) {
    let last = performance.now();
    return {
      show(text) {
        if (performance.now() - last < every) return;
        last = performance.now();
        stream.write(`${text}\n`);
      },
      stop() {},
    };
  }
  return {
    show: (text) => stream.write(`\r\x1b[2K${text.slice(0, Math.max(20, (stream.columns ?? 120) - 1))}`),
    stop: () => stream.write('\r\x1b[2K'),
  };
}
