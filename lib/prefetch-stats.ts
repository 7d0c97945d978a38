/**
 * What predictive prefetch came to since the database was opened; see `OpenOptions.prefetch`. The counts of records need
 * not be of one moment.
 */
export interface PrefetchStats {
  /** False while it rests because it did not pay; it tries again by itself. */
  active: boolean;
  /** Reads that the hot cache would not have answered by itself, also those while it rests. */
  observedReads: number;
  /** Records read into the hot cache before anybody asked. */
  prefetchedRecords: number;
  /** Of them, those that answered a read. */
  usedRecords: number;
  /** Of those that were tried, those whose reader, or a writer, was as fast. */
  lateRecords: number;
  /** Of `prefetchedRecords`, those that left the cache before anybody asked. The rest still waits there. */
  unusedRecords: number;
  /** `usedRecords` over all whose end is known: used, late and unused; 0 if there are none. */
  precision: number;
  /** `usedRecords` over `observedReads`; 0 if there were none. */
  hitShare: number;
  /** Time that reading `prefetchedRecords` took, added up. */
  fetchSeconds: number;
  /** Predictions that were asked for before reading them had begun, and so were not read twice. */
  calledOff: number;
  /** Predictions that were given up because too many were waiting. */
  dropped: number;
  /** How often it came to rest. */
  timesRested: number;
  /** Of what has been learned, fixed: `memory.prefetch`. */
  memoryBytes: number;
}
