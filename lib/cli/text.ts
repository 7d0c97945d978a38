import { isUtf8 } from 'node:buffer';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const unprintable = /[\u0000-\u001f\u007f-\u009f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const escaped = /[\u0000-\u001f\u007f-\u009f\\]/g;
const names: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/**
 * Bytes as text on one line. UTF-8 without control characters stands as it is; anything else is escaped, with `\n`,
 * `\t`, `\r`, `\\` and `\xNN`, so that a line of output is a record whatever the record holds.
 */
export function printable(bytes: Buffer): string {
  if (!isUtf8(bytes)) return escapeText(bytes.toString('latin1'), /[^\u0020-\u005b\u005d-\u007e]/g);
  const text = bytes.toString('utf8');
  return unprintable.test(text) ? escapeText(text, escaped) : text;
}

function escapeText(text: string, what: RegExp): string {
  return text.replace(
    what,
    (c) => names[c] ?? [...Buffer.from(c, c > '\x7f' && what === escaped ? 'utf8' : 'latin1')].map(hex).join(''),
  );
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** A count with thousands separators: 480,493. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Bytes in the largest unit that keeps the number readable: 35.4 MB (decimal units). */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

/** A time in the unit that suits it: 85 µs, 3.2 ms, 1.4 s, 2 min 5 s. */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : wholeSeconds(seconds);
}

/** A time in whole seconds, rounded up: 3 s, 2 min 5 s. */
export function wholeSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** How many things a second: 310,000/s. */
export function formatRate(count: number, seconds: number): string {
  return `${formatCount(count / Math.max(seconds, 1e-9))}/s`;
}

/** `1 row`, `2 rows`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
