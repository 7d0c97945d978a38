// Takes snapshots of shards and restores them for as long as it lives, beside a writer, and waits to be killed:
// shard-mover.ts <location> <folder for snapshots> <round>
//
// `batch/*` are 16 keys over all shards that are always written together. Shard 0 alone is restored, from snapshots of the
// same round, so of it older values may come back; of the others the latest acknowledged value must be there.

import { join } from 'node:path';
import { open } from '../../../lib/index.ts';
import { report } from '../pipeline/report.ts';

const [location, folder, round] = process.argv.slice(2) as [string, string, string];
const db = await open(location, {
  valueEncoding: 'utf8',
  shards: 4,
  memory: { writeBuffer: '1MB' },
  tiers: { cold: {} },
});
const keys = Array.from({ length: 16 }, (_, i) => `batch/${i}`);

async function write(): Promise<void> {
  for (let n = 1; ; n++) {
    const value = `${round}.${n}`;
    await db.batch(keys.map((key) => ({ type: 'put' as const, key, value })));
    await db.put(`filler/${n % 300}`, value.padEnd(3000, '.'));
    report(`wrote ${n}`);
  }
}

async function move(): Promise<void> {
  for (let n = 0; ; n++) {
    const dir = join(folder, `${round}-${n}`);
    await db.shards.snapshot(0, dir);
    report(`snapshot ${n}`);
    await db.shards.restore(dir);
    report(`restored ${n}`);
    if (n % 3 === 2) await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => key.startsWith('filler') });
  }
}

await Promise.all([write(), move()]);
