import { formatBytes, formatCount, formatSeconds, plural } from '../cli/text.ts';
import type { LatencySeconds, Stats, TierStats } from '../stats.ts';

type Row = readonly string[];

/** Statistics as a page of text for people. */
export function formatStats(stats: Stats): string {
  return [
    section('operations', operationRows(stats)),
    section('latency', latencyRows(stats)),
    section('caches', cacheRows(stats)),
    section('writes', writeRows(stats)),
    section('memory', memoryRows(stats)),
    section('tiers', [
      ['', 'tables', 'files', 'compressed', 'of its capacity', 'compactions', 'to compact'],
      ...stats.tiers.map(tierRow),
    ]),
  ].join('\n');
}

function operationRows({ operations, rates }: Stats): Row[] {
  const recent = rates['10s'].operationsPerSecond;
  const names = Object.keys(operations) as (keyof typeof operations)[];
  return [
    ['', 'calls', 'records', 'bytes', 'calls/s, last 10 s'],
    ...names.map((name): Row => {
      const { operations: calls, records, bytes } = operations[name];
      return [name, formatCount(calls), formatCount(records), formatBytes(bytes), formatCount(recent[name])];
    }),
  ];
}

function latencyRows({ latencySeconds, rates }: Stats): Row[] {
  const recent: Partial<Record<string, LatencySeconds>> = rates['10s'].latencySeconds;
  return [
    ['', 'P50', 'P95', 'P99', 'P99.9', 'max', 'P99, last 10 s'],
    ...Object.entries(latencySeconds)
      .filter(([, { count }]) => count > 0)
      .map(([name, { p50, p95, p99, p999, max }]): Row => {
        const now = recent[name];
        const last = now === undefined || now.count === 0 ? '-' : formatSeconds(now.p99);
        return [name, ...[p50, p95, p99, p999, max].map(formatSeconds), last];
      }),
  ];
}

function cacheRows({ hotCache, tiers }: Stats): Row[] {
  const hits = hotCache.hits + hotCache.negativeHits;
  return [
    ['', 'hits', 'misses', 'share'],
    ['hot cache', formatCount(hits), formatCount(hotCache.misses), share(hits, hits + hotCache.misses)],
    ...tiers.map(({ tier, blockCache }): Row => {
      const { hits: found, misses } = blockCache;
      return [`blocks of ${tier}`, formatCount(found), formatCount(misses), share(found, found + misses)];
    }),
  ];
}

function writeRows({ writes, stalls }: Stats): Row[] {
  const rows: Row[] = [
    ['commits', formatCount(writes.commits)],
    ['groups', formatCount(writes.groups)],
    ['operations a group', (writes.groupOperations / Math.max(1, writes.groups)).toFixed(1)],
    ['fsyncs', formatCount(writes.fsyncs)],
    ['waiting', formatBytes(writes.inFlightBytes)],
    ['oldest waits', formatSeconds(writes.queueAgeSeconds)],
    ['refused', formatCount(writes.backpressureRejections)],
    ['stalls', `${formatCount(stalls.count)}, ${formatSeconds(stalls.seconds)}`],
  ];
  for (const [cause, { count, seconds }] of Object.entries(stalls.byCause)) {
    if (count > 0) rows.push([`  ${cause}`, `${formatCount(count)}, ${formatSeconds(seconds)}`]);
  }
  if (stalls.running > 0) rows.push(['stalled now', `${stalls.cause} for ${formatSeconds(stalls.ageSeconds)}`]);
  return rows;
}

function memoryRows({ memory, writes }: Stats): Row[] {
  return [
    ['', 'in use', 'budget'],
    ['hot cache', formatBytes(memory.hotCacheBytes), formatBytes(memory.hotCacheCapacityBytes)],
    ['block cache', formatBytes(memory.blockCacheBytes), formatBytes(memory.blockCacheCapacityBytes)],
    ['memtables', formatBytes(memory.memtableBytes), formatBytes(memory.memtableBudgetBytes)],
    ['transactions', formatBytes(memory.transactionBytes), formatBytes(memory.transactionBudgetBytes)],
    ['waiting writes', formatBytes(writes.inFlightBytes), formatBytes(writes.inFlightLimitBytes)],
    ['buffers', formatBytes(memory.bufferBytes), ''],
  ];
}

function tierRow({ tier, tableBytes, files, compressionRatio, capacityBytes, compactions }: TierStats): Row {
  const full = capacityBytes === 0 ? '-' : share(tableBytes, capacityBytes);
  const compacted = `${formatCount(compactions.count)}, ${formatSeconds(compactions.seconds)}`;
  const cells = [`${compressionRatio.toFixed(2)}x`, full, compacted, formatBytes(compactions.pendingBytes)];
  return [tier, formatBytes(tableBytes), plural(files, 'file'), ...cells];
}

function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)}%`;
}

/** A title and aligned columns: names to the left, figures to the right. */
function section(title: string, rows: readonly Row[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const lines = rows.map((row) =>
    `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(width(i)) : cell.padStart(width(i)))).join('  ')}`.trimEnd(),
  );
  return `${title}\n${lines.join('\n')}\n`;
}
