import type {
  AbstractBatchOptions,
  AbstractChainedBatchDelOptions,
  AbstractChainedBatchPutOptions,
  AbstractChainedBatchWriteOptions,
  AbstractClearOptions,
  AbstractDatabaseOptions,
  AbstractDelOptions,
  AbstractIteratorOptions,
  AbstractKeyIteratorOptions,
  AbstractOpenOptions,
  AbstractPutOptions,
  AbstractValueIteratorOptions,
  Transcoder,
} from 'abstract-level';
import type { WriteOptions } from '../durability.ts';
import { OPEN_NAMES, type OpenOptions } from '../options.ts';

/** Options of `ThermoclineLevel.open`: those of Thermocline's own `open`, and the names that classic-level gave some. */
export interface LevelOpenOptions
  extends AbstractOpenOptions,
    Omit<OpenOptions, 'keyEncoding' | 'valueEncoding' | 'compression'> {
  /** As Thermocline's option, or as in classic-level: `true` for the default, `false` for none. */
  compression?: OpenOptions['compression'] | boolean;
  /** classic-level's name of `memory.blockCache`, in bytes. Default 128 MB. */
  cacheSize?: number;
  /** classic-level's name of `memory.writeBuffer`, in bytes. Default 128 MB, at least 1 MB. */
  writeBufferSize?: number;
  /** Taken from programs written for classic-level, and without effect: worker threads always share an engine. */
  multithreading?: boolean;
  /** Taken from programs written for classic-level, and without effect. */
  blockSize?: number;
  /** Taken from programs written for classic-level, and without effect. */
  maxOpenFiles?: number;
  /** Taken from programs written for classic-level, and without effect. */
  blockRestartInterval?: number;
  /** Taken from programs written for classic-level, and without effect. */
  maxFileSize?: number;
}

/** Options of the constructor of `ThermoclineLevel`. */
export interface LevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, Omit<LevelOpenOptions, 'passive'> {}

/** Options of every write. */
export interface LevelWriteOptions extends WriteOptions {
  /** classic-level's name of `durability: 'fsync'`. Default `false`: as the database was opened. */
  sync?: boolean;
}

/** Options of `put`. */
export interface LevelPutOptions<K, V> extends AbstractPutOptions<K, V>, LevelWriteOptions {
  /** Milliseconds after which the entry reads as missing, at least 1. Default: never. */
  ttl?: number;
}

/** Options of `del`. */
export interface LevelDelOptions<K> extends AbstractDelOptions<K>, LevelWriteOptions {}

/** Options of `batch`. */
export interface LevelBatchOptions<K, V> extends AbstractBatchOptions<K, V>, LevelWriteOptions {
  /** For every put that has none of its own: milliseconds, as in `put`. */
  ttl?: number;
}

/** Options of a chained batch's `put`. */
export interface LevelChainedPutOptions<TDatabase, K, V> extends AbstractChainedBatchPutOptions<TDatabase, K, V> {
  /** Milliseconds, as in `put`. */
  ttl?: number;
}

/** Options of a chained batch's `del`. */
export type LevelChainedDelOptions<TDatabase, K> = AbstractChainedBatchDelOptions<TDatabase, K>;

/** Options of a chained batch's `write`. */
export interface LevelChainedWriteOptions extends AbstractChainedBatchWriteOptions, LevelWriteOptions {}

/** What iterators take beyond abstract-level. */
export interface LevelReadAheadOptions {
  /** Keep what was read in the block cache. Default: unless the whole database is walked. */
  fillCache?: boolean;
}

/** Options of `iterator`. */
export interface LevelIteratorOptions<K, V> extends AbstractIteratorOptions<K, V>, LevelReadAheadOptions {}

/** Options of `keys`. */
export interface LevelKeyIteratorOptions<K> extends AbstractKeyIteratorOptions<K>, LevelReadAheadOptions {}

/** Options of `values`. */
export interface LevelValueIteratorOptions<K, V> extends AbstractValueIteratorOptions<K, V>, LevelReadAheadOptions {}

/** Options of `clear`. */
export type LevelClearOptions<K> = AbstractClearOptions<K>;

/** Options of `approximateSize` and `compactRange`. */
export interface LevelStartEndOptions<K> {
  /** How `start` and `end` are encoded. Default: the database's own. */
  keyEncoding?: string | Transcoder.PartialEncoder<K>;
}

/**
 * @internal The options of Thermocline's `open`. Names that it does not know are left out and not refused: Level lets
 * programs pass options of their own, to their hooks.
 */
export function openOptionsOf(options: Record<string, unknown>): Record<string, unknown> {
  const { cacheSize, writeBufferSize, compression, ...rest } = options;
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (OPEN_NAMES.has(name) && name !== 'keyEncoding' && name !== 'valueEncoding') own[name] = value;
  }
  if (compression === false) own.compression = 'none';
  else if (compression !== true && compression !== undefined) own.compression = compression;
  const memory: Record<string, unknown> = {};
  if (cacheSize !== undefined) memory.blockCache = cacheSize;
  if (writeBufferSize !== undefined) memory.writeBuffer = writeBufferSize;
  if (Object.keys(memory).length > 0) own.memory = { ...memory, ...(own.memory as object | undefined) };
  return own;
}

/** @internal The options of one of Thermocline's writes; undefined if there are none, which is the fast way. */
export function writeOptionsOf(options: LevelWriteOptions): WriteOptions | undefined {
  const { sync, durability, signal } = options;
  if (sync !== true && durability === undefined && signal === undefined) return undefined;
  const own: WriteOptions = {};
  if (durability !== undefined) own.durability = durability;
  else if (sync === true) own.durability = 'fsync';
  if (signal !== undefined) own.signal = signal;
  return own;
}
