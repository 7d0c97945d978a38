import type { Figures } from './trial.ts';

/** What the options are to be best at. */
export type Goal = 'speed' | 'size' | 'balance';

export const goals: readonly Goal[] = ['speed', 'size', 'balance'];

/** Unless told otherwise, a goal of size may slow any rate down to this share of the reference, and no further. */
export const LEAST_SHARE = 0.25;

/** How much speed counts where size is asked for: 10% slower is as bad as half a percent larger. */
const TIE_BREAK = 0.05;

function speed(figures: Figures, reference: Figures): number {
  const rates: number[] = [];
  for (const name of ['write', 'get', 'getMany', 'scan'] as const) {
    // Trials of writes alone have no reads.
    if (reference[name] > 0 && figures[name] > 0) rates.push(figures[name] / reference[name]);
  }
  return Math.exp(rates.reduce((sum, rate) => sum + Math.log(rate), 0) / Math.max(1, rates.length));
}

/**
 * How much better than the reference figures are, in a goal; 1 for the reference itself.
 *
 * - speed: the geometric mean of the four rates' ratios
 * - size: how many times smaller the tables are, and between nearly equal ones the faster; 0 if a rate falls below
 *   `leastShare` of the reference's
 * - balance: the geometric mean of these two ratios
 */
export function score(figures: Figures, reference: Figures, goal: Goal, leastShare = LEAST_SHARE): number {
  const smaller = reference.diskBytes / figures.diskBytes;
  const faster = speed(figures, reference);
  if (goal === 'speed') return faster;
  if (goal === 'balance') return Math.sqrt(faster * smaller);
  const slow = (['write', 'get', 'getMany', 'scan'] as const).some((name) => {
    return reference[name] > 0 && figures[name] > 0 && figures[name] < leastShare * reference[name];
  });
  return slow ? 0 : smaller * faster ** TIE_BREAK;
}

/** The middle of some figures, each by itself. */
export function medianOf(all: readonly Figures[]): Figures {
  const names = Object.keys(all[0] as Figures) as (keyof Figures)[];
  const middle = (name: keyof Figures) => {
    const sorted = all.map((figures) => figures[name]).sort((a, b) => a - b);
    const at = (sorted.length - 1) / 2;
    return ((sorted[Math.floor(at)] as number) + (sorted[Math.ceil(at)] as number)) / 2;
  };
  return Object.fromEntries(names.map((name) => [name, middle(name)])) as unknown as Figures;
}

/** How far scores of the same thing lie apart: half the range between the least and the most, as a share of the middle. */
export function spread(scores: readonly number[]): number {
  const least = Math.min(...scores);
  const most = Math.max(...scores);
  return (most - least) / (most + least);
}
