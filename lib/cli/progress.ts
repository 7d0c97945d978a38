import { SingleBar } from 'cli-progress';
import { note } from './output.ts';
import { formatCount, formatRate, formatSeconds } from './text.ts';

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
export function startProgress(totalBytes: number | undefined): Progress {
  if (process.stderr.isTTY !== true) return { update() {}, note, stop() {} };
  const started = performance.now();
  const known = totalBytes !== undefined && totalBytes > 0;
  const format = known
    ? '  {bar} {percentage}%  {records} records  {speed}  {left} left'
    : '  {records} records  {speed}';
  const bar = new SingleBar({
    stream: process.stderr,
    format,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    // The load itself answers Ctrl-C.
    gracefulExit: false,
  });
  bar.start(known ? totalBytes : 1, 0, { records: '0', speed: '', left: '?' });
  return {
    update(bytes, records) {
      const seconds = (performance.now() - started) / 1000;
      const left =
        known && bytes > 0 ? formatSeconds(Math.ceil((Math.max(0, totalBytes - bytes) * seconds) / bytes)) : '?';
      // A bar at its total would be drawn as finished while batches are still in flight.
      bar.update(known ? Math.min(bytes, totalBytes) : 0, {
        records: formatCount(records),
        speed: formatRate(records, seconds),
        left,
      });
    },
    note(line) {
      process.stderr.write('\r\x1b[2K');
      note(line);
    },
    stop: () => bar.stop(),
  };
}
