/** @param {number[]} figures @returns {number} */
export function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @typedef {{ median: number, min: number, max: number }} Spread
 * @typedef {Record<string, Record<string, Spread>>} Summary store, measure
 */

/** @param {Record<string, Record<string, any[]>>} results one figure per round @returns {Summary} */
export function summarize(results) {
  const summary = {};
  for (const [store, measures] of Object.entries(results)) {
    summary[store] = {};
    for (const [measure, figures] of Object.entries(measures)) {
      if (typeof figures[0] !== 'number') continue;
      summary[store][measure] = { median: median(figures), min: Math.min(...figures), max: Math.max(...figures) };
    }
  }
  return summary;
}
