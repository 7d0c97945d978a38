import type { Stats, TierStats } from '../stats.ts';
import type { Alert } from './alert.ts';
import type { AlertBounds } from './options.ts';

/** @internal What is measured for one alert: it begins beyond `threshold`, and is over on the other side of `over`. */
export interface Reading extends Omit<Alert, 'active' | 'since'> {
  over: number;
  /** Trouble lies below the threshold, not above. */
  below?: boolean;
}

/** Of its threshold; a value must fall below before its alert is over: no flicker around the bound. */
const OVER_SHARE = 0.8;
/** Disks fill slowly, so less distance will do; and 80% of 85% would be far away. */
const DISK_OVER = 0.03;
/** Below this many reads the share of hits says nothing. */
const LEAST_READS = 1000;

const STALL_CAUSES = {
  memtables: 'memtables fill faster than they are flushed: the disk is slow or threads.background is low',
  level0Files: 'tables arrive faster than they are compacted: raise threads.background, or write less',
  pendingCompaction: 'compaction has fallen far behind: raise threads.background, or write less',
  unknown: 'flushes or compactions cannot keep up with the writes',
};

/** Everything that may raise an alert, measured. Pure. `troubleSeconds`: how long migration has stood still. */
export function readings(stats: Stats, bounds: AlertBounds, troubleSeconds: number): Reading[] {
  return [
    ...memory(stats, bounds.memoryShare),
    ...latency(stats, bounds),
    ...stats.tiers.flatMap((tier) => disks(tier, bounds)),
    ...stall(stats, bounds.stallSeconds),
    ...cache(stats, bounds.cacheHitShare),
    ...migration(stats, bounds.migrationSeconds, troubleSeconds),
  ];
}

function memory({ memory: m, writes }: Stats, share: number | undefined): Reading[] {
  if (share === undefined) return [];
  const owner = (subject: string, metric: string, value: number, threshold: number, cause: string): Reading => {
    const over = OVER_SHARE * threshold;
    const bytes = `thermocline_${metric}`;
    return {
      name: 'memory',
      subject,
      severity: 'warning',
      unit: 'bytes',
      metric: bytes,
      value,
      threshold,
      over,
      cause,
    };
  };
  return [
    owner(
      'memtables',
      'memory_bytes',
      m.memtableBytes,
      m.memtableBudgetBytes,
      'writes arrive faster than they are flushed to disk: raise memory.writeBuffer, or write less at once',
    ),
    owner(
      'blockCache',
      'block_cache_pinned_bytes',
      m.blockCachePinnedBytes,
      share * m.blockCacheCapacityBytes,
      'most of the block cache is held by open iterators and reads: close iterators, or raise memory.blockCache',
    ),
    owner(
      'transactions',
      'memory_bytes',
      m.transactionBytes,
      share * m.transactionBudgetBytes,
      'a transaction is open for long while much is written: beyond the limit the oldest fails with ERR_CONFLICT',
    ),
    owner(
      'writes',
      'memory_bytes',
      writes.inFlightBytes,
      share * writes.inFlightLimitBytes,
      "writes are queued faster than they are applied: await them or wait for 'drain', else ERR_BACKPRESSURE follows",
    ),
  ];
}

function latency({ rates }: Stats, { writeP99Seconds, fsyncP99Seconds }: AlertBounds): Reading[] {
  const { put, batch, fsync } = rates['10s'].latencySeconds;
  const found: Reading[] = [];
  const common = { severity: 'warning', unit: 'seconds' } as const;
  if (writeP99Seconds !== undefined) {
    found.push({
      ...common,
      name: 'writeLatency',
      subject: 'writes',
      metric: 'thermocline_operation_duration_seconds',
      value: Math.max(put.p99, batch.p99),
      threshold: writeP99Seconds,
      over: OVER_SHARE * writeP99Seconds,
      cause: 'one write in a hundred waits this long: the disk is slow, compaction falls behind, or groups are large',
    });
  }
  if (fsyncP99Seconds !== undefined) {
    found.push({
      ...common,
      name: 'fsyncLatency',
      subject: 'log',
      metric: 'thermocline_fsync_duration_seconds',
      value: fsync.p99,
      threshold: fsyncP99Seconds,
      over: OVER_SHARE * fsyncP99Seconds,
      cause: "one sync of the log in a hundred takes this long: writes with durability 'fsync' wait for the disk",
    });
  }
  return found;
}

function disks(tier: TierStats, { diskShare, diskCriticalShare }: AlertBounds): Reading[] {
  const found: Reading[] = [];
  const add = (name: 'disk' | 'tier', used: number, capacity: number, metric: string, cause: string) => {
    if (capacity === 0) return;
    for (const [severity, threshold] of [
      ['warning', diskShare],
      ['critical', diskCriticalShare],
    ] as const) {
      if (threshold === undefined) continue;
      const over = threshold - Math.min(DISK_OVER, threshold / 2);
      const value = used / capacity;
      found.push({ name, subject: tier.tier, severity, unit: 'share', metric, value, threshold, over, cause });
    }
  };
  add(
    'disk',
    tier.diskUsedBytes,
    tier.diskCapacityBytes,
    'thermocline_tier_disk_used_bytes',
    `the disk of the ${tier.tier} tier fills up: make room, or give the tier a larger one`,
  );
  add(
    'tier',
    tier.tableBytes,
    tier.capacityBytes,
    'thermocline_tier_table_bytes',
    `the ${tier.tier} tier nears its capacity: raise tiers.${tier.tier}.capacity, or make room in the tier below`,
  );
  return found;
}

function stall({ stalls }: Stats, seconds: number | undefined): Reading[] {
  if (seconds === undefined) return [];
  return [
    {
      name: 'stall',
      subject: 'writes',
      severity: 'critical',
      unit: 'seconds',
      metric: 'thermocline_write_stall_age_seconds',
      value: stalls.ageSeconds,
      threshold: seconds,
      over: OVER_SHARE * seconds,
      cause: STALL_CAUSES[stalls.cause ?? 'unknown'],
    },
  ];
}

function cache({ rates, memory: m }: Stats, share: number | undefined): Reading[] {
  const { hotCacheHitShare, operationsPerSecond, seconds } = rates['60s'];
  if (share === undefined || m.hotCacheCapacityBytes === 0) return [];
  const reads = (operationsPerSecond.get + operationsPerSecond.getMany) * seconds;
  return [
    {
      name: 'cacheHitShare',
      subject: 'hotCache',
      severity: 'warning',
      unit: 'share',
      metric: 'thermocline_hot_cache_requests_total',
      value: hotCacheHitShare === undefined || reads < LEAST_READS ? 1 : hotCacheHitShare,
      threshold: share,
      over: Math.min(1, share / OVER_SHARE),
      below: true,
      cause: 'few reads find their record in the hot cache: raise memory.hotCache, or set it to 0 and save its memory',
    },
  ];
}

function migration({ migration: m }: Stats, bound: number | undefined, troubleSeconds: number): Reading[] {
  if (bound === undefined) return [];
  return [
    {
      name: 'migration',
      subject: 'tiers',
      severity: 'warning',
      unit: 'seconds',
      metric: 'thermocline_migration_trouble',
      value: troubleSeconds,
      threshold: bound,
      over: OVER_SHARE * bound,
      cause: `nothing moves to the colder tier: ${m.trouble ?? 'it could not for a while'}`,
    },
  ];
}
