// npm run bench:shards:freeze: how fast a shard is frozen and thawed.
//
//   node bench/shards/freeze.mjs [--dir <folder>] [--records 40000] [--bytes 1000] [--shards 4] [--rounds 3]
//
// Workload: one database of --shards shards with --records records of --bytes bytes (half of each compressible), flushed and
// compacted, default options. In each round, in the same process and in turn, of the same shard: a freeze, a thaw; a snapshot
// into a new folder and its restore, which compress nothing. Rates are of keys and values, before compression.

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fill, median } from './filled.mjs';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    records: { type: 'string', default: '40000' },
    bytes: { type: 'string', default: '1000' },
    shards: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
  },
});
const [RECORDS, BYTES, SHARDS, ROUNDS] = [values.records, values.bytes, values.shards, values.rounds].map(Number);

/** Seconds by the clock, and of the processor: on a machine that does other work the second says more. */
async function timed(work) {
  const processor = process.cpuUsage();
  const began = performance.now();
  await work();
  const wall = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(processor);
  return { wall, processor: (user + system) / 1e6 };
}

const folder = mkdtempSync(path.join(values.dir, 'thermocline-shards-'));
try {
  console.log(`${cpus()[0]?.model}, ${cpus().length} processors, Node.js ${process.version}`);
  const db = await fill(path.join(folder, 'db'), RECORDS, BYTES, SHARDS);
  const { counts } = await db.verify();
  const [{ shard: id, records, bytes, tableBytes }] = counts;
  const runs = [];
  for (let i = 0; i < ROUNDS; i++) {
    const freeze = await timed(() => db.shards.freeze(id));
    const archived = (await db.shards.get(id)).bytes;
    const thaw = await timed(() => db.shards.thaw(id));
    const dir = path.join(folder, `snapshot${i}`);
    const snapshot = await timed(() => db.shards.snapshot(id, dir));
    const restore = await timed(() => db.shards.restore(dir));
    runs.push({ freeze, thaw, snapshot, restore, archived });
  }
  const found = (await db.verify()).counts[0];
  if (found.records !== records) throw new Error(`${found.records} records came back of ${records}`);
  const [{ archived }] = runs;
  const mb = (count) => (count / 1e6).toFixed(1);
  console.log(`${RECORDS} records of ${BYTES} bytes, ${SHARDS} shards; the shard: ${records} records, ${mb(bytes)} MB`);
  console.log(`tables ${mb(tableBytes)} MB, archive ${mb(archived)} MB: ${(archived / tableBytes).toFixed(2)}`);
  for (const name of ['freeze', 'thaw', 'snapshot', 'restore']) {
    const wall = runs.map((run) => run[name].wall);
    const processor = median(runs.map((run) => run[name].processor));
    const rate = (time) => (bytes / 1e6 / time).toFixed(name === 'freeze' ? 2 : 0);
    const range = `${rate(Math.max(...wall))} to ${rate(Math.min(...wall))}`;
    const took = `${(median(wall) * 1000).toFixed(0)} ms, ${rate(median(wall))} MB/s (${range})`;
    console.log(`${name.padEnd(8)}  ${took}; ${rate(processor)} MB per second of a processor`);
  }
  await db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
