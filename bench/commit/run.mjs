/**
 * npm run bench:commit: what writes cost at each level of durability.
 *
 * Work: puts of random 16-byte keys with half-compressible values of 100 bytes by 1 to 4,096 concurrent writers, atomic
 * batches of 100 to 100,000 records, wal puts at half load and beside durable writers, 10,000 reads beside writers, and
 * the event loop while a million puts are queued. Compared in the same run with lmdb and classic-level at their durable
 * settings and with C++ RocksDB syncing every write. Each trial is a fresh process; the rounds take turns.
 *
 * `node bench/commit/run.mjs --help` lists the options.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, versionOf } from '../peers/machine.mjs';
import { endTrial, plainTrial } from '../peers/trials.mjs';
import { buildProgram } from './native.mjs';
import { report } from './report.mjs';
import { STORES } from './stores.mjs';
import { canTrace, countCalls } from './syscalls.mjs';
import { LARGE_BATCH, OUTSTANDING, PEERS } from './targets.mjs';

const KINDS = ['writers', 'plain', 'batches', 'paced', 'beside', 'reads', 'queued', 'calls'];
const HELP = `npm run bench:commit -- [options]

  --quick              one round, one second for each figure
  --only a,b           these kinds alone: ${KINDS.join(', ')}
  --without-native     leave C++ out (it needs a compiler)
  --without-peers      leave lmdb and classic-level out
  --value-size n       bytes (default 100)
  --records n          distinct keys (default 200000)
  --seconds n          for each figure (default 3)
  --rounds n           (default 3)
  --dir path           where the databases live meanwhile (default: the system's temporary folder)
  --deadline seconds   for one trial (default 300)
  --json file          all figures, to compare later
`;

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'without-native': { type: 'boolean', default: false },
    'without-peers': { type: 'boolean', default: false },
    'value-size': { type: 'string', default: '100' },
    records: { type: 'string', default: '200000' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    dir: { type: 'string', default: os.tmpdir() },
    deadline: { type: 'string', default: '300' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function usage(problem) {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

function count(text, name) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) usage(`--${name} takes a positive whole number, not ${text}`);
  return number;
}

if (args.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const kinds = args.only?.split(',') ?? KINDS;
for (const kind of kinds) if (!KINDS.includes(kind)) usage(`unknown: ${kind}`);
const records = count(args.records, 'records');
const valueSize = count(args['value-size'], 'value-size');
const seconds = count(args.seconds ?? (args.quick ? 1 : 3), 'seconds');
const rounds = count(args.rounds ?? (args.quick ? 1 : 3), 'rounds');
const deadline = count(args.deadline, 'deadline');
if (records < LARGE_BATCH) usage(`--records must be at least ${LARGE_BATCH}, the size of the largest batch`);

const WRITERS = [1, 16, 256, OUTSTANDING, 4096];
const BATCHES = [100, 1000, 10_000, LARGE_BATCH];
const peers = args['without-peers'] ? [] : PEERS;
const notes = [];
const tracing = kinds.includes('calls') && canTrace();
if (kinds.includes('calls') && !tracing)
  notes.push('System calls were not counted: strace is missing or may not trace.');
if (args['without-native']) notes.push('C++ was left out.');

/** Every trial of one round, by the name of what it measures. @returns {[string, object][]} */
function plan() {
  const trials = [];
  const levels = [['thermocline', 'none'], ['thermocline', 'wal'], ['thermocline', 'fsync'], ...peers.map((peer) => [peer, 'fsync'])]; // biome-ignore format: one line
  for (const size of WRITERS) {
    for (const [store, level] of levels) trials.push([`writers ${store} ${level} ${size}`, { kind: 'writers', store, level, size }]); // biome-ignore format: one line
    if (size === OUTSTANDING && !args['without-native']) {
      for (const threads of [1, 16]) trials.push([`plain ${threads}`, { kind: 'plain', threads }]);
    }
  }
  for (const size of BATCHES) {
    for (const [store, level] of levels.slice(1)) trials.push([`batches ${store} ${level} ${size}`, { kind: 'batches', store, level, size }]); // biome-ignore format: one line
  }
  const store = 'thermocline';
  trials.push(['paced', { kind: 'paced', store }]);
  for (const size of [1, 16]) trials.push([`beside ${size}`, { kind: 'beside', store, size }]);
  trials.push(['reads', { kind: 'reads', store }]);
  for (const size of [1000, 1_000_000]) trials.push([`queued ${size}`, { kind: 'queued', store, size }]);
  if (tracing) {
    for (const [size, batches] of [[1, 500], [256, 10_000]]) trials.push([`calls ${size}`, { kind: 'calls', store, size, count: batches }]); // biome-ignore format: one line
  }
  return trials.filter(([, { kind }]) => kinds.includes(kind));
}

const base = mkdtempSync(path.join(args.dir, 'thermocline-commit-'));
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

const TRIAL = fileURLToPath(new URL('trial.mjs', import.meta.url));

async function run(trial, plainProgram) {
  const dir = path.join(base, 'database');
  // What the last trial left to be written must not slow this one down.
  spawnSync('sync', ['-f', base]);
  try {
    if (trial.kind === 'plain') {
      const { figures } = await plainTrial(plainProgram, [dir, seconds, records, valueSize, trial.threads], deadline);
      return figures;
    }
    const given = { ...trial, dir, records, valueSize, seconds };
    if (trial.kind === 'calls') {
      const counted = await countCalls({ ...given, kind: 'counted' }, deadline);
      return { ...counted, share: (counted.writes + counted.syncs) / (2 * counted.batches) };
    }
    const { figures } = await plainTrial(process.execPath, ['--expose-gc', TRIAL, JSON.stringify(given)], deadline);
    return figures;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function progress(text) {
  const line = text.slice(0, (process.stderr.columns ?? 200) - 1);
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : text && `${line}\n`);
}

const trials = plan();
let plainProgram;
if (trials.some(([, { kind }]) => kind === 'plain')) {
  progress('building the C++ program');
  plainProgram = buildProgram('sync_write');
}
const machine = describeMachine(args.dir);

/** @type {Record<string, Record<string, number[]>>} what was measured, figure: one value per round */
const results = {};
const failures = [];
let done = 0;
for (let round = 0; round < rounds; round++) {
  for (const [name, trial] of trials) {
    progress(`[${++done}/${trials.length * rounds}] round ${round + 1} of ${rounds}: ${name}`);
    try {
      for (const [figure, value] of Object.entries(await run(trial, plainProgram))) {
        results[name] ??= {};
        results[name][figure] ??= [];
        results[name][figure].push(value);
      }
    } catch (error) {
      failures.push(`${name}, round ${round + 1}: ${error.message}`);
      progress('');
      process.stderr.write(`failed: ${failures.at(-1)}\n`);
    }
  }
}
progress('');

const versions = Object.fromEntries(
  ['thermocline', ...peers].map((store) => [store, versionOf(STORES[store].package)]),
);
const gathered = { machine, versions, records, valueSize, seconds, rounds, results, notes, failures };
const { text, summary, targets } = report(gathered);
process.stdout.write(text);
if (args.json) writeFileSync(args.json, `${JSON.stringify({ ...gathered, summary, targets }, null, 2)}\n`);
process.exit(failures.length > 0 ? 1 : 0);
