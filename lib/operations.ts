import type { Condition } from './conditions.ts';
import type { WriteOptions } from './durability.ts';

/** Options of a single put. */
export interface PutOptions extends WriteOptions {
  /** Milliseconds after which the record reads as missing, at least 1. Default: never. */
  ttl?: number;
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
