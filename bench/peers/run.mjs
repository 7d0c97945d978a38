/**
 * npm run bench:peers: the same work through Thermocline, its peers and plain C++ RocksDB.
 *
 * Work: 500,000 random 16-byte keys with half-compressible values of 100 bytes, then of 1,024 bytes. Each trial (one
 * phase of one store) is a fresh process; within each phase the stores take turns; three rounds, and the store that
 * begins changes by round. Reported: medians, spread, ratios to the best peer and to plain C++, and the targets.
 *
 * `node bench/peers/run.mjs --help` lists the options.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { PHASES, STORES } from './catalog.mjs';
import { describeMachine, versionOf } from './machine.mjs';
import { buildPlain } from './plain.mjs';
import { report } from './report.mjs';
import { endTrial, nodeTrial, plainTrial } from './trials.mjs';

const HELP = `npm run bench:peers -- [options]

  --quick              100,000 records, one round
  --peers a,b          these stores alone: ${Object.keys(STORES).join(', ')}
  --only a,b           these phases alone: ${PHASES.join(', ')}
  --value-size a,b     bytes (default 100,1024)
  --records n          (default 500000)
  --rounds n           (default 3)
  --dir path           where the databases live meanwhile (default: the system's temporary folder)
  --deadline seconds   for one trial (default 300)
  --json file          all figures, to compare later
`;

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string' },
    only: { type: 'string' },
    'value-size': { type: 'string', default: '100,1024' },
    records: { type: 'string' },
    rounds: { type: 'string' },
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

function oneOf(given, known) {
  const chosen = given?.split(',') ?? known;
  for (const name of chosen) if (!known.includes(name)) refuse(`unknown: ${name}; known are ${known.join(', ')}`);
  return known.filter((name) => chosen.includes(name));
}

function count(text, name) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) refuse(`--${name} takes positive whole numbers, not ${text}`);
  return number;
}

if (args.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const chosen = oneOf(args.peers, Object.keys(STORES));
const stores = Object.keys(STORES).filter(
  (name) => chosen.includes(name) || chosen.some((other) => STORES[other].database === name),
);
const phases = oneOf(args.only, PHASES);
const valueSizes = args['value-size'].split(',').map((size) => count(size, 'value-size'));
const records = count(args.records ?? (args.quick ? 100_000 : 500_000), 'records');
const rounds = count(args.rounds ?? (args.quick ? 1 : 3), 'rounds');
const deadline = count(args.deadline, 'deadline');

// Reading needs what loading left, so that phase runs even where its figures are not asked for.
const needsLoad = phases.some((phase) => phase === 'read' || phase === 'scan');
const running = PHASES.filter((phase) => phases.includes(phase) || (phase === 'load' && needsLoad));

const base = mkdtempSync(path.join(args.dir, 'thermocline-peers-'));
const cleanUp = () => rmSync(base, { recursive: true, force: true });
process.on('exit', cleanUp);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    endTrial();
    process.exit(code);
  });
}

/** The trials of one round, in order: within a phase the stores take turns. */
function plan(round) {
  const turned = stores.map((_, i) => stores[(i + round) % stores.length]);
  return running.flatMap((phase) =>
    turned.filter((store) => STORES[store].phases.includes(phase)).map((store) => ({ phase, store })),
  );
}

/** Runs one trial; its database stays until the round ends if later phases read it. */
async function trial({ phase, store }, valueSize, plainProgram) {
  const entry = STORES[store];
  const shared = ['load', 'read', 'scan'].includes(phase) && entry.adapter;
  const dir = path.join(base, shared ? (entry.database ?? store) : `${store}-${phase}`);
  // What the last trial left to be written must not slow this one down.
  spawnSync('sync', ['-f', base]);
  try {
    if (!entry.adapter) return await plainTrial(plainProgram, [dir, records, valueSize, entry.families], deadline);
    const some = phase === 'growth' ? Math.ceil(records / 5) : records;
    const { adapter, options = {} } = entry;
    return await nodeTrial({ adapter, options, phase, dir, records: some, valueSize }, deadline);
  } finally {
    if (!shared) rmSync(dir, { recursive: true, force: true });
  }
}

/** @type {Record<number, Record<string, Record<string, any[]>>>} value size, store, measure: one figure per round */
const results = {};
/** @type {Record<string, object>} what the adapters say about themselves */
const adapters = {};
const failures = [];

function keep(valueSize, store, { figures, about }) {
  if (about) adapters[store] = { ...about, version: versionOf(about.package) };
  results[valueSize] ??= {};
  results[valueSize][store] ??= {};
  const kept = results[valueSize][store];
  for (const [measure, figure] of Object.entries(figures)) {
    kept[measure] ??= [];
    kept[measure].push(figure);
  }
}

function progress(text) {
  const line = text.slice(0, (process.stderr.columns ?? 200) - 1);
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : text && `${line}\n`);
}

const needsPlain = running.includes('load') && stores.some((store) => !STORES[store].adapter);
if (needsPlain) progress('building the plain C++ driver');
let plainProgram;
try {
  if (needsPlain) plainProgram = buildPlain();
} catch (error) {
  refuse(error.message);
}
const machine = describeMachine(args.dir);

const total = valueSizes.length * rounds * plan(0).length;
let done = 0;
for (const valueSize of valueSizes) {
  for (let round = 0; round < rounds; round++) {
    for (const step of plan(round)) {
      const place = `${valueSize} B, round ${round + 1} of ${rounds}: ${step.store}, ${step.phase}`;
      progress(`[${++done}/${total}] ${place}`);
      try {
        keep(valueSize, step.store, await trial(step, valueSize, plainProgram));
      } catch (error) {
        failures.push(`${place}: ${error.message}`);
        progress('');
        process.stderr.write(`failed: ${failures.at(-1)}\n`);
      }
    }
    rmSync(base, { recursive: true, force: true });
    mkdirSync(base);
  }
}
progress('');

const fingerprints = Object.values(results)
  .flatMap(Object.values)
  .flatMap(({ keyFingerprint }) => keyFingerprint ?? []);
if (new Set(fingerprints).size > 1) failures.push('the stores did not all get the same keys');

const run = { machine, adapters, stores, valueSizes, records, rounds, results, failures };
const { text, summary, targets } = report(run);
process.stdout.write(text);
if (args.json) writeFileSync(args.json, `${JSON.stringify({ ...run, summary, targets }, null, 2)}\n`);
process.exit(failures.length > 0 ? 1 : 0);
