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

/** One moment of the engine's counters, of all who share it. */
export interface Stats {
  shards: number;
  operations: Record<'get' | 'getMany' | 'put' | 'delete' | 'batch' | 'deleteRange' | 'scan', OperationTotals>;
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
}
