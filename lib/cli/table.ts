import Table from 'cli-table3';

/** What to print as a table. */
export interface TableContent {
  head?: readonly string[];
  rows: readonly (readonly string[])[];
  /** Columns, counted from 0, whose cells stand to the right. */
  right?: readonly number[];
}

const noBorders = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
);

/** A table for people: aligned columns, with borders on a terminal. */
export function formatTable(content: TableContent, borders: boolean): string {
  const { head, rows, right = [] } = content;
  const width = Math.max(head?.length ?? 0, ...rows.map((cells) => cells.length));
  const table = new Table({
    ...(head === undefined ? {} : { head: [...head] }),
    ...(borders ? {} : { chars: noBorders }),
    colAligns: Array.from({ length: width }, (_, i) => (right.includes(i) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 1, 'padding-right': 1 },
  });
  table.push(...rows.map((cells) => [...cells]));
  return `${table.toString().replace(/ +$/gm, '')}\n`;
}

/** A table for programs: a line a row, cells separated by tabs, which `cut` and `awk` take apart. */
export function formatTabs(rows: readonly (readonly string[])[]): string {
  return rows.map((cells) => `${cells.join('\t')}\n`).join('');
}
