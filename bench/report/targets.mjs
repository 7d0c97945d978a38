/**
 * What the product promised itself, for servers with NVMe disks: each with its figure on this machine, and beside plain
 * C++ RocksDB on the same machine where that can do the same.
 *
 * @typedef {object} ProductTarget
 * @property {string} text @property {string} how what was measured
 * @property {number | undefined} value @property {number} goal @property {boolean} [atMost] @property {string} unit
 * @property {number | undefined} [plain] the same by plain RocksDB in C++
 * @property {boolean} [incomparable] to that: a call of C++ waits for no event loop and no other thread
 * @property {boolean | undefined} reached
 * @property {number | undefined} [share] of plain RocksDB; above 1 is better than it
 */

import { short, time } from './text.mjs';

const LARGE_BATCH = 100_000;
const SCAN_BYTES = 16 + 1024;
/** Of plain C++ RocksDB on the same machine. */
export const EXPECTED_SHARE = 0.8;

/** @param {any} result of bench/run.mjs @returns {ProductTarget[]} */
export function productTargets({ figures, latencies }) {
  const of = (name) => figures[name]?.median;
  const best = (...names) => {
    const known = names.map(of).filter((value) => value !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  const p99 = (...names) => {
    const all = names.flatMap((name) => latencies[name] ?? []).flatMap(({ quantiles }) => quantiles);
    const found = all.filter(([share]) => share === 0.99).map(([, ms]) => ms);
    return found.length > 0 ? Math.max(...found) : undefined;
  };
  const scaled = (value, by) => (value === undefined ? undefined : by(value));
  const sizes = Object.keys(figures).filter((name) => /^batches\/\d+\/batch$/.test(name));

  /** @type {Omit<ProductTarget, 'reached' | 'share'>[]} */
  const targets = [
    {
      text: 'random read',
      how: 'getMany of 1,000 random keys, defaults; plain: MultiGet',
      value: of('reads/random/getMany'),
      goal: 500_000,
      unit: 'ops/s',
      plain: of('native/plain/multiget/all/perSecond'),
    },
    {
      text: 'random read, no hot cache',
      how: 'the same from the block cache alone; plain: MultiGet',
      value: of('reads/random, no hot cache/getMany'),
      goal: 500_000,
      unit: 'ops/s',
      plain: of('native/plain/multiget/all/perSecond'),
    },
    {
      text: 'random read, one by one',
      how: 'getSync of random keys, defaults; plain: Get on one thread',
      value: of('reads/random/getSync'),
      goal: 500_000,
      unit: 'ops/s',
      plain: of('native/plain/get/all|1/perSecond'),
    },
    {
      text: 'random write',
      how: 'put of random keys, 1,000 outstanding; plain: Put on one thread',
      value: of('writes/random/put'),
      goal: 300_000,
      unit: 'ops/s',
      plain: of('native/plain/write/each/perSecond'),
    },
    {
      text: 'batch write',
      how: 'the best size of batch; plain: batches of 1,000',
      value: best(...sizes),
      goal: 1_000_000,
      unit: 'records/s',
      plain: of('native/plain/write/batch:1000/perSecond'),
    },
    {
      text: 'scan',
      how: 'everything, values of 1,024 bytes, the best of nextMany, for await and values; plain: one iterator per shard',
      value: scaled(best('scans/1024/nextMany', 'scans/1024/for await', 'scans/1024/values'), (n) => n * SCAN_BYTES),
      goal: 2e9,
      unit: 'B/s',
      plain: scaled(of('native/plain/scan/full/perSecond'), (n) => n * SCAN_BYTES),
    },
    {
      text: 'P99 in the mixed load',
      how: '80% reads, 20% writes by 16 clients, the worse of both; plain: two threads',
      value: p99('mixed/80/read, 16 clients', 'mixed/80/write, 16 clients'),
      goal: 2,
      atMost: true,
      unit: 'ms',
      plain: p99('native/plain/mixed:80|2/read', 'native/plain/mixed:80|2/write'),
      incomparable: true,
    },
    {
      text: 'P99 in the mixed load, from when due',
      how: '80% reads, 20% writes at even distances, half of the rate of the 16 clients; counts what the event loop is late by',
      value: p99('mixed/80/read, half load', 'mixed/80/write, half load'),
      goal: 2,
      atMost: true,
      unit: 'ms',
    },
    {
      text: 'compression ratio',
      how: 'WordNet 3.1 as `thermocline load` stores it, default options',
      value: of('ratio/wordnet/ratio'),
      goal: 2,
      unit: 'x',
    },
    {
      text: '100,000 records in one batch',
      how: 'the median; plain: one WriteBatch',
      value: scaled(of(`batches/${LARGE_BATCH}/batch`), (n) => (LARGE_BATCH / n) * 1000),
      goal: 200,
      atMost: true,
      unit: 'ms',
      plain: scaled(of('native/plain/write/batch:100000/perSecond'), (n) => (LARGE_BATCH / n) * 1000),
    },
    {
      text: 'absent keys answered without a disk read',
      how: "RocksDB's tickers, each key asked for once, no hot cache",
      value: scaled(of('levels/absent/withoutDiskShare'), (share) => share * 100),
      goal: 90,
      unit: '%',
    },
  ];
  return targets.map((target) => {
    const { value, goal, atMost, plain, incomparable } = target;
    const reached = value === undefined ? undefined : atMost ? value <= goal : value >= goal;
    const share =
      value === undefined || plain === undefined || incomparable ? undefined : atMost ? plain / value : value / plain;
    return { ...target, reached, share };
  });
}

/** @param {number | undefined} value @param {string} unit */
export function shown(value, unit) {
  if (value === undefined) return 'not measured';
  if (unit === 'ms') return time(value);
  if (unit === 'x' || unit === '%') return `${value.toFixed(unit === 'x' ? 2 : 1)}${unit}`;
  return `${short(value)}${unit === 'B/s' ? '' : ' '}${unit}`;
}

/** @param {ProductTarget} target @returns {string} */
export function verdict({ reached }) {
  return reached === undefined ? 'not measured' : reached ? 'yes' : 'no';
}

/** @param {ProductTarget[]} targets @returns {string} a line for each */
export function targetLines(targets) {
  const rows = targets.map((target) => {
    const { text, value, goal, atMost, unit, plain, share } = target;
    const beside =
      plain === undefined
        ? ''
        : `plain C++ ${shown(plain, unit)}${share === undefined ? '' : `, share ${(share * 100).toFixed(0)}%`}`;
    return [text, verdict(target), shown(value, unit), `${atMost ? '<=' : '>='} ${shown(goal, unit)}`, beside];
  });
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
