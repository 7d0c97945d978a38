/**
 * npm run bench:ycsb: YCSB's core workloads A to F through Thermocline and its peers.
 *
 * Work: records of ten fields of 100 bytes under hashed keys; a load phase of single inserts, then each workload on a
 * copy of the loaded database, each phase in a fresh process; the stores take turns. A thread of YCSB is an asynchronous
 * loop here.
 *
 * `node bench/ycsb/run.mjs --help` lists the options.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { STORES } from '../peers/catalog.mjs';
import { describeMachine } from '../peers/machine.mjs';
import { median } from '../peers/statistics.mjs';
import { endTrial } from '../peers/trials.mjs';
import { ycsbPhase } from './phases.mjs';
import { RECORD_BYTES } from './records.mjs';
import { WORKLOADS } from './workloads.mjs';

const KNOWN = ['thermocline', 'lmdb', 'classic-level', 'nxtedition-rocksdb', 'rocksdb-native', 'nothing'];
const HELP = `npm run bench:ycsb -- [options]

  --workloads a,b      these alone: ${Object.keys(WORKLOADS).join(', ')}
  --stores a,b         (default ${KNOWN.slice(0, -1).join(',')}; also nothing)
  --records n          (default 100000)
  --operations n       of each run phase (default 100000)
  --threads n          operations under way at once (default 16)
  --target n           operations a second of all threads together (default: as many as can be)
  --distribution name  uniform, zipfian or latest, instead of each workload's own
  --rounds n           (default 1)
  --dir path           where the databases live meanwhile (default: the system's temporary folder)
  --deadline seconds   for one phase (default 300)
  --json file          all figures
`;

const { values: args } = parseArgs({
  options: {
    workloads: { type: 'string', default: Object.keys(WORKLOADS).join(',') },
    stores: { type: 'string', default: KNOWN.slice(0, -1).join(',') },
    records: { type: 'string', default: '100000' },
    operations: { type: 'string', default: '100000' },
    threads: { type: 'string', default: '16' },
    target: { type: 'string', default: '0' },
    distribution: { type: 'string' },
    rounds: { type: 'string', default: '1' },
    dir: { type: 'string', default: os.tmpdir() },
    deadline: { type: 'string', default: '300' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function refuse(problem) {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
}
function number(name, least) {
  const value = Number(args[name]);
  if (!Number.isSafeInteger(value) || value < least) refuse(`--${name} takes a whole number from ${least} on`);
  return value;
}
function names(given, known) {
  const chosen = given.split(',');
  for (const name of chosen) if (!known.includes(name)) refuse(`unknown: ${name}; known are ${known.join(', ')}`);
  return chosen;
}

if (args.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const workloads = names(args.workloads, Object.keys(WORKLOADS));
const stores = names(args.stores, KNOWN);
if (args.distribution) names(args.distribution, ['uniform', 'zipfian', 'latest']);
const rounds = number('rounds', 1);
const run = {
  records: number('records', 100),
  operations: number('operations', 100),
  threads: number('threads', 1),
  target: number('target', 0),
  distribution: /** @type {'uniform' | undefined} */ (args.distribution),
  deadline: number('deadline', 1),
};

const base = mkdtempSync(path.join(args.dir, 'thermocline-ycsb-'));
process.on('exit', () => rmSync(base, { recursive: true, force: true }));
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    endTrial();
    process.exit(code);
  });
}

const machine = describeMachine(args.dir);
/** @type {Record<string, Record<string, import('./client.mjs').Outcome[]>>} store, phase */
const results = {};
const failures = [];
const phases = [null, ...workloads];
let done = 0;
for (let round = 0; round < rounds; round++) {
  for (const phase of phases) {
    for (const store of stores) {
      const name = phase ?? 'load';
      process.stderr.write(`[${++done}/${rounds * phases.length * stores.length}] ${store}, ${name}\n`);
      try {
        results[store] ??= {};
        results[store][name] ??= [];
        results[store][name].push(await ycsbPhase(base, store, phase, run));
      } catch (error) {
        failures.push(`${store}, ${name}: ${error.message}`);
        process.stderr.write(`failed: ${failures.at(-1)}\n`);
      }
    }
  }
}

/** Columns as wide as their content, the first to the left, the others to the right. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

const rate = (outcomes) => (outcomes?.length ? median(outcomes.map(({ perSecond }) => perSecond)) : undefined);
const shown = (n) => (n === undefined ? 'failed' : n >= 10_000 ? `${Math.round(n / 1000)}K` : String(Math.round(n)));
const rows = [['operations/s', ...stores.map((store) => STORES[store].label)]];
for (const phase of phases) {
  const name = phase ?? 'load';
  const title = phase ? `${phase.toUpperCase()}: ${WORKLOADS[phase].title}` : 'load';
  rows.push([title, ...stores.map((store) => shown(rate(results[store]?.[name])))]);
}
const latencies = [['P50 / P99, ms', ...stores.map((store) => STORES[store].label)]];
for (const phase of phases) {
  const name = phase ?? 'load';
  const operations = new Set(stores.flatMap((store) => Object.keys(results[store]?.[name]?.[0]?.latencies ?? {})));
  for (const operation of operations) {
    const cells = stores.map((store) => {
      const quantiles = new Map(results[store]?.[name]?.[0]?.latencies[operation]?.quantiles ?? []);
      return quantiles.size ? `${quantiles.get(0.5).toFixed(3)} / ${quantiles.get(0.99).toFixed(3)}` : '';
    });
    latencies.push([`${name.toUpperCase()} ${operation}`, ...cells]);
  }
}
const { cpu, cores, memoryBytes, system, node, fileSystem, commit, date } = machine;
process.stdout.write(`Thermocline ${commit}, ${date}
machine   ${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB memory, ${fileSystem}
system    ${system}, node ${node}
workload  YCSB core: ${run.records.toLocaleString('en')} records of ${RECORD_BYTES} bytes, \
${run.operations.toLocaleString('en')} operations by ${run.threads} threads\
${run.target ? `, at most ${run.target}/s` : ''}${run.distribution ? `, ${run.distribution}` : ''}; ${rounds} rounds

${table(rows)}
${table(latencies)}`);
if (failures.length > 0) process.stdout.write(`\nFAILED:\n${failures.map((failure) => `  ${failure}\n`).join('')}`);
if (args.json) writeFileSync(args.json, `${JSON.stringify({ machine, ...run, results, failures }, null, 2)}\n`);
process.exit(failures.length > 0 ? 1 : 0);
