/** The printed report: machine, versions, workload, tables, targets. */

import { summarize } from '../peers/statistics.mjs';
import { STORES } from './stores.mjs';
import { targetsOf, verdict } from './targets.mjs';

const GIB = 1024 ** 3;

/** @param {number | undefined} n per second */
function rate(n) {
  if (n === undefined) return 'n/a';
  if (n >= 999_500) return `${(n / 1e6).toFixed(2)}M`;
  if (n >= 9_950) return `${Math.round(n / 1000)}K`;
  return n >= 100 ? String(Math.round(n)) : n.toFixed(1);
}

/** @param {number | undefined} ms */
function time(ms) {
  if (ms === undefined) return 'n/a';
  if (ms < 1) return `${Math.round(ms * 1000)} us`;
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

const count = (n) => (n === undefined ? '' : n >= 100 ? Math.round(n).toLocaleString('en') : n.toFixed(1));
const percent = (share) => (share === undefined ? 'n/a' : `${Math.round(share * 100)}%`);

/** Columns as wide as their content, the first to the left, the others to the right. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** One line per store, level and number of writers. */
function writersTable(things, of) {
  const rows = [['writers', 'puts/s', 'min-max', 'P50', 'P95', 'P99', 'operations/group', 'syncs/s']];
  for (const thing of things) {
    const [kind, store, level, writers] = thing.split(' ');
    if (kind !== 'writers' && kind !== 'plain') continue;
    const label =
      kind === 'plain'
        ? `C++, sync per write, ${store} ${store === '1' ? 'thread' : 'threads'}`
        : `${STORES[store].label} ${level}, ${Number(writers).toLocaleString('en')}`;
    const spread = of(thing, 'perSecond');
    const figures = ['p50', 'p95', 'p99'].map((figure) => time(of(thing, figure)?.median));
    const groups = kind === 'plain' ? '' : count(of(thing, 'groupOperations')?.median);
    const syncs = level === 'fsync' && store === 'thermocline' ? count(of(thing, 'fsyncsPerSecond')?.median) : '';
    rows.push([label, rate(spread.median), `${rate(spread.min)}-${rate(spread.max)}`, ...figures, groups, syncs]);
  }
  return rows.length > 1 ? table(rows) : '';
}

function batchTable(things, of) {
  const rows = [['batches', 'records/s', 'each, P50', 'P99']];
  for (const thing of things) {
    const [kind, store, level, size] = thing.split(' ');
    if (kind !== 'batches') continue;
    const label = `${STORES[store].label} ${level}, ${Number(size).toLocaleString('en')}`;
    const { median } = of(thing, 'perSecond');
    rows.push([label, rate(median), time(of(thing, 'p50')?.median), time(of(thing, 'p99')?.median)]);
  }
  return rows.length > 1 ? table(rows) : '';
}

function sentences(things, of) {
  const lines = [];
  const figure = (thing, name) => of(thing, name)?.median;
  for (const thing of things) {
    const of1 = (name) => figure(thing, name);
    const [kind, size] = thing.split(' ');
    if (kind === 'paced') {
      const [p50, p95, p99] = ['p50', 'p95', 'p99'].map((name) => time(of1(name)));
      lines.push(
        `half load: ${rate(of1('perSecond'))} wal puts/s of ${rate(of1('most'))} that 256 writers reach: ` +
          `P50 ${p50}, P95 ${p95}, P99 ${p99} from the moment each was due (from its call: P50 ` +
          `${time(of1('callP50'))}, P99 ${time(of1('callP99'))})`,
      );
    } else if (kind === 'beside') {
      lines.push(
        `256 wal writers: alone ${rate(of1('alone'))}/s, beside ${size} durable ${size === '1' ? 'writer' : 'writers'} ` +
          `(${rate(of1('durable'))}/s) ${rate(of1('together'))}/s: ${percent(of1('kept'))}`,
      );
    } else if (kind === 'reads') {
      lines.push(
        `10,000 reads in flight, no hot cache: alone ${rate(of1('reads'))}/s, beside 256 writers ` +
          `${rate(of1('readsBesideWrites'))}/s (P50 ${time(of1('readP50'))}, P99 ${time(of1('readP99'))}); ` +
          `those writers: alone ${rate(of1('writes'))}/s, beside the reads ${rate(of1('writesBesideReads'))}/s ` +
          `(P99 ${time(of1('writeP99'))})`,
      );
    } else if (kind === 'queued') {
      lines.push(
        `a million puts queued, ${Number(size).toLocaleString('en')} in each turn: ${time(of1('milliseconds'))} ` +
          `(${time(of1('queuing'))} of it the calls themselves), ${Math.round((of1('waitingBytes') ?? 0) / 2 ** 20)} MiB waiting at the end of queuing; event-loop delay ` +
          `P50 ${time(of1('delayP50'))}, P99 ${time(of1('delayP99'))}, max ${time(of1('delayMax'))} ` +
          `(idle P99 ${time(of1('idleP99'))}); a timer of 5 ms fired ${count(of1('ticksPerSecond'))} times a second`,
      );
    } else if (kind === 'calls') {
      lines.push(
        `${size} ${size === '1' ? 'caller' : 'callers'}, ${count(of1('batches'))} durable batches: ` +
          `${count(of1('writes'))} writes to the log and ${count(of1('syncs'))} syncs: ` +
          `${percent(of1('share'))} of one each per batch`,
      );
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function targetTable(targets) {
  const rows = targets.map((target) => {
    const { text, value, goal, atMost, unit } = target;
    const shown = value === undefined ? '' : `${value.toFixed(value < 10 ? 2 : 0)}${unit}`;
    return [text, shown, `${atMost ? 'at most' : 'at least'} ${goal}${unit}`, verdict(target)];
  });
  return table([['targets', 'figure', 'wanted', ''], ...rows]);
}

function heading({ machine, versions, records, valueSize, seconds, rounds }) {
  const { cpu, cores, memoryBytes, system, node, fileSystem, loadAverage, commit, date } = machine;
  const busy = loadAverage > 0.5 ? `BUSY MACHINE: load average ${loadAverage.toFixed(1)} at the start\n` : '';
  const used = Object.entries(versions).flatMap(([store, version]) =>
    Object.entries(STORES[store].levels).map(
      ([level, promise]) => `  ${STORES[store].label} ${version}, ${level}: ${promise}\n`,
    ),
  );
  return `Thermocline ${commit}, ${date}
machine   ${cpu}, ${cores} cores, ${(memoryBytes / GIB).toFixed(0)} GiB memory, ${fileSystem}
system    ${system}, node ${node}
workload  random 16-byte keys out of ${records.toLocaleString('en')}, half-compressible values of ${valueSize} bytes; \
each writer awaits
          its write before the next; ${seconds} s for each figure after a warm-up
rounds    ${rounds}, each trial a fresh process; figures are medians
levels    what an acknowledged write has survived
${used.join('')}  C++: the options of Thermocline's hot store, WriteOptions::sync
${busy}
`;
}

/** @param {any} run what run.mjs gathered */
export function report(run) {
  const summary = summarize(run.results);
  const things = Object.keys(summary);
  const of = (thing, figure) => summary[thing]?.[figure];
  const targets = targetsOf(summary).map((target) => ({ ...target, verdict: verdict(target) }));
  const parts = [writersTable(things, of), batchTable(things, of), sentences(things, of), targetTable(targets)];
  let text = `${heading(run)}${parts.filter(Boolean).join('\n')}`;
  if (run.notes.length > 0) text += `\n${run.notes.map((note) => `${note}\n`).join('')}`;
  if (run.failures.length > 0) text += `\nFAILED trials:\n${run.failures.map((failure) => `  ${failure}\n`).join('')}`;
  return { text, summary, targets };
}
