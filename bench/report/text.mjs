/** Figures as text. */

/** @param {number | undefined} n such as 1.23M, 45.6K, 789 */
export function short(n) {
  if (n === undefined || Number.isNaN(n)) return 'n/a';
  const units = ['', 'K', 'M', 'G', 'T'];
  let unit = 0;
  while (Math.abs(n) >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  const digits = n >= 99.5 || (unit === 0 && n >= 9.95) ? 0 : n >= 9.95 ? 1 : 2;
  return `${n.toFixed(digits)}${units[unit]}`;
}

/** Three digits of it, and no zeros behind the point. */
function threeDigits(n) {
  const text = n.toFixed(n >= 99.5 ? 0 : n >= 9.95 ? 1 : 2);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** @param {number | undefined} ms such as 85 µs, 3.2 ms, 1.4 s */
export function time(ms) {
  if (ms === undefined || Number.isNaN(ms)) return 'n/a';
  if (ms < 0.9995) return `${threeDigits(ms * 1000)} µs`;
  return ms < 999.5 ? `${threeDigits(ms)} ms` : `${threeDigits(ms / 1000)} s`;
}

/** @param {number} share such as 0.123 */
export function percent(share) {
  if (share === undefined || Number.isNaN(share)) return 'n/a';
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)}%`;
}

/** @param {number} ratio */
export function times(ratio) {
  return ratio === undefined || Number.isNaN(ratio) ? 'n/a' : `${ratio.toFixed(2)}x`;
}

/** @param {string | number} text for HTML */
export function escaped(text) {
  return String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
}

/** @param {[number, number][]} quantiles @param {number} share @returns {number | undefined} milliseconds */
export function quantileOf(quantiles, share) {
  return quantiles?.find(([at]) => at === share)?.[1];
}
