import { type AlertOptions, alertBounds } from './alerts/options.ts';
import { type ChangesOptions, checkChanges } from './change-options.ts';
import { boolean, checkObject, integer } from './checks.ts';
import { type Compression, checkCompression } from './compression.ts';
import type { Durability } from './durability.ts';
import type { KeyEncoding, ValueEncoding } from './encoding.ts';
import { invalid } from './error.ts';
import type { SlowOptions } from './metrics/slow.ts';
import type { NativeOptions } from './native.ts';
import { parseSize, type Size } from './size.ts';
import { checkTiers, type TiersOptions } from './tier-options.ts';

/** Named starting points; single options override them. */
export type Preset = 'balanced' | 'production' | 'bulk-load' | 'low-memory';

/** Upper bounds of what the engine keeps in memory. */
export interface MemoryOptions {
  /** Records in front of the store; 0 turns the hot cache off. Default 64 MB. */
  hotCache?: Size;
  /** Blocks, indexes and filters of the store. Default 128 MB. */
  blockCache?: Size;
  /** Writes not yet in tables. Default 128 MB, at least 1 MB. */
  writeBuffer?: Size;
  /** What `prefetch` has learned, where it is on: some 7,700 keys per MB. Default 16 MB, at least 1 MB. */
  prefetch?: Size;
}

/** How many threads the engine starts. */
export interface ThreadOptions {
  /** Point reads and iterators. Default: one per processor, at most 8. */
  read?: number;
  /** Flushes and compactions. Default: one per processor, at least 2 and at most 8. */
  background?: number;
  /** What nobody waits for, run at low priority: `compact()` at present. Default 1, at most 64. */
  maintenance?: number;
}

/** How the engine coalesces writes that arrive together. */
export interface GroupOptions {
  /** The smallest target of a group, in bytes. Default 64 KB. */
  floor?: Size;
  /** The largest target of a group, in bytes; one larger batch goes alone. Default 4 MB. */
  ceiling?: Size;
  /** Milliseconds that a group may wait for company. Default 0: what waits is written at once. */
  window?: number;
}

/**
 * How long ago a shard may last have been used to be called so, in milliseconds; beyond the last it is frozen. For
 * `db.shards`.
 */
export interface TemperatureOptions {
  /** Default: a day. */
  hot?: number;
  /** Default: a week. */
  warm?: number;
  /** Default: thirty days. */
  cold?: number;
}

/** When shards are split and merged without being asked; see `db.shards.split`. */
export interface AutoSplitOptions {
  /** A shard that takes more, over all tiers, is split, unless it owns a single slot. At least 1 MiB. */
  maxBytes: Size;
  /**
   * Neighbours that both take less are merged, if together they take at most half of `maxBytes`. At most a quarter of
   * `maxBytes`. Default 0: none are.
   */
  minBytes?: Size;
}

/** Shards in the archive: see `db.shards.freeze`. */
export interface FreezeOptions {
  /** Freezes shards whose temperature is frozen, see `temperature`, unless they are empty. Default `false`. */
  automatic?: boolean;
  /**
   * Reads of records thaw the shard and are answered then. Default `false`: they are refused with ERR_FROZEN. Writes always
   * thaw, and so do transactions and conditional writes; `getSync` and iterators are always refused.
   */
  thawOnAccess?: boolean;
}

