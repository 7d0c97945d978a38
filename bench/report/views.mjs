/** Which figures of a run stand together in a chart or a table. */

import { STORES } from '../peers/catalog.mjs';
import { GROUPS, PEER_MEASURES } from '../suite/catalog.mjs';
import { short } from './text.mjs';

/** Shown in ways of their own; `control` and `ratio` among all figures and targets. */
const OWN = new Set(['levels', 'native', 'ycsb', 'peers', 'ratio', 'control']);

/** @typedef {{ label: string, bars: ({ value: number, low: number, high: number, text: string } | undefined)[] }} Row */

function bar(summary) {
  if (summary === undefined) return undefined;
  const { median, min, max, noise } = summary;
  return { value: median, low: min, high: max, text: `${short(median)}/s ±${(noise * 100).toFixed(0)}%` };
}

/** @param {any} result @param {string} group @returns {{ series: string[], rows: Row[] }} its entries by their figures */
export function groupView({ entries, figures }, group) {
  const members = entries.filter((entry) => entry.group === group);
  const series = [];
  for (const { name } of members) {
    for (const figure of Object.keys(figures)) {
      if (!figure.startsWith(`${name}/`)) continue;
      const rest = figure.slice(name.length + 1);
      if (!rest.includes('/') && !series.includes(rest)) series.push(rest);
    }
  }
  const rows = members.map(({ name, title }) => ({
    label: title,
    bars: series.map((figure) => bar(figures[`${name}/${figure}`])),
  }));
  return { series, rows: rows.filter(({ bars }) => bars.some(Boolean)) };
}

/** @returns {string[]} groups that are shown as they are */
export function plainGroups({ entries }) {
  const present = new Set(entries.map(({ group }) => group));
  return Object.keys(GROUPS).filter((group) => present.has(group) && !OWN.has(group));
}

/** @param {string} name such as `get/all|2` */
export const nativeLabel = (name) => name.replace(/\|(\d)/, (_, n) => (n === '1' ? ', one thread' : `, ${n} threads`));

/** The engine beside plain RocksDB. @returns {{ series: string[], rows: Row[], ratios: { label: string, ratio: number }[] }} */
export function nativeView({ figures }) {
  const series = ['engine', 'plain'];
  const names = Object.keys(figures).flatMap((name) => /^native\/engine\/(.+)\/perSecond$/.exec(name)?.[1] ?? []);
  const of = (who, name) => figures[`native/${who}/${name}/perSecond`];
  return {
    series,
    rows: names.map((name) => ({ label: nativeLabel(name), bars: series.map((who) => bar(of(who, name))) })),
    ratios: names.flatMap((name) => {
      const [engine, plain] = series.map((who) => of(who, name)?.median);
      return engine && plain ? [{ label: nativeLabel(name), ratio: engine / plain }] : [];
    }),
  };
}

/** @returns {{ series: string[], rows: Row[] }} stores by workload */
export function ycsbView({ entries, figures }) {
  const members = entries.filter(({ group }) => group === 'ycsb');
  const stores = [...new Set(members.map(({ name }) => name.split('/')[1]))];
  const phases = [...new Set(members.map(({ name }) => name.split('/')[2]))];
  const rows = phases.map((phase) => ({
    label: members.find(({ name }) => name.endsWith(`/${phase}`)).title,
    bars: stores.map((store) => bar(figures[`ycsb/${store}/${phase}/operations`])),
  }));
  return { series: stores.map((store) => STORES[store].label), rows };
}

const PEER_LABELS = {
  load: 'load, batches of 1,000',
  put: 'put, 1,000 outstanding',
  getSync: 'getSync, working set',
  get: 'get, working set',
  getMany: 'getMany, working set',
  getManyAll: 'getMany, all keys',
  scanBatches: 'scan, batches of 1,000',
  scanAwait: 'scan, for await',
};

/** @returns {{ series: string[], rows: Row[], ratios: { label: string, ratio: number }[] }} stores by measure */
export function peersView({ entries, figures }) {
  const stores = [...new Set(entries.filter(({ group }) => group === 'peers').map(({ name }) => name.split('/')[1]))];
  const of = (store, measure) => {
    const name = Object.keys(figures).find((figure) => {
      const [group, who, , what] = figure.split('/');
      return group === 'peers' && who === store && what === measure;
    });
    return name && figures[name];
  };
  const measures = PEER_MEASURES.filter((measure) => stores.some((store) => of(store, measure)));
  return {
    series: stores.map((store) => STORES[store].label),
    rows: measures.map((measure) => ({
      label: PEER_LABELS[measure],
      bars: stores.map((store) => bar(of(store, measure))),
    })),
    ratios: measures.flatMap((measure) => {
      const ours = of('thermocline', measure)?.median;
      // A peer is taken at its best, whichever way it scans.
      const rivals = measure.startsWith('scan') ? ['scanBatches', 'scanAwait'] : [measure];
      const others = stores.filter((store) => store !== 'thermocline');
      const best = Math.max(0, ...others.flatMap((store) => rivals.map((rival) => of(store, rival)?.median ?? 0)));
      return ours && best ? [{ label: PEER_LABELS[measure], ratio: ours / best }] : [];
    }),
  };
}

const LEVELS = ['hotCacheShare', 'memtableShare', 'blockCacheShare', 'diskShare'];

/** @returns {{ series: string[], rows: { label: string, shares: number[] }[] }} by what lookups were answered */
export function levelsView({ entries, figures }) {
  const rows = entries
    .filter(({ name, group }) => group === 'levels' && figures[`${name}/hotCacheShare`])
    .map(({ name, title }) => ({
      label: title,
      shares: LEVELS.map((level) => Math.max(0, figures[`${name}/${level}`].median)),
    }));
  return { series: ['hot cache', 'memtable', 'block cache', 'disk'], rows };
}

/** @returns {{ label: string, quantiles: [number, number][], count: number }[]} of the first round */
export function latencyLines({ entries, latencies }, group) {
  return entries
    .filter((entry) => entry.group === group)
    .flatMap(({ name, title }) =>
      Object.entries(latencies)
        .filter(([key]) => key.startsWith(`${name}/`) && !key.slice(name.length + 1).includes('/'))
        .map(([key, [first]]) => ({ label: `${nativeLabel(title)}: ${key.slice(name.length + 1)}`, ...first })),
    );
}
