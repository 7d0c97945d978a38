// npm run bench:changes: what keeping changes costs the writer, how fast they are read, and what messages cost that are
// committed with records.
//
//   node bench/changes/run.mjs [--dir <folder>] [--records 100000] [--rounds 5]
//
// Each round opens new databases, one with and one without the feed, in turn; figures are medians. Workloads, of 16-byte keys
// and 100-byte values: puts of different keys, puts of 100 keys (1,000 in flight), batches of 1,000 random keys. Then all
// changes are read, and batches of one record are committed with and without a message, 64 in flight.

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { open } from '../../dist/esm/index.js';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    records: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
  },
});
const RECORDS = Number(values.records);
const VALUE = Buffer.alloc(100, 7);
const keyOf = (n) => `key-${String(n).padStart(12, '0')}`;
const spread = (n) => (n * 7_919_993) % 100_000_007;

async function inFlight(count, limit, start) {
  const waiting = [];
  for (let i = 0; i < count; i++) {
    waiting.push(start(i));
    if (waiting.length === limit) {
      await Promise.all(waiting);
      waiting.length = 0;
    }
  }
  await Promise.all(waiting);
}

const WORKLOADS = {
  'puts of different keys': (db) => inFlight(RECORDS, 1000, (i) => db.put(keyOf(spread(i)), VALUE)),
  'puts of 100 keys': (db) => inFlight(RECORDS, 1000, (i) => db.put(keyOf(spread(i) % 100), VALUE)),
  'batches of 1,000': async (db) => {
    for (let first = 0; first < RECORDS; first += 1000) {
      const operations = Array.from({ length: 1000 }, (_, i) => ({
        type: 'put',
        key: keyOf(spread(first + i)),
        value: VALUE,
      }));
      await db.batch(operations);
    }
  },
};

async function timed(work) {
  const began = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - began) / 1e9;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

const folder = mkdtempSync(path.join(values.dir, 'thermocline-changes-'));
const seconds = {};
const note = (name, value) => {
  seconds[name] ??= [];
  seconds[name].push(value);
};
let databases = 0;
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, workload] of Object.entries(WORKLOADS)) {
      for (const changes of round % 2 === 0 ? [false, true] : [true, false]) {
        const location = path.join(folder, String(databases++));
        const db = await open(location, { changes });
        note(`${name} ${changes}`, await timed(() => workload(db)));
        if (changes) {
          const feed = db.changes({ since: 0 });
          let read = 0;
          note(
            `read ${name}`,
            await timed(async () => {
              while (read < RECORDS) for (const { operations } of await feed.nextMany()) read += operations.length;
            }),
          );
        }
        await db.close();
        rmSync(location, { recursive: true, force: true });
      }
    }
    const location = path.join(folder, String(databases++));
    const db = await open(location);
    const topic = await db.topics.create('t');
    const commits = Math.ceil(RECORDS / 10);
    for (const messages of round % 2 === 0 ? [false, true] : [true, false]) {
      const commit = (i) =>
        db.batch(
          [{ type: 'put', key: keyOf(spread(i)), value: VALUE }],
          messages ? { messages: [{ topic, value: VALUE }] } : {},
        );
      note(`commits ${messages}`, await timed(() => inFlight(commits, 64, commit)));
      if (messages)
        note(
          'arrived',
          await timed(async () => {
            while (topic.stats().messages < commits) await new Promise((resolve) => setTimeout(resolve, 1));
          }),
        );
    }
    await db.close();
    rmSync(location, { recursive: true, force: true });
  }
  console.log(`${cpus()[0]?.model}, ${cpus().length} processors, Node.js ${process.version}\n`);
  const rate = (name, count) => `${Math.round(count / median(seconds[name]) / 1000)}k/s`;
  for (const name of Object.keys(WORKLOADS)) {
    const ratios = seconds[`${name} false`].map((without, i) => without / seconds[`${name} true`][i]);
    console.log(
      `${name}: ${rate(`${name} false`, RECORDS)} without, ${rate(`${name} true`, RECORDS)} with changes kept ` +
        `(ratio of each round ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}, median ${median(ratios).toFixed(2)}); ` +
        `read back ${rate(`read ${name}`, RECORDS)}`,
    );
  }
  const commits = Math.ceil(RECORDS / 10);
  console.log(
    `commits of one record: ${rate('commits false', commits)}, with a message ${rate('commits true', commits)}; ` +
      `the last message arrived ${Math.round(median(seconds.arrived) * 1000)} ms later`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
