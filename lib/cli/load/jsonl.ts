import { type Reader, type Row, RowError } from './blocks.ts';
import { lineReader } from './lines.ts';
import { type KeyTemplate, wellFormed } from './template.ts';

/**
 * JSON Lines: one object a line; empty lines are passed over.
 *
 * @param key makes the key from the object's fields
 * @param valueField the field that becomes the value (a string as it stands, anything else as JSON), or undefined for
 *   the whole line as it is written
 */
export function jsonLinesReader(key: KeyTemplate, valueField: string | undefined): Reader {
  return lineReader((line) => parseJsonLine(line, key, valueField));
}

/** Parses one line; undefined for an empty one. @throws RowError when it is malformed */
export function parseJsonLine(line: string, key: KeyTemplate, valueField: string | undefined): Row | undefined {
  const text = line.trim();
  if (text === '') return undefined;
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    throw new RowError(`not JSON: ${(error as Error).message}`);
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    throw new RowError(`a row is an object such as {"id":1}, and this is ${describe(row)}`);
  }
  const fields = row as Record<string, unknown>;
  const field = (name: string) => (Object.hasOwn(fields, name) ? fields[name] : undefined);
  const rendered = key.render(field);
  if (valueField === undefined) return { key: rendered, value: text };
  const value = field(valueField);
  if (value === undefined) throw new RowError(`there is no '${valueField}', and it is the value`);
  return { key: rendered, value: typeof value === 'string' ? wellFormed(value, 'the value') : JSON.stringify(value) };
}

function describe(row: unknown): string {
  if (row === null) return 'null';
  return Array.isArray(row) ? 'a list' : `a ${typeof row}`;
}
