import { takeError } from '../dispatcher.ts';
import type { NativeDatabase, NativeShard } from '../native.ts';
import type { ShardStats, Stats } from '../stats.ts';

function shardStats({ hotKeys, hotTableBytes, hotMemtableBytes, ...shard }: NativeShard): ShardStats {
  const { id, slots, frozen, archiveBytes, reads, writes, readsPerSecond, writesPerSecond } = shard;
  const sizes = { keys: hotKeys, tableBytes: hotTableBytes, memoryBytes: hotMemtableBytes };
  const state = frozen ? 'frozen' : 'live';
  return { id, slots, ...sizes, archiveBytes, state, reads, writes, readsPerSecond, writesPerSecond };
}

/**
 * The engine's statistics in their public form.
 *
 * @param bounds upper bounds in nanoseconds: with them every latency since opening has `buckets`
 * @throws ERR_CLOSED
 */
export function readStats(native: NativeDatabase, bounds?: readonly number[]): Stats {
  const stats = native.stats(bounds);
  if (stats === undefined) throw takeError();
  const { perShard, migration, ...rest } = stats as Stats & { perShard: NativeShard[] };
  const { trouble, ...moves } = migration;
  return {
    ...rest,
    migration: trouble ? { ...moves, trouble } : moves,
    perShard: perShard.map(shardStats),
  };
}
