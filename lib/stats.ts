import type { PrefetchStats } from './prefetch-stats.ts';
import type { TierName } from './tier-options.ts';

/** How often something was done since the database was opened, by all who share it. */
export interface OperationTotals {
  /** Calls: one getMany is one. */
  operations: number;
  /** Keys asked for, written or returned. */
  records: number;
  /** Of keys and values. */
  bytes: number;
}

/** Latencies in seconds; percentiles are within 2%. Reads answered from the hot cache are sampled. */
export interface LatencySeconds {
  count: number;
  sum: number;
  max: number;
  p50: number;
  p95: number;
  p99: number;
  p999: number;
}

/**
 * Classes of work: reads (points and iterators), commits, log syncs, rare calls such as flush(), and background work that
 * nobody waits for.
 */
export type WorkClass = 'read' | 'commit' | 'fsync' | 'task' | 'background';

/** How the threads of one class spend their time. */
export interface WorkStats {
  threads: number;
  /** Tasks that wait now. */
  queued: number;
  /** Tasks being worked on now. */
  running: number;
  /** Tasks that have ended. A commit task is one group of writes, an fsync task one sync. */
  tasks: number;
  /** From being asked for until work began. */
  waitSeconds: LatencySeconds;
  runSeconds: LatencySeconds;
}

/** Why writes are held up: by memtables not yet flushed, by tables not yet compacted, or by how much there is to compact. */
export type StallCause = 'memtables' | 'level0Files' | 'pendingCompaction' | 'unknown';

/** Stalls of writes. Each shard stalls for itself. */
export interface StallStats {
  count: number;
  /** Those that go on now included. */
  seconds: number;
  byCause: Record<StallCause, { count: number; seconds: number }>;
  /** Shards that stall now. */
  running: number;
  /** Of the stall that has lasted longest; absent while there is none. */
  cause?: StallCause;
  /** How long it has lasted; 0 while there is none. */
  ageSeconds: number;
}

/** One tier's store. */
export interface TierStats {
  tier: TierName;
  tableBytes: number;
  files: number;
  /** Tables by RocksDB's levels, over all shards. */
  filesByLevel: number[];
  /** As configured; 0: what the disk holds. */
  capacityBytes: number;
  /** Of the file system it is on, a second old at most; 0 if it cannot be asked. */
  diskCapacityBytes: number;
  diskUsedBytes: number;
  /** Of the hot tier: free space that writes leave alone (`tiers.hot.reserve`); 0 without colder tiers, and of others. */
  reserveBytes: number;
  /** Uncompressed over compressed bytes of the tables; 1 without tables. Follows a flush or compaction within seconds. */
  compressionRatio: number;
  /** Lookups of data, index and filter blocks. */
  blockCache: { bytes: number; capacityBytes: number; hits: number; misses: number };
  compactions: {
    count: number;
    seconds: number;
    readBytes: number;
    writtenBytes: number;
    running: number;
    pendingBytes: number;
  };
  /** Reads that were answered here; counted where there are colder tiers. */
  reads: number;
  movedInRecords: number;
  movedInBytes: number;
  movedOutRecords: number;
  movedOutBytes: number;
}

/** One shard's hot part. */
export interface ShardStats {
  id: number;
  /** The slots it owns, as inclusive ranges. */
  slots: [first: number, last: number][];
  /** Roughly, until `compact()`. */
  keys: number;
  tableBytes: number;
  memoryBytes: number;
  /** A frozen shard has nothing in memory or in tables, and this in the archive: see `db.shards.freeze`. */
  archiveBytes: number;
  state: 'live' | 'frozen';
  reads: number;
  writes: number;
  /** Records a second, over the last minute or so. */
  readsPerSecond: number;
  writesPerSecond: number;
}

