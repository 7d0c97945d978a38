/** A record was written. */
export interface ChangePut<K, V> {
  type: 'put';
  /** Id of the shard that the record was written to. */
  shard: number;
  key: K;
  value: V;
  /** When the record ends to exist, Unix milliseconds; no other change says so. Absent: never. */
  expires?: number;
}

/** A record was deleted; it need not have existed. */
export interface ChangeDelete<K> {
  type: 'delete';
  shard: number;
  key: K;
}

/**
 * Every record of a range was deleted, in all shards. The bounds are bytes, since a bound need not be a key.
 */
export interface ChangeDeleteRange {
  type: 'deleteRange';
  /** Inclusive. */
  gte: Buffer;
  /**
   * Exclusive. Absent: every key from `gte` on; a range that was given without an end is often told so, or else with one
   * behind the last key there was.
   */
  lt?: Buffer;
}

export type ChangeOperation<K, V> = ChangePut<K, V> | ChangeDelete<K> | ChangeDeleteRange;

/** One commit: what a `put`, a `batch`, a transaction, ... has written, whole and in its order. */
export interface Change<K = string, V = Buffer> {
  /** Ascends from commit to commit, with gaps. `db.changes({ since })` goes on behind it. */
  sequence: number;
  /** The commit's number; ascends too. */
  id: number;
  operations: ChangeOperation<K, V>[];
}
