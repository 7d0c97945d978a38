/**
 * npm run bench: how fast Thermocline is on this machine, beside plain C++ RocksDB and its peers.
 *
 * Work: bench/suite/catalog.mjs. Each trial is a fresh process; a round goes through all trials, so that what drifts
 * touches every figure; figures are medians of the rounds. Leaves a report for people (HTML), one for programs (JSON,
 * which `npm run bench:compare` reads) and a table for a README (Markdown).
 *
 * `node bench/run.mjs --help` lists the options.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { STORES } from './peers/catalog.mjs';
import { describeMachine, versionOf } from './peers/machine.mjs';
import { endTrial, nodeTrial, plainTrial } from './peers/trials.mjs';
import { html } from './report/html.mjs';
import { markdown } from './report/markdown.mjs';
import { summarize } from './report/summary.mjs';
import { productTargets, targetLines } from './report/targets.mjs';
import { catalog, GROUPS, PEER_MEASURES } from './suite/catalog.mjs';
import { buildPrograms } from './suite/native.mjs';
import { ycsbPhase } from './ycsb/phases.mjs';

const HELP = `npm run bench -- [options]

  --quick              smaller data, one round, half a second for each figure: within five minutes on two cores
  --only a,b           these groups alone: ${Object.keys(GROUPS).join(', ')}
  --without-native     leave C++ out (it needs a compiler)
  --records n          of the main data set (default 200000; --quick: 100000)
  --seconds n          for each figure (default 1.5)
  --rounds n           (default 3)
  --dir path           where the databases live meanwhile (default: the system's temporary folder)
  --out path           the reports: path.html, path.json, path.md (default: bench-report)
  --deadline seconds   for one trial (default 300)
`;

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'without-native': { type: 'boolean', default: false },
    records: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    dir: { type: 'string', default: os.tmpdir() },
    out: { type: 'string', default: 'bench-report' },
    deadline: { type: 'string', default: '300' },
    help: { type: 'boolean', default: false },
  },
});

function refuse(problem) {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
}
function positive(text, name) {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) refuse(`--${name} takes positive numbers, not ${text}`);
  return number;
}

if (args.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const { quick } = args;
const records = Math.round(positive(args.records ?? (quick ? '100000' : '200000'), 'records'));
const seconds = positive(args.seconds ?? (quick ? '0.5' : '1.5'), 'seconds');
const rounds = Math.round(positive(args.rounds ?? (quick ? '1' : '3'), 'rounds'));
const deadline = positive(args.deadline, 'deadline');
const groups = args.only?.split(',') ?? Object.keys(GROUPS);
for (const group of groups)
  if (!(group in GROUPS)) refuse(`unknown: ${group}; known are ${Object.keys(GROUPS).join(', ')}`);
// Asked for at the beginning, not found out at the end.
mkdirSync(path.dirname(path.resolve(args.out)), { recursive: true });

const isNative = (kind) => kind === 'native' || kind === 'levels';
const entries = catalog({ quick, records }).filter(
  ({ group, kind }) => groups.includes(group) && !(args['without-native'] && isNative(kind)),
);

const base = mkdtempSync(path.join(args.dir, 'thermocline-bench-'));
process.on('exit', () => rmSync(base, { recursive: true, force: true }));
// What has been measured by then is still reported; a second signal ends at once.
let interrupted = 0;
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    endTrial();
    if (interrupted) process.exit(code);
    interrupted = Number(code);
  });
}

const TRIAL = fileURLToPath(new URL('suite/trial.mjs', import.meta.url));
const ycsb = {
  records: quick ? 30_000 : 100_000,
  operations: quick ? 30_000 : 150_000,
  threads: 16,
  target: 0,
  deadline,
};
const peerRecords = quick ? 50_000 : 200_000;
const levels = { records: quick ? 100_000 : 300_000, valueSize: 200 };

async function suiteTrial(trial) {
  const given = JSON.stringify({ seconds, ...trial, base: path.join(base, 'settled') });
  return (await plainTrial(process.execPath, ['--expose-gc', TRIAL, given], deadline)).figures;
}

const exactly = (value) => ({ value, margin: 0, samples: 1 });

async function native(programs, { who, what }) {
  const [name, threads] = what.split('|');
  const filter = `^${who}/${name}/real_time${threads ? `/threads:${threads}` : ''}$`;
  const own = [`--dir=${path.join(base, 'native')}`, `--records=${Math.max(records, 100_000)}`];
  const flags = [`--benchmark_filter=${filter}`, '--benchmark_format=json', `--benchmark_min_time=${seconds}`];
  mkdirSync(path.join(base, 'native'), { recursive: true });
  const { figures } = await plainTrial(programs.engineBench, [...own, ...flags], deadline);
  const [result] = figures.benchmarks;
  if (result === undefined || result.error_occurred) throw new Error(result?.error_message ?? `no benchmark ${filter}`);
  const measured = { perSecond: exactly(result.items_per_second) };
  const latencies = {};
  for (const kind of ['read', 'write']) {
    if (result[`${kind}_p99_us`] === undefined) continue;
    const quantiles = [0.5, 0.99].map((share) => [share, result[`${kind}_p${share * 100}_us`] / 1000]);
    latencies[kind] = { count: result.iterations, quantiles };
  }
  return { figures: measured, latencies };
}

async function lookups(programs, { mode }) {
  const args = [path.join(base, 'levels'), levels.records, levels.valueSize, ...mode];
  const { figures } = await plainTrial(programs.readLevels, args, deadline);
  return { figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, exactly(value)])) };
}

async function peers({ store, phase }) {
  const { adapter, options = {} } = STORES[store];
  const dir = path.join(base, `peer-${store}${phase === 'put' ? '-put' : ''}`);
  const given = { adapter, options, phase, dir, records: peerRecords, valueSize: 100 };
  const { figures, about } = await nodeTrial(given, deadline);
  if (phase === 'put' || phase === 'scan') rmSync(dir, { recursive: true, force: true });
  adapters[store] = { ...about, version: versionOf(about.package) };
  const wanted = Object.entries(figures).filter(([name]) => PEER_MEASURES.includes(name));
  return { figures: Object.fromEntries(wanted.map(([name, value]) => [name, exactly(value)])) };
}

/** @param {import('./suite/catalog.mjs').Entry} entry @returns {Promise<import('./suite/trial.mjs').Outcome>} */
async function run({ kind, options, needs }, programs) {
  if (needs) await suiteTrial({ kind: 'prepare', ...needs });
  // What the last trial left to be written must not slow this one down.
  spawnSync('sync', ['-f', base]);
  switch (kind) {
    case 'native':
      return native(programs, options);
    case 'levels':
      return lookups(programs, options);
    case 'peers':
      return peers(options);
    case 'ycsb': {
      const { perSecond, latencies } = await ycsbPhase(base, options.store, options.workload, ycsb);
      return { figures: { operations: exactly(perSecond) }, latencies };
    }
    default: {
      const dir = path.join(base, 'trial');
      try {
        return await suiteTrial({ kind, ...options, dir });
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    }
  }
}

function progress(text) {
  const line = text.slice(0, (process.stderr.columns ?? 200) - 1);
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : text && `${line}\n`);
}