/** The recent past, up to a second old. */
export interface WindowStats {
  /** What it covers: less than its name says while the database has not been open for so long. 0: nothing yet. */
  seconds: number;
  operationsPerSecond: Record<OperationName, number>;
  readRecordsPerSecond: number;
  readBytesPerSecond: number;
  writtenRecordsPerSecond: number;
  writtenBytesPerSecond: number;
  commitsPerSecond: number;
  groupsPerSecond: number;
  fsyncsPerSecond: number;
  compactionBytesPerSecond: number;
  /** For which writes were stalled, added up over shards. */
  stallSeconds: number;
  /** Of point reads; absent if there were none. */
  hotCacheHitShare?: number;
  /** Of block lookups, all tiers; absent if there were none. */
  blockCacheHitShare?: number;
  /** Of what ended in this time; `max` is within 3%. */
  latencySeconds: Record<'get' | 'getMany' | 'put' | 'batch' | 'scanChunk' | 'groupWrite' | 'fsync', LatencySeconds>;
}

/** Kinds of operations that are counted apart. */
export type OperationName = 'get' | 'getMany' | 'put' | 'delete' | 'batch' | 'deleteRange' | 'scan';

/** One moment of the engine's counters, of all who share it. */
export interface Stats {
  shards: number;
  operations: Record<OperationName, OperationTotals>;
  /** `memtableSwitch`: writing a group that met the switch to a new memtable, of all of `groupWrite`. */
  latencySeconds: Record<
    'get' | 'getMany' | 'put' | 'batch' | 'scanChunk' | 'groupWrite' | 'memtableSwitch' | 'fsync' | 'flush',
    LatencySeconds
  >;
  hotCache: { hits: number; negativeHits: number; misses: number; entries: number };
  writes: {
    commits: number;
    groups: number;
    groupOperations: number;
    groupBytes: number;
    /** Log syncs; each may serve many writes. */
    fsyncs: number;
    inFlightBytes: number;
    /** `maxInFlight`: above it writes are refused. */
    inFlightLimitBytes: number;
    /** Of the oldest write that waits for the committer. */
    queueAgeSeconds: number;
    /** What the adaptive grouping asks for at present. */
    targetGroupBytes: number;
    backpressureRejections: number;
    /** Memtables that made way for new ones: full, flushed, or holding back an old log. */
    memtableSwitches: number;
    stalls: number;
    stallSeconds: number;
  };
  memory: {
    hotCacheBytes: number;
    hotCacheCapacityBytes: number;
    blockCacheBytes: number;
    blockCacheCapacityBytes: number;
    memtableBytes: number;
    tableReaderBytes: number;
    /** Of the block cache: in use by reads and iterators, so it cannot be evicted. */
    blockCachePinnedBytes: number;
    /** `memory.writeBuffer`. */
    memtableBudgetBytes: number;
    /** Recent writes, kept while transactions are open to validate them with. */
    transactionBytes: number;
    transactionBudgetBytes: number;
    /** Packed writes and results in transit, of all databases of the process. */
    bufferBytes: number;
    /** Kept for the next of them. */
    idleBufferBytes: number;
  };
  disk: {
    tableBytes: number;
    estimatedRecords: number;
    runningCompactions: number;
    runningFlushes: number;
    pendingCompactionBytes: number;
  };
  /** The engine's threads by what they do. Flushes and compactions have threads of their own. */
  threads: Record<WorkClass, WorkStats>;
  stalls: StallStats;
  /** Hot first. */
  tiers: TierStats[];
  migration: {
    /** Copied up because they were read. */
    promotedRecords: number;
    /** Reads that no tier could answer; counted where there are colder tiers. */
    absentReads: number;
    /** Why it stands still; absent while it does not. */
    trouble?: string;
  };
  /** Absent unless the database was opened with `prefetch`. */
  prefetch?: PrefetchStats;
  perShard: ShardStats[];
  /** The last 1, 10 and 60 seconds. */
  rates: Record<'1s' | '10s' | '60s', WindowStats>;
}
