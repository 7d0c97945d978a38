import type { TierName } from './tier-options.ts';

/** What checking a database found. */
export interface VerifyReport {
  tables: number;
  tableBytes: number;
  /** Stored records of all tiers, those that have expired and markers of deletes included. */
  records: number;
  /** How many of `records` are not what counts, since a hotter tier has the key too. */
  shadowed: number;
  /** How many problems there are; 0 for a sound database. */
  problemCount: number;
  /** The first hundred of them. */
  problems: string[];
  /** What was met, by shard and then by tier. */
  counts: VerifyCount[];
}

/** What checking a database met of one shard in one tier. */
export interface VerifyCount {
  shard: number;
  tier: TierName;
  /** The shard is frozen: this is in its archive. */
  frozen: boolean;
  /** Those of the next three included. */
  records: number;
  /** Of deletes that colder tiers have yet to carry out. */
  markers: number;
  expired: number;
  /** Promoted records, which a colder tier still has. */
  cleanCopies: number;
  /** Of keys and values, without compression. */
  bytes: number;
  /**
   * What the shard's metadata says: RocksDB's estimate. A record that was overwritten counts again until compaction has
   * merged the two. Of an archive it is exact, and of all its tiers together.
   */
  estimatedRecords: number;
  /** Of its files; exact. */
  tableBytes: number;
}