/** Options of `open`. Unknown names are refused. */
export interface OpenOptions {
  /** Create the database if there is none. Default `true`. */
  createIfMissing?: boolean;
  /** Refuse to open a database that exists. Default `false`. */
  errorIfExists?: boolean;
  /** Open without writing anything; several programs may do so at once. Default `false`. */
  readOnly?: boolean;
  /** Column families that a new database is divided into, 1 to 256. Default 4. Ignored for one that exists. */
  shards?: number;
  /**
   * What an acknowledged write has survived: `'wal'`, the default, a crash of the process; `'fsync'` a loss of power.
   * `'none'` is fixed when a database is created: it has no log, and promises only what was flushed or closed. Without
   * this option such a database is opened as it was created.
   */
  durability?: Durability;
  /** How writes are grouped before they are written together. Default: what waits is written at once. */
  group?: GroupOptions;
  /** Writes that wait for the engine; above this they are refused with ERR_BACKPRESSURE. Default 512 MB. */
  maxInFlight?: Size;
  /** Sets `memory` and `compression` as a whole. Default `'balanced'`. */
  preset?: Preset;
  /**
   * How tables are compressed that are written from now on; older ones keep theirs until they are merged, or rewritten by
   * `compact()`. Default `['none', 'none', 'lz4']`.
   */
  compression?: Compression;
  /**
   * Path of an options file, such as `thermocline tune` writes: JSON with the names of these options. What is given to
   * `open` wins over the file. Default: none.
   */
  config?: string;
  /** Upper bounds of what the engine keeps in memory. Default: the preset's, see there. */
  memory?: MemoryOptions;
  /**
   * Keeps the log for `db.changes()`: `true` 1 GB of it, or `{ bytes, ms }`. Costs disk, and what leaving out overwritten
   * writes and sorting batches would save. Default: as the database was last opened; a new one keeps none.
   */
  changes?: boolean | ChangesOptions;
  /** Warm and cold stores below the hot one. Default: those that the database has; a new one has none. */
  tiers?: TiersOptions;
  /**
   * `'sequence'` learns which keys are read after which, and reads likely next ones into the hot cache ahead of their
   * readers; see `Stats.prefetch` for whether it pays. It rests while it does not. Takes `memory.prefetch`, needs a hot
   * cache, and knows keys of up to 78 bytes. Default `false`.
   */
  prefetch?: 'sequence' | false;
  /** How many threads the engine starts. Default: by the number of processors, see there. */
  threads?: ThreadOptions;
  /** When shards count as hot, warm and cold. Default: a day, a week, thirty days. */
  temperature?: TemperatureOptions;
  /** When `'alert'` is emitted. Default: the bounds named there. */
  alerts?: AlertOptions;
  /** Keep the slowest operations for `db.slowOperations()`. Default: off. */
  slowOperations?: SlowOptions;
  /**
   * Have RocksDB count what it does, for `db.tickers()`. Default `false`: every read and write would pay a little for it.
   */
  tickers?: boolean;
  /** When shards are frozen, and who thaws them. Default: `freeze()` and, of reads, `thaw()` alone. */
  freeze?: FreezeOptions;
  /** Splits shards that grow large and merges those that become small. Default: neither. */
  autoSplit?: AutoSplitOptions;
  /** Default `'utf8'`. */
  keyEncoding?: KeyEncoding;
  /** Default `'buffer'`. */
  valueEncoding?: ValueEncoding;
}

/** @internal */
export const OPEN_NAMES: ReadonlySet<string> = new Set([
  'createIfMissing',
  'errorIfExists',
  'readOnly',
  'shards',
  'durability',
  'group',
  'maxInFlight',
  'preset',
  'compression',
  'config',
  'memory',
  'changes',
  'tiers',
  'prefetch',
  'threads',
  'temperature',
  'alerts',
  'slowOperations',
  'tickers',
  'autoSplit',
  'freeze',
  'keyEncoding',
  'valueEncoding',
]);
const PRESETS = ['balanced', 'production', 'bulk-load', 'low-memory'];

function size(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : parseSize(value, name);
}

/** @internal */
export function checkDurability(value: unknown): Durability {
  if (value === 'none' || value === 'wal' || value === 'fsync') return value;
  throw invalid("durability must be 'none', 'wal' or 'fsync'");
}

function autoSplit(value: unknown): Pick<NativeOptions, 'autoSplitMaxBytes' | 'autoSplitMinBytes'> {
  const given = checkObject(value, new Set(['maxBytes', 'minBytes']), 'of autoSplit');
  if (given === undefined) return {};
  const max = size(given.maxBytes, 'autoSplit.maxBytes');
  const min = size(given.minBytes, 'autoSplit.minBytes') ?? 0;
  if (max === undefined) throw invalid('autoSplit needs maxBytes');
  if (max < 2 ** 20) throw invalid('autoSplit.maxBytes must be at least 1 MiB');
  if (min > max / 4) throw invalid('autoSplit.minBytes must be at most a quarter of maxBytes');
  return { autoSplitMaxBytes: max, autoSplitMinBytes: min };
}

