/** What the watching process tells the one that works on the database, as its first message. */
export interface Assignment {
  location: string;
  /** The file with what the database must hold (state.ts). */
  state: string;
  /** Options of `open`, as JSON. */
  options: Record<string, unknown>;
  seed: number;
  /** Check and end, without any load. */
  checkOnly: boolean;
}

/** Sent later by the watching process: finish what was begun, check, close, end. */
export interface Stop {
  stop: true;
}

/** What the working process did since it started. */
export interface Counts {
  /** Records written or deleted, and acknowledged. */
  written: number;
  /** Records read and checked. */
  read: number;
  /** Calls of each kind. */
  calls: Record<string, number>;
  /** Bytes of memory that the process has. */
  memory: number;
  /** Files that it has open; undefined where the system does not tell. */
  files: number | undefined;
}

/** What the working process reports. */
export type Report =
  | { kind: 'checked'; records: number; seconds: number }
  | { kind: 'counts'; counts: Counts }
  | { kind: 'problem'; text: string }
  | { kind: 'closed' };
