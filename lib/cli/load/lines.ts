import { isUtf8 } from 'node:buffer';
import { type Block, fitting, maxRowBytes, type Reader, type Row, RowError, reject, withoutMark } from './blocks.ts';

/** The whole lines of one piece of a file. */
interface LineBlock {
  lines: string[];
  /** Index in `lines` -> why that line could not be read. */
  faults: Map<number, string>;
  bytes: number;
}

/**
 * A reader for formats with one record to a line.
 *
 * @param parse gives a line's record, or undefined for a line that holds none; throws RowError for a malformed one
 */
export function lineReader(parse: (line: string) => Row | undefined): Reader {
  return async function* (file, chunks) {
    let number = 0;
    for await (const { lines, faults, bytes } of lineBlocks(chunks)) {
      const block: Block = { rows: [], rejects: [], bytes };
      for (let i = 0; i < lines.length; i++) {
        number++;
        try {
          const fault = faults.get(i);
          if (fault !== undefined) throw new RowError(fault);
          const row = parse(lines[i] as string);
          if (row !== undefined) block.rows.push(fitting(row));
        } catch (error) {
          block.rejects.push(reject(file, number, error, block.rows.length));
        }
      }
      yield block;
    }
  };
}

async function* lineBlocks(chunks: AsyncIterable<Buffer>): AsyncGenerator<LineBlock> {
  let parts: Buffer[] = [];
  let waiting = 0;
  let first = true;
  let skipping = false;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(10) + 1;
    if (end === 0) {
      waiting += chunk.length;
      // A line this long is dropped as it comes, and only its first bytes are kept as a stand-in.
      if (waiting > maxRowBytes) {
        skipping = true;
        parts = [];
      } else parts.push(chunk);
      continue;
    }
    parts.push(chunk.subarray(0, end));
    yield split(Buffer.concat(parts), waiting + end, first, skipping);
    first = false;
    skipping = false;
    parts = end < chunk.length ? [chunk.subarray(end)] : [];
    waiting = chunk.length - end;
  }
  if (waiting > 0) yield split(Buffer.concat(parts), waiting, first, skipping);
}

/** Cuts bytes that end at a line feed, or at the end of the file, into lines (which keep a carriage return). */
function split(bytes: Buffer, length: number, first: boolean, tooLong: boolean): LineBlock {
  if (first) bytes = withoutMark(bytes);
  const lines = bytes.toString('utf8').split('\n');
  if (bytes[bytes.length - 1] === 10) lines.pop();
  const faults = isUtf8(bytes) ? new Map<number, string>() : findDamage(bytes);
  if (tooLong) faults.set(0, `the line is longer than ${maxRowBytes} bytes`);
  return { lines, faults, bytes: length };
}

function findDamage(bytes: Buffer): Map<number, string> {
  const faults = new Map<number, string>();
  for (let from = 0, i = 0; from < bytes.length; i++) {
    const feed = bytes.indexOf(10, from);
    const to = feed < 0 ? bytes.length : feed;
    if (!isUtf8(bytes.subarray(from, to))) faults.set(i, 'the line is not UTF-8');
    from = to + 1;
  }
  return faults;
}
