import { invalid } from './error.ts';

/** A number of bytes, or text such as `'64MB'`, `'1.5GB'`, `'512 KiB'`. KB, MB and GB are powers of 1024. */
export type Size = number | string;

const UNITS: Record<string, number> = { '': 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** @internal */
export function parseSize(value: unknown, name: string): number {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return value;
  } else if (typeof value === 'string') {
    const match = /^\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?|B)?\s*$/i.exec(value);
    const bytes = match && Number(match[1]) * (UNITS[(match[2] ?? '').toUpperCase()] ?? 1);
    if (bytes !== null && Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
  }
  throw invalid(`${name} must be a number of bytes or text such as '64MB'`);
}
