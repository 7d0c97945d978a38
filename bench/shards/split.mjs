// npm run bench:shards: what a program notices of a split, and of a merge.
//
//   node bench/shards/split.mjs [--dir <folder>] [--records 500000] [--bytes 200] [--rate 4000] [--rounds 3] [--seconds 10]
//
// Workload: one database of one shard with --records records of --bytes bytes (half of each compressible), durability
// 'wal', default options. The foreground asks for --rate operations a second, evenly spaced and whether or not earlier ones
// have ended (an open loop, so a stall counts for every operation that falls into it): half `get` of uniformly chosen keys,
// half `put` of them. Latency is from the time an operation was due to its end. In each round: --seconds without a move,
// then a split of the shard, then --seconds without, then the merge of the two. What is measured during a move is all that
// was due between its start and its end.
//
// Prints P50, P99 and P99.9 with and without, and the ratio of the P99s. The processor's other work counts on both sides.

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { open } from '../../dist/esm/index.js';
import { Histogram } from '../commit/histogram.mjs';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    records: { type: 'string', default: '500000' },
    bytes: { type: 'string', default: '200' },
    rate: { type: 'string', default: '4000' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '10' },
  },
});
const RECORDS = Number(values.records);
const BYTES = Number(values.bytes);
const RATE = Number(values.rate);
const TICK_MS = 2;

const keyOf = (i) => `key${String(i).padStart(9, '0')}`;

/** Half random letters, half zeros: it compresses to about half. */
function makeValue(seed) {
  const value = Buffer.alloc(BYTES, 0);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < BYTES / 2; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    value[i] = state >>> 24;
  }
  return value;
}

/** Operations at a fixed rate until `end` resolves; gives their latencies. */
async function load(db, end) {
  const reads = new Histogram();
  const writes = new Histogram();
  let running = true;
  const result = end.finally(() => {
    running = false;
  });
  const waiting = new Set();
  const began = performance.now();
  let started = 0;
  while (running) {
    const due = Math.floor(((performance.now() - began) * RATE) / 1000);
    for (; started < due; started++) {
      const at = began + (started * 1000) / RATE;
      const key = keyOf(Math.floor(Math.random() * RECORDS));
      const [work, histogram] = started % 2 === 0 ? [db.get(key), reads] : [db.put(key, makeValue(started)), writes];
      const done = work.then(() => {
        histogram.record(performance.now() - at);
        waiting.delete(done);
      });
      waiting.add(done);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(waiting);
  return { value: await result, reads, writes, seconds: (performance.now() - began) / 1000 };
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const ms = (number) => number.toFixed(2).padStart(8);

const folder = mkdtempSync(path.join(values.dir, 'thermocline-shards-'));
try {
  const db = await open(path.join(folder, 'db'), { shards: 1 });
  const all = Array.from({ length: RECORDS }, (_, i) => i);
  await db.putMany(
    (function* () {
      for (const i of all) yield [keyOf(i), makeValue(i)];
    })(),
  );
  await db.flush();
  await db.compact();
  await load(db, sleep(3)); // caches and code are warm
  const rounds = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const quiet = await load(db, sleep(Number(values.seconds)));
    const split = await load(db, db.shards.split(0));
    const quietToo = await load(db, sleep(Number(values.seconds)));
    const merge = await load(db, db.shards.merge(...split.value));
    rounds.push({ quiet, split, quietToo, merge });
  }
  const [shard] = await db.shards.list();
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} processors, Node.js ${process.version}; ` +
      `${RECORDS} records of ${BYTES} bytes (${Math.round(shard.bytes / 1e6)} MB on disk), ${RATE} operations a second\n`,
  );
  console.log('milliseconds            P50      P99    P99.9   operations  seconds');
  for (const kind of ['reads', 'writes']) {
    for (const phase of ['quiet', 'split', 'quietToo', 'merge']) {
      const of = (share) => ms(median(rounds.map((round) => round[phase][kind].quantile(share))));
      const count = rounds.reduce((sum, round) => sum + round[phase][kind].count, 0);
      const seconds = median(rounds.map((round) => round[phase].seconds)).toFixed(1);
      const name = phase.startsWith('quiet') ? 'without' : phase;
      console.log(
        `${kind.padEnd(7)} ${name.padEnd(8)} ${of(0.5)} ${of(0.99)} ${of(0.999)} ${String(count).padStart(12)} ${seconds.padStart(8)}`,
      );
    }
  }
  for (const kind of ['reads', 'writes']) {
    const ratio = (during, without) =>
      median(rounds.map((round) => round[during][kind].quantile(0.99) / round[without][kind].quantile(0.99)));
    console.log(
      `\nP99 of ${kind}: ${ratio('split', 'quiet').toFixed(2)} times as long during a split, ` +
        `${ratio('merge', 'quietToo').toFixed(2)} during a merge (wanted: at most 2)`,
    );
  }
  await db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
