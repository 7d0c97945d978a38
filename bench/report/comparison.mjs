/** Two runs beside each other. */

import { median } from '../peers/statistics.mjs';

/** No two runs agree better than this. */
const FLOOR = 0.05;
/** Sizes and counts, which are no rates. */
const NOT_RATES = /\/(lookups|filtered|diskReads|hotCacheBytes|hotCacheEntries|blockCacheBytes)$/;
const SMALLER_IS_BETTER = /\/diskShare$/;

const groupOf = (name) => name.split('/')[0];

/**
 * Few rounds may agree by chance, so a figure is not credited with less noise than is usual in its group.
 * @returns {(name: string) => number} the noise of a figure of the run
 */
function noiseOf({ figures }) {
  /** @type {Record<string, number[]>} */
  const byGroup = {};
  for (const [name, { noise }] of Object.entries(figures)) {
    byGroup[groupOf(name)] ??= [];
    byGroup[groupOf(name)].push(noise);
  }
  const usual = Object.fromEntries(Object.entries(byGroup).map(([group, all]) => [group, median(all)]));
  return (name) => Math.max(figures[name].noise, usual[groupOf(name)]);
}

/**
 * @param {any} a @param {any} b runs of bench/run.mjs
 * @returns {{ rows: { name: string, from: number, to: number, change: number, bound: number,
 *   verdict: 'same' | 'slower' | 'faster' }[], drift: number, onlyFirst: string[], onlySecond: string[],
 *   warnings: string[] }} change and bound as shares of the first
 */
export function compare(a, b) {
  const names = Object.keys(a.figures).filter((name) => !NOT_RATES.test(name));
  const common = names.filter((name) => b.figures[name] !== undefined);
  const [firstNoise, secondNoise] = [noiseOf(a), noiseOf(b)];
  const ratio = (name) => b.figures[name].median / a.figures[name].median;
  const controls = common.filter((name) => name.startsWith('control/'));
  const drift = Math.max(0, ...controls.map((name) => Math.abs(Math.log(ratio(name)))));
  const rows = common
    .filter((name) => !name.startsWith('control/'))
    .map((name) => {
      const [from, to] = [a.figures[name], b.figures[name]];
      const bound = FLOOR + drift + Math.hypot(firstNoise(name), secondNoise(name));
      const change = from.median === 0 ? 0 : ratio(name) - 1;
      // A factor and its inverse are as far from one.
      const beyond = from.median !== 0 && Math.abs(Math.log(Math.max(ratio(name), 1e-9))) > Math.log(1 + bound);
      const better = SMALLER_IS_BETTER.test(name) ? change < 0 : change > 0;
      const verdict = !beyond ? 'same' : better ? 'faster' : 'slower';
      return { name, from: from.median, to: to.median, change, bound, verdict };
    });
  const warnings = [];
  for (const what of ['cpu', 'cores', 'memoryBytes', 'fileSystem', 'node', 'system']) {
    if (a.machine[what] !== b.machine[what]) {
      warnings.push(`the runs were made on different machines: ${what} ${a.machine[what]}, then ${b.machine[what]}`);
    }
  }
  for (const what of ['quick', 'records', 'seconds']) {
    if (a.options[what] !== b.options[what]) {
      warnings.push(`the runs did different work: ${what} ${a.options[what]}, then ${b.options[what]}`);
    }
  }
  return {
    rows,
    drift,
    onlyFirst: names.filter((name) => b.figures[name] === undefined),
    onlySecond: Object.keys(b.figures).filter((name) => a.figures[name] === undefined && !NOT_RATES.test(name)),
    warnings,
  };
}
