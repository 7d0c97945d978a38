import { type Compression, checkCompression } from './compression.ts';
import { invalid } from './error.ts';
import { parseSize, type Size } from './size.ts';

/** The tiers by name, hottest first. */
export type TierName = 'hot' | 'warm' | 'cold';

/** @internal In the order of their numbers. */
export const TIER_NAMES: readonly TierName[] = ['hot', 'warm', 'cold'];

/** @internal @throws ERR_INVALID_ARGUMENT */
export function tierNumber(value: unknown, name: string): number {
  const number = TIER_NAMES.indexOf(value as TierName);
  if (number < 0) throw invalid(`${name} must be 'hot', 'warm' or 'cold'`);
  return number;
}

/** One tier: a store of its own, on a disk of its own. */
export interface TierOptions {
  /**
   * Folder of the tier, absolute or relative to the database's. Default: `warm` or `cold` in the database's folder, or
   * where the tier was last. The hot tier always lies in the database's folder.
   */
  path?: string;
  /** What the tier may hold. Default: what its disk holds. */
  capacity?: Size;
  /**
   * As the database's `compression`. Default: hot as the database, warm `['none', 'none', 'lz4']`, cold `'zstd:10'` with
   * a dictionary of 16 KB.
   */
  compression?: Compression;
  /** Blocks, indexes and filters in memory. Default: hot `memory.blockCache`, warm 32 MB, cold 16 MB. */
  blockCache?: Size;
  /** Default: hot `memory.writeBuffer`, warm and cold 8 MB. */
  writeBuffer?: Size;
  /** Bits per key of the filters that spare reads of the disk, 1 to 32. Default 10, cold 14. */
  filterBits?: number;
  /** Bytes per second that flushes and compactions of the tier may write, 64KB at least. Default, and 0: unlimited. */
  rateLimit?: Size;
  /**
   * Hot and warm, in milliseconds: records that were neither read nor written for so long sink to the next tier, between
   * the age and one and a half times the age after their last use. The age counts from the first opening with this option,
   * which has to be given at each. Reads that the hot cache answers are sampled, one in 16: what is read but a few times
   * within the age, and always from the cache, may sink. Without effect in the lowest tier. At least 1000. Default: records
   * do not sink by age.
   */
  maxAge?: number;
  /**
   * Hot: free space of its disk that writes leave for flushes, compaction and migration. Below it writes wait for
   * migration to make room, and fail with ERR_NO_SPACE if none is made. Only in a database with colder tiers. Default: a
   * twentieth of the disk, at most 4 GiB; nothing if all colder tiers lie on the same disk.
   */
  reserve?: Size;
  /**
   * Warm and cold, for trying things out: makes the tier as slow as if it lay on a SATA SSD (100 µs, 500 MB/s) or a hard
   * disk (8 ms to seek, 150 MB/s). Not kept with the database. Default: as fast as its disk is.
   */
  simulatedDisk?: 'sata' | 'hdd';
  /** Price of a terabyte for a month, in any currency, for the report. Default 300, 100 and 20. */
  costPerTB?: number;
}

/**
 * The tiers of a database. A tier that is not named stays as it is: there, if the database has it. `null` removes one,
 * which must be empty.
 */
export interface TiersOptions {
  /** The store that takes all writes, `hot/` in the database's folder. Default: that of `memory` and `compression`. */
  hot?: TierOptions;
  /** Below the hot one; `null` removes it. Default: as the database has it. */
  warm?: TierOptions | null;
  /** The lowest; `null` removes it. Default: as the database has it. */
  cold?: TierOptions | null;
  /**
   * Whole shards sink by their temperature (see the option `temperature`, and `db.shards.list()`): the records of a warm one
   * leave hot for the next tier, those of a cold or frozen one go to the lowest. A use makes a shard hot again, and its
   * records come up as they are read. Asks for `temperature.hot` of at least 1000, a second: with less nothing would stay up.
   * Default `false`: an idle weekend would move everything where shards are used alike.
   */
  sinkIdleShards?: boolean;
}

