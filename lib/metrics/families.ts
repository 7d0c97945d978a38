import type { LatencySeconds, Stats } from '../stats.ts';

/** @internal A latency with the counts of its buckets, cumulative, by `BUCKET_BOUNDS`. */
export type Bucketed = LatencySeconds & { buckets: number[] };

/** @internal One value with the labels that tell it from the others of its family. */
export type Sample<T> = [labels: Record<string, string>, value: T];

/** @internal A metric of Prometheus: its name follows its conventions, and its labels have few values. */
export type Family = { name: string; help: string } & (
  | { type: 'counter' | 'gauge'; samples: (stats: Stats) => Sample<number>[] }
  | { type: 'histogram'; samples: (stats: Stats) => Sample<Bucketed>[] }
);

const NONE = {};
const one = (value: number): Sample<number>[] => [[NONE, value]];
const bucketed = (latency: LatencySeconds): Sample<Bucketed>[] => [[NONE, latency as Bucketed]];

/** `scanChunk` as Prometheus writes names: `scan_chunk`. */
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A sample for each member of an object, labelled with its name. */
function each<T, V>(label: string, members: Record<string, T>, value: (member: T) => V): Sample<V>[] {
  return Object.entries(members).map(([name, member]) => [{ [label]: snake(name) }, value(member)]);
}

function byTier(stats: Stats, value: (tier: Stats['tiers'][number]) => number): Sample<number>[] {
  return stats.tiers.map((tier) => [{ tier: tier.tier }, value(tier)]);
}

function byShard(stats: Stats, value: (shard: Stats['perShard'][number]) => number): Sample<number>[] {
  return stats.perShard.map((shard) => [{ shard: String(shard.id) }, value(shard)]);
}

const OPERATIONS: Family[] = [
  {
    name: 'operations_total',
    help: 'Calls of the API by operation; of scan: chunks handed out.',
    type: 'counter',
    samples: ({ operations }) => each('operation', operations, (totals) => totals.operations),
  },
  {
    name: 'operation_records_total',
    help: 'Records asked for, written or returned.',
    type: 'counter',
    samples: ({ operations }) => each('operation', operations, (totals) => totals.records),
  },
  {
    name: 'operation_bytes_total',
    help: 'Bytes of keys and values asked for, written or returned.',
    type: 'counter',
    samples: ({ operations }) => each('operation', operations, (totals) => totals.bytes),
  },
  {
    name: 'operation_duration_seconds',
    help: 'How long operations took; reads answered by the hot cache are sampled.',
    type: 'histogram',
    samples: ({ latencySeconds: { get, getMany, put, batch, scanChunk } }) =>
      each('operation', { get, getMany, put, batch, scanChunk }, (latency) => latency as Bucketed),
  },
];

const CACHES: Family[] = [
  {
    name: 'hot_cache_requests_total',
    help: 'Point reads that asked the hot cache: hit, absent (it knew that there is no such record) or miss.',
    type: 'counter',
    samples: ({ hotCache: { hits, negativeHits, misses } }) =>
      each('result', { hit: hits, absent: negativeHits, miss: misses }, (n) => n),
  },
  {
    name: 'hot_cache_entries',
    help: 'Entries of the hot cache.',
    type: 'gauge',
    samples: ({ hotCache }) => one(hotCache.entries),
  },
  {
    name: 'block_cache_requests_total',
    help: "Lookups of data, index and filter blocks in a tier's block cache.",
    type: 'counter',
    samples: ({ tiers }) =>
      tiers.flatMap(({ tier, blockCache: { hits, misses } }): Sample<number>[] => [
        [{ tier, result: 'hit' }, hits],
        [{ tier, result: 'miss' }, misses],
      ]),
  },
  {
    name: 'block_cache_pinned_bytes',
    help: 'Bytes of the hot block cache in use by reads and iterators, which cannot be evicted.',
    type: 'gauge',
    samples: ({ memory }) => one(memory.blockCachePinnedBytes),
  },
];

