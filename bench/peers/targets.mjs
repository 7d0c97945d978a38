/** What the project promised itself, each promise as a ratio or a size that a run can check. */

import { STORES } from './catalog.mjs';
import { median } from './statistics.mjs';

const MIB = 1024 * 1024;
const PEERS = Object.keys(STORES).filter((name) => STORES[name].peer);

/** @typedef {{ text: string, value: number | undefined, goal: number, atMost?: boolean, unit: string }} Target */

/** @param {import('./statistics.mjs').Summary} summary @param {string[]} measures @returns {number | undefined} */
export function bestPeer(summary, ...measures) {
  const medians = PEERS.flatMap((peer) => measures.map((measure) => summary[peer]?.[measure]?.median ?? 0));
  return Math.max(...medians) || undefined;
}

const ratio = (a, b) => (a !== undefined && b !== undefined ? a / b : undefined);

/** What the later of ten lives added, in MiB, by round: the first ones fill what stays (pools, compiled code). */
function growthMiB(rounds) {
  if (!rounds) return undefined;
  return median(rounds.map((lives) => (median(lives.slice(-3)) - median(lives.slice(2, 5))) / MIB));
}

/**
 * @param {number} valueSize bytes @param {import('./statistics.mjs').Summary} summary
 * @param {Record<string, Record<string, any[]>>} results all figures by store, measure and round
 * @param {number | undefined} budgetBytes memory that Thermocline's options allow
 * @returns {Target[]}
 */
export function targetsOf(valueSize, summary, results, budgetBytes) {
  const of = (store, measure) => summary[store]?.[measure]?.median;
  const mine = (measure) => of('thermocline', measure);
  const timesBest = (measure, goal, text, ...rivals) => ({
    text: `${text} / best peer`,
    value: ratio(mine(measure), bestPeer(summary, ...(rivals.length ? rivals : [measure]))),
    goal,
    unit: 'x',
  });
  const minus = (a, b) => (a !== undefined && b !== undefined ? a - b : undefined);
  const peakOverNothing = minus(mine('residentPeak'), of('nothing', 'residentPeak'));
  const growth = (store) => growthMiB(results[store]?.residentAfterLife);

  const scanned = mine('scanBatches');
  const targets = [
    timesBest('load', 1.5, 'loading'),
    timesBest('loadArray', 1.5, 'loading by arrays'),
    { text: 'loading / plain C++', value: ratio(mine('load'), of('plain', 'load')), goal: 0.8, unit: 'x' },
    timesBest('put', 2.5, 'concurrent puts'),
    { text: 'concurrent puts / our loading', value: ratio(mine('put'), mine('load')), goal: 0.7, unit: 'x' },
    timesBest('getSync', 3, 'getSync, working set'),
    timesBest('get', 2.5, 'get, working set'),
    timesBest('getMany', 5, 'getMany, working set'),
    {
      text: 'getMany, no hot cache / plain C++ MultiGet',
      value: ratio(of('no-hot-cache', 'getMany'), of('plain', 'getMany')),
      goal: 1,
      unit: 'x',
    },
    // A peer is taken at its best, whichever way it scans.
    timesBest('scanBatches', 2.5, 'scan by nextMany', 'scanBatches', 'scanAwait'),
    timesBest('scanAwait', 1.5, 'scan by for await', 'scanBatches', 'scanAwait'),
  ];
  if (valueSize >= 1024) {
    const bytes = 16 + valueSize;
    targets.push({ text: 'scan by nextMany', value: scanned && (scanned * bytes) / 1e9, goal: 1.5, unit: ' GB/s' });
  }
  targets.push(
    {
      text: 'resident peak over a store that does nothing',
      value: peakOverNothing && peakOverNothing / MIB,
      goal: (budgetBytes ?? 0) / MIB + 100,
      atMost: true,
      unit: ' MiB',
    },
    {
      text: 'growth over ten open, load, close rounds, less that of nothing',
      value: minus(growth('thermocline'), growth('nothing')),
      goal: 8,
      atMost: true,
      unit: ' MiB',
    },
  );
  return targets;
}

/** @param {Target} target @returns {'reached' | 'missed' | 'not measured'} */
export function verdict({ value, goal, atMost }) {
  if (value === undefined) return 'not measured';
  return (atMost ? value <= goal : value >= goal) ? 'reached' : 'missed';
}
