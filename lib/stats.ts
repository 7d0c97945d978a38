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

/** One moment of the engine's counters, of all who share it. */
export interface Stats {
  shards: number;
  operations: Record<'get' | 'getMany' | 'put' | 'delete' | 'batch' | 'deleteRange' | 'scan', OperationTotals>;
  latencySeconds: Record<
    'get' | 'getMany' | 'put' | 'batch' | 'scanChunk' | 'groupWrite' | 'fsync' | 'flush',
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
    /** Of the oldest write that waits for the committer. */
    queueAgeSeconds: number;
    /** What the adaptive grouping asks for at present. */
    targetGroupBytes: number;
    backpressureRejections: number;
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
  };
  disk: {
    tableBytes: number;
    estimatedRecords: number;
    runningCompactions: number;
    runningFlushes: number;
    pendingCompactionBytes: number;
  };
}
