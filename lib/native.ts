import addon from '#addon';
import type { PrefetchStats } from './prefetch-stats.ts';

/** What crosses to the engine when a database opens; every member is optional there. */
export interface NativeOptions {
  createIfMissing?: boolean;
  errorIfExists?: boolean;
  readOnly?: boolean;
  preset?: string;
  /** One name per level, with `dictionaryBytes`. */
  compression?: string[];
  dictionaryBytes?: number;
  shards?: number;
  hotCache?: number;
  blockCache?: number;
  writeBuffer?: number;
  prefetchBytes?: number;
  prefetchSequence?: boolean;
  readThreads?: number;
  backgroundThreads?: number;
  maintenanceThreads?: number;
  hardInFlightBytes?: number;
  minGroupBytes?: number;
  maxGroupBytes?: number;
  commitWindowNanos?: number;
  withoutLog?: boolean;
  hotAgeMs?: number;
  freezeAutomatic?: boolean;
  thawOnAccess?: boolean;
  autoSplitMaxBytes?: number;
  autoSplitMinBytes?: number;
  warmAgeMs?: number;
  coldAgeMs?: number;
  changes?: false | { bytes?: number; ms?: number };
  tiers?: Record<string, object | null>;
  slowOperations?: number;
  slowKeyPrefixBytes?: number;
  tickers?: boolean;
}

/** Index of uint32 pairs (arena << 16 | offset, length), then the arenas. A length of 2^32 - 1 means absent. */
export type NativeResults = Buffer[] & {
  /** If some keys failed; their length is 2^32 - 2. */
  failure?: [code: number, message: string];
};

/** Block, records, offset of the keys, offset of the index of uint32 pairs (key length, value length), flags. */
export type NativeChunk = [block: Buffer, count: number, keysOffset: number, indexOffset: number, flags: number];

export const CHUNK_LAST = 1;
export const CHUNK_ASCII_KEYS = 2;

/** Results of `lookup` below zero. At or under `NEEDS_ROOM`: -(length needed) + NEEDS_ROOM. */
export const LOOKUP_ABSENT = -1;
export const LOOKUP_MISS = -2;
export const LOOKUP_NEEDS_ROOM = -16;

export const SUBMIT_ATOMIC = 1;
export const SUBMIT_FSYNC = 2;

export const READ_ASK_CACHE = 1;
export const READ_PRESENCE_ONLY = 2;

export const CURSOR_REVERSE = 1;
export const CURSOR_KEYS = 2;
export const CURSOR_VALUES = 4;
export const CURSOR_FILL_CACHE = 8;

export interface NativeSnapshot {
  close(): void;
}

export interface NativeTransaction {
  snapshot(): NativeSnapshot | undefined;
  end(): void;
}

export interface NativeCursor {
  take(ticket: number, wanted: number): NativeChunk | undefined;
  seek(target: Uint8Array, unread: number): void;
  close(ticket: number): void;
}

export interface NativeBackup {
  id: number;
  /** Unix milliseconds. */
  created: number;
  bytes: number;
  files: number;
  warning?: string;
}

/** What `shards` gives for each shard. Times are Unix milliseconds, 0 for none; `temperature` is a number from 0, hot. */
export interface NativeShard {
  id: number;
  generation: number;
  slots: [first: number, last: number][];
  hotKeys: number;
  hotTableBytes: number;
  /** Hotter first. */
  colder: { tier: 'warm' | 'cold'; keys: number; tableBytes: number; memoryBytes: number }[];
  frozen: boolean;
  archiveKeys: number;
  archiveBytes: number;
  hotMemtableBytes: number;
  created: number;
  lastAccess: number;
  reads: number;
  writes: number;
  readsPerSecond: number;
  writesPerSecond: number;
  temperature: number;
}

/** What the engine says of one tier. */
export interface NativeTierFigures {
  tier: 'hot' | 'warm' | 'cold';
  path: string;
  fileBytes: number;
  memoryBytes: number;
  records: number;
  rawBytes: number;
  dataBytes: number;
  writtenBytes: number;
  capacityBytes: number;
  markers: number;
  copies: number;
  found: number;
  movedInRecords: number;
  movedInBytes: number;
  movedOutRecords: number;
  movedOutBytes: number;
  costPerTB: number;
}

/** What one cause has moved, in the order of `MoveCause` in the engine. */
export interface NativeMoves {
  records: number;
  bytes: number;
  markers: number;
  copies: number;
  tables: number;
  lastMs: number;
}

/** What a tier did since the database was created. */
export type NativeTierTotals = Pick<
  NativeTierFigures,
  'found' | 'writtenBytes' | 'movedInRecords' | 'movedInBytes' | 'movedOutRecords' | 'movedOutBytes'
>;

export interface NativeLifetime extends Record<'hot' | 'warm' | 'cold', NativeTierTotals> {
  fromMemory: number;
  absent: number;
  userBytes: number;
}

