// What the writers of the crash test do: operation g of a writer is a function of the seed and of g alone, so that the
// test can say afterwards what any number of them leaves behind.

import { Random } from '../random.ts';

export type CrashWrite = { put: string; value: string } | { del: string } | { delRange: [gte: string, lt: string] };

export interface CrashOperation {
  kind: 'put' | 'delete' | 'batch' | 'steps' | 'commit' | 'range';
  durability: 'wal' | 'fsync';
  writes: CrashWrite[];
}

const KEYS = 60;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/**
 * @param writer has its keys to itself
 * @param g its place in the order of this writer's operations
 */
export function crashOperation(seed: number, writer: number, g: number): CrashOperation {
  const random = new Random((seed * 31 + writer) * 1_000_003 + g);
  for (let i = 0; i < 5; i++) random.below(2); // neighbours start alike
  const key = () => `w${writer}/${String(random.below(KEYS)).padStart(2, '0')}`;
  // Every value names its operation; some are long, so that records cross the blocks of the log.
  const value = (i: number) => {
    const size = random.below(20) === 0 ? 20_000 + random.below(60_000) : random.below(300);
    return `${g}.${i}:${LETTERS.charAt(g % 26).repeat(size)}`;
  };
  const durability = random.below(4) === 0 ? 'fsync' : 'wal';
  const roll = random.below(100);
  if (roll < 50) return { kind: 'put', durability, writes: [{ put: key(), value: value(0) }] };
  if (roll < 58) return { kind: 'delete', durability, writes: [{ del: key() }] };
  if (roll < 61) {
    const [gte, lt] = [key(), key()].sort() as [string, string];
    return { kind: 'range', durability: 'wal', writes: [{ delRange: [gte, lt] }] };
  }
  const kind = roll < 80 ? 'batch' : roll < 90 ? 'steps' : 'commit';
  // From 16 on the engine sorts them.
  const length = random.below(8) === 0 ? 16 + random.below(25) : 2 + random.below(12);
  const writes: CrashWrite[] = Array.from({ length }, (_, i) =>
    random.below(6) === 0 ? { del: key() } : { put: key(), value: value(i) },
  );
  if (kind === 'steps' && random.below(3) === 0) {
    const [gte, lt] = [key(), key()].sort() as [string, string];
    writes.splice(random.below(writes.length), 0, { delRange: [gte, lt] });
  }
  return { kind, durability: kind === 'commit' ? 'fsync' : durability, writes };
}

export function applyOperation(state: Map<string, string>, { writes }: CrashOperation): void {
  for (const write of writes) {
    if ('put' in write) state.set(write.put, write.value);
    else if ('del' in write) state.delete(write.del);
    else {
      const [gte, lt] = write.delRange;
      for (const key of [...state.keys()]) if (key >= gte && key < lt) state.delete(key);
    }
  }
}
