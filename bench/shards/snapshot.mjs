// npm run bench:shards:snapshot: a snapshot of one shard against walking everything and keeping what is in its slots.
//
//   node bench/shards/snapshot.mjs [--dir <folder>] [--records 1000000] [--bytes 100] [--shards 64] [--rounds 3] [--flat]
//
// Workload: one database of --shards shards with --records records of --bytes bytes (half of each compressible), flushed and
// compacted, default options. In each round, in the same process and in turn: a snapshot of one shard into a new folder, and
// a walk over all records that writes those of the shard's slots to a file (keys and values with their lengths), both ended by
// a sync. Then the snapshot is restored.
//
// --flat: databases of as many shards of the same size each, from an eighth of the records up, and the snapshot of one shard
// in each: what it costs must not follow the size of the database.

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fill, median } from './filled.mjs';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    records: { type: 'string', default: '1000000' },
    bytes: { type: 'string', default: '100' },
    shards: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    flat: { type: 'boolean', default: false },
  },
});
const RECORDS = Number(values.records);
const BYTES = Number(values.bytes);
const SHARDS = Number(values.shards);
const ROUNDS = Number(values.rounds);

const rss = () => process.memoryUsage().rss;

async function timed(work) {
  const before = rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, rss());
  }, 5);
  const began = performance.now();
  const value = await work();
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watch);
  return { value, seconds, memory: Math.max(peak, rss()) - before };
}

/** What one would do without shards: everything is read, and what is in the slots is written. */
async function walk(db, [first, last], file) {
  const out = openSync(file, 'w');
  const lengths = Buffer.alloc(8);
  let pieces = [];
  let bytes = 0;
  let records = 0;
  const put = () => {
    writeSync(out, Buffer.concat(pieces));
    pieces = [];
    bytes = 0;
  };
  const iterator = db.iterator();
  for (let some = await iterator.nextMany(4096); some.length > 0; some = await iterator.nextMany(4096)) {
    for (const [key, value] of some) {
      const slot = db.shards.slotOf(key);
      if (slot < first || slot > last) continue;
      lengths.writeUInt32LE(key.length, 0);
      lengths.writeUInt32LE(value.length, 4);
      pieces.push(Buffer.from(lengths), key, value);
      bytes += key.length + value.length + 8;
      records++;
      if (bytes > 1 << 20) put();
    }
  }
  await iterator.close();
  put();
  fsyncSync(out);
  closeSync(out);
  return records;
}

const folder = mkdtempSync(path.join(values.dir, 'thermocline-shards-'));
try {
  console.log(`${cpus()[0]?.model}, ${cpus().length} processors, Node.js ${process.version}`);
  if (values.flat) {
    for (const part of [8, 4, 2, 1]) {
      const location = path.join(folder, `db${part}`);
      const db = await fill(location, RECORDS / part, BYTES, SHARDS / part);
      const runs = [];
      for (let i = 0; i < ROUNDS; i++)
        runs.push(await timed(() => db.shards.snapshot(i % 2, path.join(location, `s${i}`))));
      const ms = median(runs.map(({ seconds }) => seconds * 1000));
      console.log(`${RECORDS / part} records, ${SHARDS / part} shards, one snapshot: ${ms.toFixed(1)} ms`);
      await db.close();
      rmSync(location, { recursive: true });
    }
  } else {
    const db = await fill(path.join(folder, 'db'), RECORDS, BYTES, SHARDS);
    const [shard] = await db.shards.list();
    const runs = [];
    for (let i = 0; i < ROUNDS; i++) {
      const dir = path.join(folder, `snapshot${i}`);
      const snapshot = await timed(() => db.shards.snapshot(shard.id, dir));
      const all = await timed(() => walk(db, shard.slots[0], path.join(folder, 'walk')));
      const restore = await timed(() => db.shards.restore(dir));
      runs.push({ snapshot, all, restore });
      if (all.value !== snapshot.value.keys)
        throw new Error(`${all.value} records walked, ${snapshot.value.keys} in the snapshot`);
    }
    const of = (name, field = 'seconds') => median(runs.map((run) => run[name][field]));
    const { bytes, keys } = runs[0].snapshot.value;
    console.log(
      `${RECORDS} records of ${BYTES} bytes, ${SHARDS} shards; the shard: ${keys} records, ${(bytes / 1e6).toFixed(1)} MB`,
    );
    console.log(
      `snapshot  ${(of('snapshot') * 1000).toFixed(1)} ms, memory +${(of('snapshot', 'memory') / 1e6).toFixed(1)} MB`,
    );
    console.log(`walk      ${(of('all') * 1000).toFixed(1)} ms, memory +${(of('all', 'memory') / 1e6).toFixed(1)} MB`);
    console.log(`ratio     ${(of('all') / of('snapshot')).toFixed(0)}`);
    console.log(`restore   ${(of('restore') * 1000).toFixed(1)} ms, ${(bytes / 1e6 / of('restore')).toFixed(0)} MB/s`);
    await db.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
