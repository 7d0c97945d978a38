import { isUtf8 } from 'node:buffer';
import { CliError, usageError } from '../errors.ts';
import {
  type Block,
  countLines,
  fitting,
  maxRowBytes,
  type Reader,
  type Row,
  RowError,
  reject,
  wholeMark,
  withoutMark,
} from './blocks.ts';
import { type CsvFormat, CsvParser } from './csv-parser.ts';
import type { KeyTemplate } from './template.ts';

/** How the rows of a CSV or TSV file become records. */
export interface CsvOptions {
  format: CsvFormat;
  key: KeyTemplate;
  /** The column that is the value; undefined for the whole row as a JSON object. */
  valueColumn: string | undefined;
  /** Names for the columns of files without a header row; undefined when the first row names them. */
  columns: readonly string[] | undefined;
}

/** A reader for CSV and TSV. */
export function csvReader(options: CsvOptions): Reader {
  return (file, chunks) => new CsvFile(file, options).blocks(chunks);
}

/**
 * One file being read.
 *
 * After a row that csv-parse cannot read, parsing starts anew on the line after the one where that row began, so that
 * a quotation mark that is never closed costs one line and not the rest of the file. For this the bytes since the last
 * good row are kept. Line numbers are counted here: csv-parse counts a CR LF inside quotes twice.
 */
class CsvFile {
  readonly #file: string;
  readonly #options: CsvOptions;
  #parser: CsvParser;
  #makeRow: ((fields: string[]) => Row) | undefined;
  /** Bytes since the last row taken, which begin on line `#line` and at byte `#start` of the present parser's. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #line = 1;
  #start = 0;
  /** Whether the rest of an unreadable line is still to come. */
  #dropping = false;

  constructor(file: string, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.#parser = new CsvParser(options.format);
    if (options.columns !== undefined) this.#makeRow = rowMaker(options.columns, options, file);
  }

  async *blocks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Block> {
    let first = true;
    for await (const chunk of wholeMark(chunks)) {
      const block: Block = { rows: [], rejects: [], bytes: chunk.length };
      let bytes = this.#afterDropped(first ? withoutMark(chunk) : chunk);
      first = false;
      this.#keep(bytes);
      while (bytes.length > 0) {
        let failure = await this.#parser.write(bytes);
        if (this.#restBytes > maxRowBytes) failure ??= `the row is longer than ${maxRowBytes} bytes`;
        this.#take(block);
        bytes = failure === undefined ? bytes.subarray(bytes.length) : this.#dropLine(block, failure);
      }
      yield block;
    }
    const block: Block = { rows: [], rejects: [], bytes: 0 };
    for (let failure = await this.#parser.end(); ; ) {
      this.#take(block);
      if (failure === undefined) break;
      const bytes = this.#dropLine(block, failure);
      failure = (await this.#parser.write(bytes)) ?? (await this.#parser.end());
    }
    if (this.#makeRow === undefined) throw new CliError(`${this.#file} is empty: there is no header row`);
    yield block;
  }

  /** Makes records of the rows the parser found; what follows the last of them is kept. */
  #take(block: Block): void {
    const rows = this.#parser.takeRows();
    // Pieces of one long row are put together once, at its end.
    if (rows.length === 0) return;
    const bytes = this.#rest.length === 1 ? (this.#rest[0] as Buffer) : Buffer.concat(this.#rest);
    const text = isUtf8(bytes);
    let from = 0;
    for (const { fields, end } of rows) {
      const to = end - this.#start;
      this.#takeRow(block, fields, bytes.subarray(from, to), text);
      from = to;
    }
    this.#start += from;
    this.#rest = [];
    this.#restBytes = 0;
    this.#keep(bytes.subarray(from));
  }

  #takeRow(block: Block, fields: string[], raw: Buffer, text: boolean): void {
    // The parser passes over empty lines: the row begins behind them.
    const line = this.#line + emptyLines(raw).count;
    this.#line += countLines(raw);
    if (this.#makeRow === undefined) {
      this.#makeRow = rowMaker(fields, this.#options, this.#file);
      return;
    }
    try {
      if (!text && !isUtf8(raw)) throw new RowError('the row is not UTF-8');
      block.rows.push(fitting(this.#makeRow(fields)));
    } catch (error) {
      block.rejects.push(reject(this.#file, line, error, block.rows.length));
    }
  }

  /** Rejects the line on which an unreadable row began. @returns the bytes to parse anew */
  #dropLine(block: Block, reason: string): Buffer {
    let bytes: Buffer = Buffer.concat(this.#rest);
    const empty = emptyLines(bytes);
    const line = this.#line + empty.count;
    if (this.#makeRow === undefined) throw new CliError(`${this.#file}:${line}: cannot read the header row: ${reason}`);
    block.rejects.push({ file: this.#file, line, reason, after: block.rows.length });
    this.#line = line;
    this.#dropping = true;
    bytes = this.#afterDropped(bytes.subarray(empty.bytes));
    this.#parser = new CsvParser(this.#options.format);
    this.#start = 0;
    this.#rest = [];
    this.#restBytes = 0;
    this.#keep(bytes);
    return bytes;
  }

  #afterDropped(bytes: Buffer): Buffer {
    if (!this.#dropping) return bytes;
    const feed = bytes.indexOf(10);
    if (feed < 0) return bytes.subarray(bytes.length);
    this.#dropping = false;
    this.#line++;
    return bytes.subarray(feed + 1);
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }
}

/** The empty lines that some bytes begin with. */
function emptyLines(bytes: Buffer): { count: number; bytes: number } {
  let count = 0;
  for (let at = 0; ; count++) {
    if (bytes[at] === 10) at++;
    else if (bytes[at] === 13 && bytes[at + 1] === 10) at += 2;
    else return { count, bytes: at };
  }
}

/** Checks that the columns the options ask for are there, and makes the function from fields to record. */
function rowMaker(columns: readonly string[], options: CsvOptions, file: string): (fields: string[]) => Row {
  const { key, valueColumn } = options;
  const indexes = new Map(columns.map((name, i) => [name, i]));
  const twice = columns.find((name, i) => indexes.get(name) !== i);
  if (twice !== undefined) throw usageError(`${file}: two columns are called '${twice}'; give each a name of its own`);
  for (const name of valueColumn === undefined ? key.columns : [...key.columns, valueColumn]) {
    if (!indexes.has(name)) throw usageError(`${file} has no column '${name}'; its columns are ${columns.join(', ')}`);
  }
  const labels = columns.map((name, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  return (fields) => {
    if (fields.length !== columns.length) {
      throw new RowError(`the row has ${fields.length} fields, and there are ${columns.length} columns`);
    }
    const field = (name: string) => fields[indexes.get(name) as number];
    if (valueColumn !== undefined) return { key: key.render(field), value: field(valueColumn) as string };
    let value = '';
    for (let i = 0; i < labels.length; i++) value += labels[i] + JSON.stringify(fields[i]);
    return { key: key.render(field), value: `${value}}` };
  };
}