function freeze(value: unknown): Record<string, unknown> {
  const given = checkObject(value, new Set(['automatic', 'thawOnAccess']), 'of freeze') ?? {};
  return {
    freezeAutomatic: boolean(given.automatic, 'freeze.automatic'),
    thawOnAccess: boolean(given.thawOnAccess, 'freeze.thawOnAccess'),
  };
}

/** Checks every option and gives what the engine is told. Undefined members mean the engine's default. */
export function nativeOptions(options: unknown): NativeOptions {
  const given = checkObject(options, OPEN_NAMES, 'of open') ?? {};
  const memory =
    checkObject(given.memory, new Set(['hotCache', 'blockCache', 'writeBuffer', 'prefetch']), 'of memory') ?? {};
  const { prefetch } = given;
  if (prefetch !== undefined && prefetch !== false && prefetch !== 'sequence') {
    throw invalid("prefetch must be 'sequence' or false");
  }
  const threads = checkObject(given.threads, new Set(['read', 'background', 'maintenance']), 'of threads') ?? {};
  const group = checkObject(given.group, new Set(['floor', 'ceiling', 'window']), 'of group') ?? {};
  const temperature = checkObject(given.temperature, new Set(['hot', 'warm', 'cold']), 'of temperature') ?? {};
  const slow = checkObject(given.slowOperations, new Set(['keep', 'keyPrefix']), 'of slowOperations');
  const slowKept = integer(slow?.keep, 'slowOperations.keep', 1, 10_000) ?? 32;
  alertBounds(given.alerts);
  const { window } = group;
  if (window !== undefined && !(typeof window === 'number' && window >= 0 && window <= 1000)) {
    throw invalid('group.window must be a number of milliseconds from 0 to 1000');
  }
  if (given.preset !== undefined && !PRESETS.includes(given.preset as string)) {
    throw invalid(`preset must be one of ${PRESETS.join(', ')}`);
  }
  const compression = checkCompression(given.compression, 'compression');
  const checked: Record<string, unknown> = {
    createIfMissing: boolean(given.createIfMissing, 'createIfMissing'),
    errorIfExists: boolean(given.errorIfExists, 'errorIfExists'),
    readOnly: boolean(given.readOnly, 'readOnly'),
    shards: integer(given.shards, 'shards', 1, 256),
    preset: given.preset,
    compression: compression?.levels,
    dictionaryBytes: compression?.dictionaryBytes,
    hotCache: size(memory.hotCache, 'memory.hotCache'),
    blockCache: size(memory.blockCache, 'memory.blockCache'),
    writeBuffer: size(memory.writeBuffer, 'memory.writeBuffer'),
    prefetchBytes: size(memory.prefetch, 'memory.prefetch'),
    prefetchSequence: prefetch === 'sequence',
    readThreads: integer(threads.read, 'threads.read', 1, 256),
    backgroundThreads: integer(threads.background, 'threads.background', 1, 256),
    maintenanceThreads: integer(threads.maintenance, 'threads.maintenance', 1, 64),
    hardInFlightBytes: size(given.maxInFlight, 'maxInFlight'),
    minGroupBytes: size(group.floor, 'group.floor'),
    maxGroupBytes: size(group.ceiling, 'group.ceiling'),
    commitWindowNanos: window === undefined ? undefined : Math.round(window * 1e6),
    hotAgeMs: integer(temperature.hot, 'temperature.hot', 0, Number.MAX_SAFE_INTEGER),
    warmAgeMs: integer(temperature.warm, 'temperature.warm', 0, Number.MAX_SAFE_INTEGER),
    coldAgeMs: integer(temperature.cold, 'temperature.cold', 0, Number.MAX_SAFE_INTEGER),
    changes: checkChanges(given.changes),
    ...autoSplit(given.autoSplit),
    ...freeze(given.freeze),
    tiers: checkTiers(given.tiers),
    slowOperations: slow === undefined ? undefined : slowKept,
    slowKeyPrefixBytes: integer(slow?.keyPrefix, 'slowOperations.keyPrefix', 0, 256),
    tickers: boolean(given.tickers, 'tickers'),
    withoutLog: given.durability === undefined ? undefined : checkDurability(given.durability) === 'none',
  };
  return checked as NativeOptions;
}
