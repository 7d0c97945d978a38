/**
 * What a run's figures are worth: the median of the rounds, and how far a repetition may lie from it by chance.
 *
 * @typedef {object} Summary
 * @property {number} median @property {number} min @property {number} max
 * @property {number} noise as a share of the median: what the rounds, or the samples within one, differ by
 * @property {number} rounds
 */

import { median } from '../peers/statistics.mjs';

/**
 * Of one round: samples of one process do not tell what processes differ by. Measured on two cores: figures of one thread
 * by 3%, those of several threads, whose places the system chooses, by up to 30%.
 */
const ONE_ROUND = 0.2;

/**
 * Half of the range of few values is a poor estimate of their spread: for two it is about 0.56 standard deviations on
 * average, for three 0.85, for five 1.16. Divided by it, and doubled, it covers 95%.
 */
const RANGE_TO_95 = [Number.NaN, Number.NaN, 3.54, 2.36, 1.94, 1.72];

/** @param {number[]} values one per round @param {number[]} margins @returns {Summary} */
export function summaryOf(values, margins) {
  const middle = median(values);
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const factor = RANGE_TO_95[Math.min(values.length, RANGE_TO_95.length - 1)];
  const between = values.length > 1 ? ((max - min) / 2 / middle) * factor : 0;
  const within = Math.max(...margins);
  const noise = Math.max(between, within, values.length === 1 ? ONE_ROUND : 0);
  return { median: middle, min, max, noise, rounds: values.length };
}

/** @param {Record<string, { values: number[], margins: number[] }>} figures @returns {Record<string, Summary>} */
export function summarize(figures) {
  return Object.fromEntries(
    Object.entries(figures).map(([name, { values, margins }]) => [name, summaryOf(values, margins)]),
  );
}
