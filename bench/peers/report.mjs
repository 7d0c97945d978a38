/** The printed report: machine, versions, workload, one table per value size, targets. */

import { RATES, SIZES, STORES } from './catalog.mjs';
import { summarize } from './statistics.mjs';
import { bestPeer, targetsOf, verdict } from './targets.mjs';
import { KEY_SIZE, WORKING_SET } from './workload.mjs';

const MIB = 1024 * 1024;

/** @param {number} n per second */
function perSecond(n) {
  if (n >= 999_500) return `${(n / 1e6).toFixed(2)}M`;
  return n >= 1000 ? `${Math.round(n / 1000)}K` : String(Math.round(n));
}
const mebibytes = (bytes) => `${Math.round(bytes / MIB)} MiB`;
const times = (n) => `${n.toFixed(2)}x`;

/** The plain C++ driver names its figures otherwise. */
const figureOf = (summary, store, { id, plain }) => summary[store]?.[STORES[store].adapter ? id : plain];

/** Columns as wide as their content, the first to the left, the others to the right. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** Two lines per measure: the medians, and below them the smallest and largest figure of the rounds. */
function rowsOf(measure, stores, summary, show, ratios) {
  const spread = (store) => figureOf(summary, store, measure);
  const medians = stores.map((store) => (spread(store) ? show(spread(store).median) : 'n/a'));
  const ranges = stores.map((store) => {
    const range = spread(store);
    return range && range.min !== range.max ? `${show(range.min)}-${show(range.max)}` : '';
  });
  const rows = [[measure.label, ...medians, ...ratios]];
  if (ranges.some(Boolean)) rows.push(['', ...ranges, ...ratios.map(() => '')]);
  return rows;
}

function rateTable(stores, summary) {
  const shown = stores.filter((store) => store !== 'nothing');
  const rows = [['records/s', ...shown.map((store) => STORES[store].label), '/ best peer', '/ C++']];
  for (const measure of RATES) {
    const ours = summary.thermocline?.[measure.id]?.median;
    const limit = summary.plain?.[measure.plain ?? '']?.median;
    const best = bestPeer(summary, measure.id);
    const ratios = [best, limit].map((other) => (ours && other ? times(ours / other) : 'n/a'));
    if (shown.some((store) => figureOf(summary, store, measure))) {
      rows.push(...rowsOf(measure, shown, summary, perSecond, ratios));
    }
  }
  return rows.length > 1 ? table(rows) : '';
}

function sizeTable(stores, summary) {
  const shown = stores.filter((store) => summary[store]?.residentPeak);
  if (shown.length === 0) return '';
  const rows = [['', ...shown.map((store) => STORES[store].label)]];
  for (const measure of SIZES) rows.push(...rowsOf(measure, shown, summary, mebibytes, []));
  return table(rows);
}

function scanSpeeds(stores, summary, valueSize) {
  const measure = RATES.find(({ id }) => id === 'scanBatches');
  const speeds = stores.flatMap((store) => {
    const rate = figureOf(summary, store, measure)?.median;
    return rate ? `${STORES[store].label} ${((rate * (KEY_SIZE + valueSize)) / 1e9).toFixed(2)}` : [];
  });
  return speeds.length ? `scan by batches, GB/s: ${speeds.join(', ')}\n` : '';
}

function targetTable(targets) {
  const rows = targets.map((target) => {
    const { text, value, goal, atMost, unit } = target;
    const digits = unit === ' MiB' ? 1 : 2;
    const shown = value === undefined ? '' : `${value.toFixed(digits)}${unit}`;
    return [text, shown, `${atMost ? 'at most' : 'at least'} ${goal}${unit}`, verdict(target)];
  });
  return table([['targets', 'figure', 'wanted', ''], ...rows]);
}

function heading({ machine, adapters, stores, records, rounds, valueSizes }) {
  const { cpu, cores, memoryBytes, system, node, fileSystem, loadAverage, commit, date } = machine;
  const busy = loadAverage > 0.5 ? `\nBUSY MACHINE: load average ${loadAverage.toFixed(1)} at the start\n` : '';
  const used = stores
    .filter((store) => adapters[store] && store !== 'nothing')
    .map((store) => {
      const { package: name, version, uses, durability } = adapters[store];
      const options = STORES[store].options ? ` (${JSON.stringify(STORES[store].options)})` : '';
      return `  ${name ?? 'thermocline'} ${version}${options}: ${uses}\n    ${durability}\n`;
    });
  if (stores.includes('plain')) {
    used.push("  C++: the options of Thermocline's hot store, no JavaScript; one thread, beside get two threads\n");
  }
  return `Thermocline ${commit}, ${date}
machine   ${cpu}, ${cores} cores, ${(memoryBytes / MIB / 1024).toFixed(0)} GiB memory, ${fileSystem}
system    ${system}, node ${node}
workload  ${records.toLocaleString('en')} records, random ${KEY_SIZE}-byte keys, half-compressible values of \
${valueSizes.join(' and ')} bytes
          working set: ${WORKING_SET.toLocaleString('en')} keys visited over and over; all keys: each once, in random order
          reads and scans from a reopened database whose keys have all been read once
rounds    ${rounds}, stores in turn, each trial a fresh process; figures are medians, below them min-max
stores
${used.join('')}${busy}
`;
}

/** @param {any} run what run.mjs gathered @returns {{ text: string, summary: object, targets: object }} */
export function report(run) {
  const { adapters, stores, results, failures } = run;
  const summaries = {};
  const targets = {};
  let text = heading(run);
  for (const size of Object.keys(results)) {
    const summary = summarize(results[size]);
    summaries[size] = summary;
    const parts = [rateTable(stores, summary), scanSpeeds(stores, summary, Number(size)), sizeTable(stores, summary)];
    if (results[size].thermocline) {
      const { budgetBytes } = adapters.thermocline;
      const all = targetsOf(Number(size), summary, results[size], budgetBytes);
      targets[size] = all.map((target) => ({ ...target, verdict: verdict(target) }));
      parts.push(targetTable(all));
      for (const store of ['thermocline', 'nothing']) {
        const lives = results[size][store]?.residentAfterLife?.[0];
        if (lives) parts.push(`${store}, resident after each of ten lives: ${lives.map(mebibytes).join(', ')}\n`);
      }
    }
    text += `--- values of ${size} bytes ---\n\n${parts.filter(Boolean).join('\n')}\n`;
  }
  if (failures.length > 0) text += `FAILED trials:\n${failures.map((failure) => `  ${failure}\n`).join('')}`;
  return { text, summary: summaries, targets };
}
