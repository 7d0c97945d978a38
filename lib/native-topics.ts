import addon from '#addon';
import type { NativeDatabase } from './native.ts';

/** Settings as the engine has them; absent ones stay as they are. The codecs' numbers: none 0, gzip, snappy, lz4, zstd. */
export interface NativeTopicOptions {
  partitions?: number;
  codec?: number;
  level?: number;
  segmentBytes?: number;
  segmentMs?: number;
  segmentRecords?: number;
  retentionMs?: number;
  retentionBytes?: number;
}

export interface NativePartitionFigures {
  startOffset: number;
  endOffset: number;
  bytes: number;
  segments: number;
  cutBytes: number;
}

/** Block, (base offset, count, first timestamp, begin, size) of each batch, next offset, end offset, lost ranges. */
export type NativeTopicChunk = [
  block: Buffer | undefined,
  batches: Float64Array,
  nextOffset: number,
  endOffset: number,
  lost: (string | number)[],
];

/** Numbers of each part: partition, count, base offset, repeated; then the partition of each message if there are more. */
export type NativeAppendOutcome = (number | Uint32Array)[];

export interface NativeTopicConsumer {
  /** Partition and end offset, of each partition that may be read. */
  sync(): number[];
  read(
    ticket: number,
    partition: number,
    offset: number,
    timestamp: number,
    maxBytes: number,
    pastDamage: boolean,
  ): void;
  wait(ticket: number, offsets: readonly number[], pastDamage: boolean): void;
  wake(): void;
  committed(ticket: number): void;
  commit(ticket: number, offsets: readonly number[], fsync: boolean): void;
  close(): void;
}

export interface NativeTopic {
  append(
    ticket: number,
    packed: Uint8Array,
    size: number,
    count: number,
    firstTimestamp: number,
    partition: number,
    fsync: boolean,
    producer: number,
    sequence: number,
  ): number;
  consumer(group: string | undefined): NativeTopicConsumer | undefined;
  info(): Required<NativeTopicOptions> & { name: string; figures: NativePartitionFigures[] };
  configure(ticket: number, options: NativeTopicOptions): void;
  deleteBefore(ticket: number, partition: number, offset: number): void;
  lastSequence(partition: number, producer: number): number | undefined;
  send(
    ticket: number,
    partition: number,
    offset: number,
    maxBytes: number,
    descriptor: number,
    timeoutMs: number,
  ): void;
}

interface NativeTopicsAddon {
  createTopic(database: NativeDatabase, ticket: number, name: string, options: NativeTopicOptions): void;
  openTopic(database: NativeDatabase, ticket: number, name: string): void;
  listTopics(database: NativeDatabase, ticket: number): void;
  deleteTopic(database: NativeDatabase, ticket: number, name: string): void;
  keepTopics(database: NativeDatabase, ticket: number): void;
  topicMetrics(database: NativeDatabase): unknown;
  checkTopic(database: NativeDatabase, ticket: number, name: string): void;
  repairTopic(
    database: NativeDatabase,
    ticket: number,
    name: string,
    rewrite: boolean,
    codec: number,
    level: number,
  ): void;
  assign(members: string[], partitions: number[], previous: (string | number[])[]): (string | number[])[];
}

export const nativeTopics = addon as NativeTopicsAddon;