let programs;
if (entries.some(({ kind }) => isNative(kind))) {
  progress('building the C++ programs');
  try {
    programs = buildPrograms();
  } catch (error) {
    refuse(error.message);
  }
}
const machine = describeMachine(args.dir);
const adapters = {};
const failures = [];
/** @type {Record<string, { values: number[], margins: number[] }>} by the name of the figure, one of each per round */
const figures = {};
/** @type {Record<string, { count: number, quantiles: [number, number][] }[]>} */
const latencies = {};
const began = performance.now();
let done = 0;
for (let round = 0; round < rounds; round++) {
  for (const entry of entries) {
    if (interrupted) break;
    const left = done > 0 ? ((performance.now() - began) / done) * (entries.length * rounds - done) : 0;
    const place = `round ${round + 1} of ${rounds}: ${entry.name}`;
    progress(
      `[${++done}/${entries.length * rounds}] ${place}${left ? `, about ${Math.ceil(left / 60_000)} min left` : ''}`,
    );
    try {
      const outcome = await run(entry, programs);
      for (const [name, { value, margin }] of Object.entries(outcome.figures ?? {})) {
        figures[`${entry.name}/${name}`] ??= { values: [], margins: [] };
        const kept = figures[`${entry.name}/${name}`];
        kept.values.push(value);
        kept.margins.push(margin);
      }
      for (const [name, distribution] of Object.entries(outcome.latencies ?? {})) {
        latencies[`${entry.name}/${name}`] ??= [];
        latencies[`${entry.name}/${name}`].push(distribution);
      }
    } catch (error) {
      if (interrupted) continue;
      failures.push(`${place}: ${error.message}`);
      progress('');
      process.stderr.write(`failed: ${failures.at(-1)}\n`);
    }
  }
}
progress('');
if (interrupted) failures.push(`interrupted at ${done} of ${entries.length * rounds} trials`);

const result = {
  format: 1,
  machine,
  versions: {
    thermocline: versionOf(null),
    ...Object.fromEntries(Object.entries(adapters).map(([k, v]) => [k, v.version])),
  },
  adapters,
  options: { quick, records, seconds, rounds, ycsb, peerRecords, levels },
  entries: entries.map(({ name, group, title }) => ({ name, group, title })),
  figures: summarize(figures),
  latencies,
  failures,
  minutes: (performance.now() - began) / 60_000,
};
const targets = productTargets(result);
const complete = { ...result, targets };
writeFileSync(`${args.out}.json`, `${JSON.stringify(complete, null, 1)}\n`);
writeFileSync(`${args.out}.md`, markdown(complete));
writeFileSync(`${args.out}.html`, html(complete));
process.stdout.write(targetLines(targets));
process.stdout.write(
  `\n${args.out}.html, ${args.out}.json and ${args.out}.md are written (${result.minutes.toFixed(1)} min)\n`,
);
if (failures.length > 0) process.stdout.write(`\nFAILED:\n${failures.map((failure) => `  ${failure}\n`).join('')}`);
process.exit(interrupted || (failures.length > 0 ? 1 : 0));
