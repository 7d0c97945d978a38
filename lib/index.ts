export {
  type BatchDelete,
  type BatchOperation,
  type BatchPut,
  Database,
  type DatabaseEvents,
  type IteratorOptions,
  type PutOptions,
  type ReadOptions,
  type Status,
  type WriteOptions,
} from './database.ts';
export type { Codec, KeyEncoding, ValueEncoding } from './encoding.ts';
export { type ErrorCode, ThermoclineError } from './error.ts';
export { DatabaseIterator } from './iterator.ts';
export { destroy, open } from './open.ts';
export type { MemoryOptions, OpenOptions, Preset, ThreadOptions } from './options.ts';
export type { KeyRange } from './range.ts';
export type { Size } from './size.ts';
export { Snapshot } from './snapshot.ts';
export type { LatencySeconds, OperationTotals, Stats } from './stats.ts';
