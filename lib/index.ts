export type { Alert, AlertName } from './alerts/alert.ts';
export type { AlertOptions } from './alerts/options.ts';
export {
  type BackupInfo,
  type BackupOptions,
  backups,
  type RestoreOptions,
  restore,
  verifyBackups,
} from './backup.ts';
export { Batch, type BatchOptions, type Savepoint } from './batch.ts';
export { MAX_KEY_BYTES, MAX_VALUE_BYTES } from './boundary.ts';
export type { Change, ChangeDelete, ChangeDeleteRange, ChangeOperation, ChangePut } from './change.ts';
export { changeCodec } from './change-codec.ts';
export type { ChangesOptions } from './change-options.ts';
export { ChangeFeed, type ChangeFeedOptions } from './changes.ts';
export type { Compression, CompressionCodec, CompressionOptions } from './compression.ts';
export type { Condition } from './conditions.ts';
export {
  Database,
  type Status,
} from './database.ts';
export type { CommitHandle, Durability, WriteOptions } from './durability.ts';
export { type Codec, json, type KeyEncoding, type TupleEncoding, tuples, type ValueEncoding } from './encoding.ts';
export { type ErrorCode, ThermoclineError } from './error.ts';
export type { DatabaseEvents } from './events.ts';
export { DatabaseIterator } from './iterator.ts';
export type { SlowOperation, SlowOptions } from './metrics/slow.ts';
export { destroy, open } from './open.ts';
export type {
  BatchDelete,
  BatchOperation,
  BatchPut,
  BatchWriteOptions,
  IteratorOptions,
  PutOptions,
  ReadOptions,
  TransactionOptions,
} from './operations.ts';
export type {
  AutoSplitOptions,
  FreezeOptions,
  GroupOptions,
  MemoryOptions,
  OpenOptions,
  Preset,
  TemperatureOptions,
  ThreadOptions,
} from './options.ts';
export type { PrefetchStats } from './prefetch-stats.ts';
export type { KeyRange } from './range.ts';
export type { LiveServer } from './serve/live-server.ts';
export type { ServeOptions } from './serve/options.ts';
export type { ShardJobOptions, ShardProgress } from './shard-jobs.ts';
export type { MergeOptions, ShardMove, ShardMoveProgress, SplitOptions } from './shard-move.ts';
export type { ShardRestoreOptions, ShardSnapshot } from './shard-snapshots.ts';
export { type ShardInfo, Shards, type ShardTier, type Temperature } from './shards.ts';
export type { Size } from './size.ts';
export { Snapshot } from './snapshot.ts';
export type {
  LatencySeconds,
  OperationName,
  OperationTotals,
  ShardStats,
  StallCause,
  StallStats,
  Stats,
  TierStats,
  WindowStats,
  WorkClass,
  WorkStats,
} from './stats.ts';
export type { TierLifetime, TiersLifetime } from './tier-lifetime.ts';
export type { MoveCause, Moves } from './tier-moves.ts';
export type { TierName, TierOptions, TiersOptions } from './tier-options.ts';
export { type MigrateOptions, type Migration, type TierReport, Tiers, type TiersReport } from './tiers.ts';
export type { AppendOptions, MessagePosition } from './topics/appends.ts';
export { assign } from './topics/assign.ts';
export { ChangeLog } from './topics/change-log.ts';
export { type ConsumeFrom, Consumer, type ConsumerOptions } from './topics/consumer.ts';
export { type LostMessages, Message, MessageBatch, type MessageInput } from './topics/message.ts';
export type { TopicCompression, TopicEncodings, TopicSettings } from './topics/options.ts';
export type { OutgoingMessage } from './topics/outgoing.ts';
export type { TopicCounters, TopicProblem, TopicRepair, TopicReport } from './topics/report.ts';
export { type PartitionStats, Topic, type TopicReadOptions, type TopicStats } from './topics/topic.ts';
export { Topics } from './topics/topics.ts';
export { Transaction } from './transaction.ts';
export type { BoundOf, Tuple, TupleElement, TupleHead } from './tuple-types.ts';
export type { VerifyCount, VerifyReport } from './verify-report.ts';
