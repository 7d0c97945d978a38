// Figures for people.

export function count(n) {
  if (n === undefined || n === null) return '–';
  return Math.round(n).toLocaleString('en-US');
}

export function short(n) {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ]) {
    if (n >= size) return `${(n / size).toPrecision(3)}${unit}`;
  }
  return String(Math.round(n));
}

export function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function seconds(n) {
  if (n === undefined || n === null) return '–';
  if (n === 0) return '0 s';
  if (n < 0.001) return `${(n * 1e6).toPrecision(3)} µs`;
  if (n < 1) return `${(n * 1000).toPrecision(3)} ms`;
  return `${n.toFixed(1)} s`;
}

export function share(n) {
  return n === undefined || n === null ? '–' : `${(100 * n).toFixed(1)}%`;
}

/** `blockCache` as people write it: block cache. */
export function words(name) {
  return name.replace(/[A-Z0-9]+/g, (part) => ` ${part.toLowerCase()}`);
}

/** A figure of an alert, in its unit. */
export function inUnit(value, unit) {
  return unit === 'bytes' ? bytes(value) : unit === 'share' ? share(value) : seconds(value);
}
