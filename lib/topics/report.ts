/** Something that `check` complains of. */
export interface TopicProblem {
  /** The file. */
  path: string;
  /** Byte in the file. */
  position: number;
  /** The offset that should begin there; 0 for indexes. */
  offset: number;
  what: string;
}

/** What the topics of a database have done since it was opened, by all who share it. */
export interface TopicCounters {
  appendedMessages: number;
  appendedBatches: number;
  /** Before compression. */
  appendedBytes: number;
  /** As written, headers included. */
  storedBytes: number;
  /** Of idempotent producers, recognised and not written again. */
  repeatedBatches: number;
  /** System calls that wrote batches. */
  groupWrites: number;
  fsyncs: number;
  readMessages: number;
  readBytes: number;
  rolledSegments: number;
  deletedSegments: number;
  /** Of an offset or a time. */
  lookups: number;
  /** Index entries that lookups compared. */
  indexProbes: number;
  /** Bytes of log that lookups walked over. */
  walkedBytes: number;
  /** Missing or damaged, made again from the log. */
  rebuiltIndexes: number;
  /** Commits' messages, by partition, that are not in their topics yet. */
  waitingCommits: number;
}

/** What `check` found. */
export interface TopicReport {
  partitions: number;
  segments: number;
  batches: number;
  messages: number;
  bytes: number;
  /** That earlier repairs could not keep. */
  lostMessages: number;
  /** Empty: everything is whole. */
  problems: TopicProblem[];
}

/** What `repair` did. */
export interface TopicRepair {
  rewrittenSegments: number;
  /** That stood where damage was. */
  lostMessages: number;
  /** Of damaged ends, of which nobody knows how many messages they held. */
  cutBytes: number;
  deletedIndexes: number;
}
