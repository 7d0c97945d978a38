// npm run bench:tiers [-- compression | reads [options] | prefetch [options]]: what the tiers save and what they cost.
// Without a name, all.

import { measureCompression } from './compression.mjs';
import { measurePrefetch } from './prefetch.mjs';
import { measureReads } from './reads.mjs';

const PARTS = { compression: measureCompression, reads: measureReads, prefetch: measurePrefetch };

const [name, ...options] = process.argv.slice(2);
if (name !== undefined && !Object.hasOwn(PARTS, name)) {
  console.error(`unknown part '${name}'; known are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
for (const [part, measure] of Object.entries(PARTS)) {
  if (name !== undefined && part !== name) continue;
  console.log(`\n## ${part}\n`);
  await measure(options);
}