const WRITES: Family[] = [
  {
    name: 'commits_total',
    help: 'Units of atomicity acknowledged.',
    type: 'counter',
    samples: ({ writes }) => one(writes.commits),
  },
  {
    name: 'write_groups_total',
    help: 'Groups of writes written together.',
    type: 'counter',
    samples: ({ writes }) => one(writes.groups),
  },
  {
    name: 'write_group_operations_total',
    help: 'Operations in those groups.',
    type: 'counter',
    samples: ({ writes }) => one(writes.groupOperations),
  },
  {
    name: 'write_group_bytes_total',
    help: 'Bytes of those groups.',
    type: 'counter',
    samples: ({ writes }) => one(writes.groupBytes),
  },
  {
    name: 'write_group_duration_seconds',
    help: 'How long writing a group to the log and the memtables took.',
    type: 'histogram',
    samples: ({ latencySeconds }) => bucketed(latencySeconds.groupWrite),
  },
  {
    name: 'fsync_duration_seconds',
    help: 'How long syncs of the log took.',
    type: 'histogram',
    samples: ({ latencySeconds }) => bucketed(latencySeconds.fsync),
  },
  {
    name: 'flush_duration_seconds',
    help: 'How long flushes of memtables took.',
    type: 'histogram',
    samples: ({ latencySeconds }) => bucketed(latencySeconds.flush),
  },
  {
    name: 'write_queue_age_seconds',
    help: 'Age of the oldest write that waits for the committer.',
    type: 'gauge',
    samples: ({ writes }) => one(writes.queueAgeSeconds),
  },
  {
    name: 'write_rejections_total',
    help: 'Writes refused with ERR_BACKPRESSURE.',
    type: 'counter',
    samples: ({ writes }) => one(writes.backpressureRejections),
  },
  {
    name: 'memtable_switches_total',
    help: 'Memtables that made way for new ones.',
    type: 'counter',
    samples: ({ writes }) => one(writes.memtableSwitches),
  },
  {
    name: 'write_stalls_total',
    help: 'Times that writes to a shard were slowed or stopped, by cause.',
    type: 'counter',
    samples: ({ stalls }) => each('cause', stalls.byCause, ({ count }) => count),
  },
  {
    name: 'write_stall_seconds_total',
    help: 'For how long, over all shards, those that go on included.',
    type: 'counter',
    samples: ({ stalls }) => each('cause', stalls.byCause, ({ seconds }) => seconds),
  },
  {
    name: 'write_stall_age_seconds',
    help: 'How long the stall that goes on has lasted; 0 while there is none.',
    type: 'gauge',
    samples: ({ stalls }) => one(stalls.ageSeconds),
  },
];

const MEMORY: Family[] = [
  {
    name: 'memory_bytes',
    help: 'Memory in use by owner.',
    type: 'gauge',
    samples: ({ memory: m, writes }) =>
      each(
        'owner',
        {
          hotCache: m.hotCacheBytes,
          blockCache: m.blockCacheBytes,
          memtables: m.memtableBytes,
          tableReaders: m.tableReaderBytes,
          transactions: m.transactionBytes,
          writes: writes.inFlightBytes,
          buffers: m.bufferBytes + m.idleBufferBytes,
        },
        (bytes) => bytes,
      ),
  },
  {
    name: 'memory_limit_bytes',
    help: 'What an owner of memory may use.',
    type: 'gauge',
    samples: ({ memory: m, writes }) =>
      each(
        'owner',
        {
          hotCache: m.hotCacheCapacityBytes,
          blockCache: m.blockCacheCapacityBytes,
          memtables: m.memtableBudgetBytes,
          transactions: m.transactionBudgetBytes,
          writes: writes.inFlightLimitBytes,
        },
        (bytes) => bytes,
      ),
  },
];

