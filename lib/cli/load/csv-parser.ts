import { type CsvError, Parser } from 'csv-parse';

/** CSV has quoted fields; TSV has none, and a quotation mark there is a character like any other. */
export type CsvFormat = 'csv' | 'tsv';

/** A row as csv-parse gives it. */
export interface ParsedRow {
  fields: string[];
  /** Where the row ends, in bytes since the parser's first. */
  end: number;
}

/** csv-parse fed one piece at a time, so that reading is never ahead of committing. Of no more use after a failure. */
export class CsvParser {
  readonly #parser: Collector;

  constructor(format: CsvFormat) {
    this.#parser = new Collector({
      delimiter: format === 'csv' ? ',' : '\t',
      quote: format === 'csv' ? '"' : null,
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
    });
    // Failures come through the callbacks of write and end as well.
    this.#parser.on('error', () => {});
    this.#parser.resume();
  }

  /** The rows completed since the last call. */
  takeRows(): ParsedRow[] {
    const rows = this.#parser.rows;
    this.#parser.rows = [];
    return rows;
  }

  /** @returns why the bytes cannot be parsed, or undefined */
  write(bytes: Buffer): Promise<string | undefined> {
    return new Promise((resolve) => this.#parser.write(bytes, (error) => resolve(explain(error))));
  }

  /** @returns why the file cannot end here, or undefined */
  end(): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#parser.once('error', (error) => resolve(explain(error)));
      this.#parser.once('end', () => resolve(undefined));
      this.#parser.end();
    });
  }
}

/** Keeps rows in a list: csv-parse's own ways to tell where a row ends cost more than parsing it. */
class Collector extends Parser {
  rows: ParsedRow[] = [];

  override push(fields: string[] | null): boolean {
    if (fields === null) return super.push(null);
    this.rows.push({ fields, end: this.info.bytes });
    return true;
  }
}

function explain(error: Error | null | undefined): string | undefined {
  if (error === null || error === undefined) return undefined;
  switch ((error as CsvError).code as string) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quotation mark is opened and never closed';
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'a closing quotation mark is followed by more text';
    case 'INVALID_OPENING_QUOTE':
      return 'a quotation mark stands inside a field that is not quoted';
    default:
      return error.message;
  }
}