/** All answer through the dispatcher. */
export interface NativeTiers {
  step(ticket: number, from: number, to: number, shard: number, start: Uint8Array, keys: Uint8Array | undefined): void;
  page(ticket: number, tier: number, shard: number, start: Uint8Array): void;
  report(ticket: number): {
    tiers: NativeTierFigures[];
    fromMemory: number;
    absent: number;
    promoted: number;
    moves: NativeMoves[];
    lifetime: NativeLifetime;
    userBytes: number;
    trouble: string;
    shards: number;
    prefetch?: PrefetchStats;
  };
}

/** One split or merge. */
export interface NativeReshard {
  /** With `other` a merge, else a split; answers with the ids of the shards that hold the data now. */
  run(ticket: number, id: number, other: number | undefined, at: number | undefined): void;
  progress(): [phase: number, copiedBytes: number, copiedRecords: number, totalBytes: number, caughtUp: number];
  pause(on: boolean): void;
  /** @returns whether the move was still waiting for a thread, and will never begin */
  abort(): boolean;
}

export interface NativeDatabase {
  /** False: created with durability 'none'. */
  readonly hasLog: boolean;
  lookup(keyBytes: number, slabOffset: number, cacheOnly: boolean): number;
  lookupLarge(keyBytes: number, target: Uint8Array, snapshot?: NativeSnapshot): number;
  submit(
    ticket: number,
    packed: Uint8Array,
    size: number,
    operations: number,
    flags: number,
    appliedTicket: number,
    messages?: readonly unknown[],
  ): number;
  submitChecked(
    ticket: number,
    packed: Uint8Array,
    size: number,
    operations: number,
    flags: number,
    transaction: NativeTransaction,
    readKeys: Uint8Array,
    readSize: number,
    readCount: number,
    readRanges: (Uint8Array | undefined)[],
    messages?: readonly unknown[],
  ): number;
  beginTransaction(ticket: number): void;
  resume(ticket: number): void;
  getMany(
    ticket: number,
    packed: Uint8Array,
    size: number,
    count: number,
    flags: number,
    snapshot: NativeSnapshot | undefined,
  ): NativeResults | undefined;
  snapshot(): NativeSnapshot | undefined;
  cursor(
    lower: Uint8Array | undefined,
    upper: Uint8Array | undefined,
    flags: number,
    limit: number,
    snapshot: NativeSnapshot | undefined,
    firstSlot?: number,
    lastSlot?: number,
  ): NativeCursor | undefined;
  shards(ticket: number): void;
  snapshotShards(ticket: number, ids: readonly number[], dir: string, job: NativeShardJob): void;
  /** `as`: the shard to replace, or -1 for the one that owns the same slots. */
  restoreShards(ticket: number, dir: string, as: number, job: NativeShardJob): void;
  freezeShard(ticket: number, id: number, job: NativeShardJob): void;
  thawShard(ticket: number, id: number, job: NativeShardJob): void;
  backup(ticket: number, dir: string, keep: number, job: NativeShardJob): void;
  verify(ticket: number, job: NativeShardJob): void;
  flush(ticket: number): void;
  compact(ticket: number, start: Uint8Array | undefined, end: Uint8Array | undefined): void;
  approximateSize(ticket: number, start: Uint8Array | undefined, end: Uint8Array | undefined): void;
  stats(bounds?: readonly number[]): unknown;
  /** Undefined: none are traced. Null: see `takeError`. */
  slowOperations(clear: boolean): unknown[] | null | undefined;
  rocksdb(ticket: number, tier: number, property: string | undefined): void;
  tiers(): NativeTiers | undefined;
  reshard(): NativeReshard | undefined;
  close(ticket: number): void;
}

/** What progress of a long task is asked of: of shards, backups and checks. */
export type NativeShardJob = { readonly job: unique symbol };

export interface NativeShardSnapshot {
  shards: number[];
  files: number;
  linked: number;
  bytes: number;
  keys: number;
}

interface NativeAddon {
  readonly codes: readonly string[];
  open(ticket: number, location: string, options: NativeOptions): void;
  destroy(ticket: number, location: string): void;
  backups(ticket: number, dir: string, verify: boolean): void;
  restore(
    ticket: number,
    dir: string,
    id: number,
    location: string,
    warm: string,
    cold: string,
    job: NativeShardJob,
  ): void;
  shardJob(): NativeShardJob;
  shardJobProgress(job: NativeShardJob): [bytes: number, total: number];
  /** @returns whether the task was still waiting for a thread, and will never begin */
  shardJobAbort(job: NativeShardJob): boolean;
  slotOf(key: Uint8Array): number;
  probeDisk(ticket: number, folder: string, fileBytes: number, seconds: number, queueDepths: readonly number[]): void;
  dropFileCache(ticket: number, folder: string): void;
  setDispatcher(dispatcher: (triples: unknown[]) => void): void;
  pinRequest(buffer: Uint8Array): void;
  pinSlab(buffer: Uint8Array): void;
  takeError(): [code: number, message: string];
}

export const native = addon as NativeAddon;
