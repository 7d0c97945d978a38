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
