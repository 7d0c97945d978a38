import type { NativeLifetime } from './native.ts';
import type { TierName } from './tier-options.ts';

/** What a tier did since the database was created. */
export interface TierLifetime {
  /** Reads that were answered there, and their share of all reads. */
  hits: number;
  hitShare: number;
  movedIn: { records: number; bytes: number };
  movedOut: { records: number; bytes: number };
  /** Bytes written to tables over bytes of keys and values that came in; 0 if none did. */
  writeAmplification: number;
}

/**
 * The counters of a {@link TiersReport} since the database was created, and not since it was opened. They are kept every
 * five minutes and at close; a crash loses what came after.
 */
export interface TiersLifetime {
  /** Of the tiers that the database has. */
  tiers: Partial<Record<TierName, TierLifetime>>;
  /** Reads that the hot cache answered. */
  memory: { hits: number; hitShare: number };
  /** Reads that found nothing. */
  absent: number;
  /** Bytes written to tables of all tiers over the bytes of keys and values that the program wrote; 0 if it wrote none. */
  writeAmplification: number;
}

/** @internal */
export function lifetimeOf(totals: NativeLifetime, tiers: readonly TierName[]): TiersLifetime {
  const { fromMemory, absent, userBytes } = totals;
  const over = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const all = [totals.hot, totals.warm, totals.cold];
  const reads = fromMemory + absent + all.reduce((sum, { found }) => sum + found, 0);
  const entries = tiers.map((tier): [TierName, TierLifetime] => {
    const { found, writtenBytes, movedInRecords, movedInBytes, movedOutRecords, movedOutBytes } = totals[tier];
    return [
      tier,
      {
        hits: found,
        hitShare: over(found, reads),
        movedIn: { records: movedInRecords, bytes: movedInBytes },
        movedOut: { records: movedOutRecords, bytes: movedOutBytes },
        writeAmplification: over(writtenBytes, movedInBytes + (tier === 'hot' ? userBytes : 0)),
      },
    ];
  });
  return {
    tiers: Object.fromEntries(entries),
    memory: { hits: fromMemory, hitShare: over(fromMemory, reads) },
    absent,
    writeAmplification: over(
      all.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0),
      userBytes,
    ),
  };
}
