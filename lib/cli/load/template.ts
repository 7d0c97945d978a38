import { usageError } from '../errors.ts';
import { RowError } from './blocks.ts';

/** Makes a record's key from a row. */
export interface KeyTemplate {
  /** The columns it needs, in order. */
  readonly columns: readonly string[];
  /**
   * @param value gives a column's value, undefined if the row has none
   * @throws RowError when a column is missing, empty or not a scalar
   */
  render(value: (column: string) => unknown): string;
}

/**
 * Parses `user/{id}`: `{column}` stands for the row's value; `{{` and `}}` for the braces themselves, so that
 * `user/{{{id}}}` gives the hash tag `user/{42}`.
 *
 * @throws CliError (usage) when the braces do not match or no column is named: every row would get the same key
 */
export function parseKeyTemplate(template: string): KeyTemplate {
  const columns: string[] = [];
  const texts = [''];
  const token = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;
  let end = 0;
  for (const match of template.matchAll(token)) {
    texts[texts.length - 1] += template.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[0] === '{{') texts[texts.length - 1] += '{';
    else if (match[0] === '}}') texts[texts.length - 1] += '}';
    else if (match[1]) {
      columns.push(match[1]);
      texts.push('');
    } else throw usageError(`--key-template ${template}: write {column} for a column and {{ or }} for a brace`);
  }
  texts[texts.length - 1] += template.slice(end);
  if (columns.length === 0) {
    throw usageError(`--key-template ${template} names no column, so every row would get the same key; write {column}`);
  }
  return {
    columns,
    render(value) {
      let key = texts[0] ?? '';
      for (let i = 0; i < columns.length; i++) {
        const column = columns[i] as string;
        key += keyPart(column, value(column)) + texts[i + 1];
      }
      return wellFormed(key, 'the key');
    },
  };
}

/** The template that is one column as it stands. */
export function keyColumn(column: string): KeyTemplate {
  return {
    columns: [column],
    render: (value) => wellFormed(keyPart(column, value(column)), 'the key'),
  };
}

function keyPart(column: string, value: unknown): string {
  if (typeof value === 'string') {
    if (value === '') throw new RowError(`column '${column}' is empty, and it is part of the key`);
    return value;
  }
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    // JSON.parse has rounded it already: two different ids could have become one key.
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new RowError(`'${column}' is a number too large to be exact; write it as a string`);
    }
    return String(value);
  }
  if (value === undefined || value === null) throw new RowError(`there is no '${column}', and it is part of the key`);
  throw new RowError(
    `'${column}' is ${Array.isArray(value) ? 'a list' : 'an object'}, and a key is made of text and numbers`,
  );
}

/**
 * @returns the text
 * @throws RowError for half a surrogate pair (`"\ud800"` in JSON), which no UTF-8 can carry
 */
export function wellFormed(text: string, what: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new RowError(`${what} holds half a surrogate pair, which is not text`);
  return text;
}