const TIERS: Family[] = [
  {
    name: 'tier_table_bytes',
    help: "Bytes of a tier's tables.",
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.tableBytes),
  },
  {
    name: 'tier_files',
    help: "A tier's tables.",
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.files),
  },
  {
    name: 'tier_capacity_bytes',
    help: 'What a tier may hold as configured; 0: what its disk holds.',
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.capacityBytes),
  },
  {
    name: 'tier_disk_capacity_bytes',
    help: 'Size of the file system that a tier is on.',
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.diskCapacityBytes),
  },
  {
    name: 'tier_disk_used_bytes',
    help: 'What is used of it, by whomever.',
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.diskUsedBytes),
  },
  {
    name: 'tier_reserve_bytes',
    help: 'Free space of it that writes leave alone; 0: none.',
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.reserveBytes),
  },
  {
    name: 'tier_compression_ratio',
    help: "Uncompressed over compressed bytes of a tier's tables.",
    type: 'gauge',
    samples: (stats) => byTier(stats, (tier) => tier.compressionRatio),
  },
  {
    name: 'tier_reads_total',
    help: 'Reads that a tier answered, where there are colder ones.',
    type: 'counter',
    samples: (stats) => byTier(stats, (tier) => tier.reads),
  },
  {
    name: 'tier_moved_records_total',
    help: 'Records moved into and out of a tier.',
    type: 'counter',
    samples: ({ tiers }) =>
      tiers.flatMap(({ tier, movedInRecords, movedOutRecords }): Sample<number>[] => [
        [{ tier, direction: 'in' }, movedInRecords],
        [{ tier, direction: 'out' }, movedOutRecords],
      ]),
  },
  {
    name: 'tier_moved_bytes_total',
    help: 'Bytes of their keys and values.',
    type: 'counter',
    samples: ({ tiers }) =>
      tiers.flatMap(({ tier, movedInBytes, movedOutBytes }): Sample<number>[] => [
        [{ tier, direction: 'in' }, movedInBytes],
        [{ tier, direction: 'out' }, movedOutBytes],
      ]),
  },
  {
    name: 'compactions_total',
    help: 'Compactions that have ended.',
    type: 'counter',
    samples: (stats) => byTier(stats, ({ compactions }) => compactions.count),
  },
  {
    name: 'compaction_seconds_total',
    help: 'Time they took.',
    type: 'counter',
    samples: (stats) => byTier(stats, ({ compactions }) => compactions.seconds),
  },
  {
    name: 'compaction_bytes_total',
    help: 'Bytes of tables that they read and wrote.',
    type: 'counter',
    samples: ({ tiers }) =>
      tiers.flatMap(({ tier, compactions: { readBytes, writtenBytes } }): Sample<number>[] => [
        [{ tier, direction: 'read' }, readBytes],
        [{ tier, direction: 'written' }, writtenBytes],
      ]),
  },
  {
    name: 'compaction_pending_bytes',
    help: 'Estimate of what is to be compacted.',
    type: 'gauge',
    samples: (stats) => byTier(stats, ({ compactions }) => compactions.pendingBytes),
  },
  {
    name: 'migration_trouble',
    help: '1 while migration stands still because of trouble such as a full tier, else 0.',
    type: 'gauge',
    samples: ({ migration }) => one(migration.trouble === undefined ? 0 : 1),
  },
  {
    name: 'promoted_records_total',
    help: 'Records copied to a hotter tier because they were read.',
    type: 'counter',
    samples: ({ migration }) => one(migration.promotedRecords),
  },
];

const SHARDS: Family[] = [
  {
    name: 'shard_records',
    help: "Estimate of a shard's records in the hot tier.",
    type: 'gauge',
    samples: (stats) => byShard(stats, (shard) => shard.keys),
  },
  {
    name: 'shard_table_bytes',
    help: "Bytes of a shard's tables in the hot tier.",
    type: 'gauge',
    samples: (stats) => byShard(stats, (shard) => shard.tableBytes),
  },
  {
    name: 'shard_reads_total',
    help: 'Records of a shard read; those answered by the hot cache are sampled.',
    type: 'counter',
    samples: (stats) => byShard(stats, (shard) => shard.reads),
  },
  {
    name: 'shard_writes_total',
    help: 'Records of a shard written.',
    type: 'counter',
    samples: (stats) => byShard(stats, (shard) => shard.writes),
  },
];

const THREADS: Family[] = [
  {
    name: 'threads',
    help: "The engine's threads by class of work.",
    type: 'gauge',
    samples: ({ threads }) => each('class', threads, (work) => work.threads),
  },
  {
    name: 'tasks_queued',
    help: 'Tasks that wait for a thread.',
    type: 'gauge',
    samples: ({ threads }) => each('class', threads, (work) => work.queued),
  },
  {
    name: 'task_wait_seconds',
    help: 'How long tasks waited for a thread.',
    type: 'histogram',
    samples: ({ threads }) => each('class', threads, (work) => work.waitSeconds as Bucketed),
  },
  {
    name: 'task_run_seconds',
    help: 'How long tasks ran.',
    type: 'histogram',
    samples: ({ threads }) => each('class', threads, (work) => work.runSeconds as Bucketed),
  },
];

/** @internal Every metric, without the prefix of their names. */
export const FAMILIES: readonly Family[] = [
  ...OPERATIONS,
  ...CACHES,
  ...WRITES,
  ...MEMORY,
  ...TIERS,
  ...SHARDS,
  ...THREADS,
];
