import type { Condition } from './conditions.ts';
import type { WriteOptions } from './durability.ts';
import type { KeyRange } from './range.ts';
import type { Snapshot } from './snapshot.ts';
import type { OutgoingMessage } from './topics/outgoing.ts';

/** Options of a single put. */
export interface PutOptions extends WriteOptions {
  /** Milliseconds after which the record reads as missing, at least 1. Default: never. */
  ttl?: number;
}

/** Options of `batch`. */
export interface BatchWriteOptions extends WriteOptions {
  /**
   * Messages for topics, which appear there if the batch is written, after any crash: all or nothing. They appear soon
   * after the batch, in the order of the commits.
   */
  // biome-ignore lint/suspicious/noExplicitAny: messages of topics of any kind stand in one list
  messages?: readonly OutgoingMessage<any, any>[];
}

/** Options of `transaction`. */
export interface TransactionOptions extends WriteOptions {
  /** How often to run the function again after a conflict, with growing pauses. Default 16. */
  retries?: number;
}

export interface BatchPut<K, V> {
  type: 'put';
  key: K;
  value: V;
  /** Milliseconds, as in {@link PutOptions.ttl}. */
  ttl?: number;
  /** The whole batch is written only if this holds; else ERR_CONDITION. */
  if?: Condition<V>;
}

export interface BatchDelete<K, V = unknown> {
  type: 'del';
  key: K;
  /** The whole batch is written only if this holds; else ERR_CONDITION. */
  if?: Condition<V>;
}

export type BatchOperation<K, V> = BatchPut<K, V> | BatchDelete<K, V>;

/** Options of every read. */
export interface ReadOptions<K, V> {
  /** Read as of this snapshot. Default: as of now. */
  snapshot?: Snapshot<K, V>;
}

/** Options of iterators: a range, and how to walk it. */
export interface IteratorOptions<K, V> extends KeyRange<K>, ReadOptions<K, V> {
  /** From the last key to the first. Default `false`. */
  reverse?: boolean;
  /** At most this many records; `-1`, the default, for all. */
  limit?: number;
  /** Keep what was read in the block cache. Default: unless the whole database is walked. */
  fillCache?: boolean;
}
