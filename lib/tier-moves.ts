import type { NativeMoves } from './native.ts';

/**
 * Why records were moved: `migrate`, the program asked for it; `capacity`, a tier was above its high-water mark or its disk
 * had no room; `age`, the option `maxAge`; `idleShards`, the option of that name; `tidyUp`, deleted records, and copies of
 * colder records that nobody reads any more.
 */
export type MoveCause = 'migrate' | 'capacity' | 'age' | 'idleShards' | 'tidyUp';

/** What was moved for one cause since the database was created. */
export interface Moves {
  /** Written to another tier. */
  records: number;
  /** Of their keys and values. */
  bytes: number;
  /** Markers of deleted or expired records that sank, or came to their end in the lowest tier. */
  markers: number;
  /** Copies of colder records that left hot without being written again. */
  copies: number;
  /** Tables that were compacted, for the deletions in them. */
  tables: number;
  /** When something was last moved; `undefined` if nothing was. */
  last: Date | undefined;
}

/** @internal In the order of their numbers in the engine. */
const CAUSES: readonly MoveCause[] = ['migrate', 'capacity', 'age', 'idleShards', 'tidyUp'];

/** @internal */
export function movesByCause(moves: readonly NativeMoves[]): Record<MoveCause, Moves> {
  const entries = CAUSES.map((cause, i): [MoveCause, Moves] => {
    const { lastMs, ...counts } = moves[i] as NativeMoves;
    return [cause, { ...counts, last: lastMs === 0 ? undefined : new Date(lastMs) }];
  });
  return Object.fromEntries(entries) as Record<MoveCause, Moves>;
}
