import { SingleBar } from 'cli-progress';
import { formatCount, formatRate, wholeSeconds } from './text.ts';

/** Shows how far a load is: a bar on a terminal, nothing where standard error is a pipe or a file. */
export interface Progress {
  /** @param bytes read so far; @param records committed so far */
  update(bytes: number, records: number): void;
  /** Writes a line above the bar. */
  note(line: string): void;
  stop(): void;
}

/**
 * @param totalBytes bytes to read, or undefined when they are not known (standard input): then no bar, only counts
 */
export function startProgress(totalBytes: number | undefined, stream = process.stderr): Progress {
  if (stream.isTTY !== true) return { update() {}, note: (line) => stream.write(`${line}\n`), stop() {} };
  const started = performance.now();
  const known = totalBytes !== undefined && totalBytes > 0;
  const bar = new SingleBar({
    stream,
    format: known ? '  {bar} {percentage}%  {records} records  {speed}  {left} left' : '  {records} records  {speed}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    // The load itself answers Ctrl-C.
    gracefulExit: false,
  });
  const total = known ? totalBytes : 1;
  let done = 0;
  let figures = { records: '0', speed: '', left: '?' };
  bar.start(total, done, figures);
  return {
    update(bytes, records) {
      const seconds = (performance.now() - started) / 1000;
      done = known ? Math.min(bytes, totalBytes) : 0;
      const left = done > 0 ? wholeSeconds(((total - done) * seconds) / done) : '?';
      figures = { records: formatCount(records), speed: formatRate(records, seconds), left };
      bar.update(done, figures);
    },
    note(line) {
      // The bar goes back to where it began when it is cleared: a line written beside it would be lost.
      bar.stop();
      stream.write(`${line}\n`);
      bar.start(total, done, figures);
    },
    stop: () => bar.stop(),
  };
}