// Bytes per second.
const MIN_RATE_LIMIT = 64 * 1024;
const MEMBERS = new Set([
  'path',
  'capacity',
  'compression',
  'blockCache',
  'writeBuffer',
  'filterBits',
  'rateLimit',
  'maxAge',
  'reserve',
  'simulatedDisk',
  'costPerTB',
]);

function number(value: unknown, name: string, least: number, most: number, whole = false): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  throw invalid(`${name} must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
}

function objectOf(value: unknown, known: ReadonlySet<string>, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${name} must be an object`);
  for (const member of Object.keys(value)) {
    if (!known.has(member)) {
      throw invalid(`unknown option '${member}' of ${name}; known are ${[...known].join(', ')}`);
    }
  }
  return value as Record<string, unknown>;
}

function tierOptions(tier: TierName, value: unknown): object | null {
  const name = `tiers.${tier}`;
  if (value === null && tier !== 'hot') return null;
  const given = objectOf(value, MEMBERS, name);
  const { path } = given;
  if (path !== undefined && (typeof path !== 'string' || path === '' || path.includes('\0'))) {
    throw invalid(`${name}.path must be the path of a folder`);
  }
  if (path !== undefined && tier === 'hot') {
    throw invalid("the hot tier lies in the database's own folder: tiers.hot takes no path");
  }
  if (tier === 'cold' && given.maxAge !== undefined) {
    throw invalid('records do not sink from the lowest tier: tiers.cold takes no maxAge');
  }
  if (tier !== 'hot' && given.reserve !== undefined) throw invalid(`tiers.hot alone takes a reserve, not ${name}`);
  if (tier === 'hot' && given.simulatedDisk !== undefined) {
    throw invalid('the warm and the cold tier alone can be simulated: tiers.hot takes no simulatedDisk');
  }
  const disk = given.simulatedDisk === undefined ? 0 : 1 + ['sata', 'hdd'].indexOf(given.simulatedDisk as string);
  if (given.simulatedDisk !== undefined && disk === 0) throw invalid(`${name}.simulatedDisk must be 'sata' or 'hdd'`);
  const size = (member: string) =>
    given[member] === undefined ? undefined : parseSize(given[member], `${name}.${member}`);
  const rateLimit = size('rateLimit');
  if (rateLimit !== undefined && rateLimit !== 0 && rateLimit < MIN_RATE_LIMIT) {
    throw invalid(`${name}.rateLimit must be at least 64KB a second: with less, closing would take too long`);
  }
  const compression = checkCompression(given.compression, `${name}.compression`);
  return {
    path,
    capacity: size('capacity'),
    compression: compression?.levels,
    dictionaryBytes: compression?.dictionaryBytes,
    blockCache: size('blockCache'),
    writeBuffer: size('writeBuffer'),
    filterBits: number(given.filterBits, `${name}.filterBits`, 1, 32),
    rateLimit,
    maxAge: number(given.maxAge, `${name}.maxAge`, 1000, Number.MAX_SAFE_INTEGER, true),
    reserve: size('reserve'),
    // As the engine counts them: 0 none, 1 sata, 2 hdd.
    simulatedDisk: disk,
    costPerTB: number(given.costPerTB, `${name}.costPerTB`, 0, 1e12),
  };
}

/** @internal Checks `tiers` and gives what the engine is told. */
export function checkTiers(value: unknown): Record<string, object | boolean | null> | undefined {
  if (value === undefined) return undefined;
  const given = objectOf(value, new Set([...TIER_NAMES, 'sinkIdleShards']), 'tiers');
  const { sinkIdleShards = false } = given;
  if (typeof sinkIdleShards !== 'boolean') throw invalid('tiers.sinkIdleShards must be true or false');
  const checked: Record<string, object | boolean | null> = { sinkIdleShards };
  for (const tier of TIER_NAMES) {
    if (given[tier] !== undefined) checked[tier] = tierOptions(tier, given[tier]);
  }
  return checked;
}
