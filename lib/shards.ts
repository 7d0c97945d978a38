import type { Readable } from 'node:stream';
import { call } from './dispatcher.ts';
import type { KeyCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { DatabaseIterator } from './iterator.ts';
import type { NativeDatabase, NativeShard } from './native.ts';
import { native } from './native.ts';
import type { IteratorOptions } from './operations.ts';
import { keyBytes } from './range.ts';
import { checkJobOptions, runJob, type ShardJobOptions } from './shard-jobs.ts';
import { checkShardId, type MergeOptions, type ShardMove, type SplitOptions, startShardMove } from './shard-move.ts';
import { type ShardRestoreOptions, type ShardSnapshot, ShardSnapshots } from './shard-snapshots.ts';

/** Slots that keys are spread over, by Redis Cluster's rule. */
export const SLOTS = 16_384;

/** How long ago a shard was last used: within a day, a week, a month, or longer. The option `temperature` sets the ages. */
export type Temperature = 'hot' | 'warm' | 'cold' | 'frozen';

/** What a shard holds in one tier. */
export interface ShardTier {
  /**
   * About how many records: entries less deletions. Records overwritten or deleted since the last compaction may count
   * wrongly; after `compact()` the number is exact.
   */
  keys: number;
  /** Of the tables on disk, exactly. */
  tableBytes: number;
  /** Of what is in memory and not yet in tables. */
  memoryBytes: number;
}

/** What is known of a shard without reading it. */
export interface ShardInfo {
  id: number;
  /** Grows when the shard's data is replaced as a whole. */
  generation: number;
  /** The slots it owns, as inclusive ranges. */
  slots: [first: number, last: number][];
  /**
   * Over all tiers, as exact as {@link ShardTier.keys}; a record that a newer one hides in a hotter tier counts in both
   * until it is moved there too.
   */
  keys: number;
  /** On disk, over all tiers. */
  bytes: number;
  /** By tier; only those that the database has. */
  tiers: { hot: ShardTier; warm?: ShardTier; cold?: ShardTier };
  /** Of a frozen shard, exactly: records, deleted and expired ones included, and bytes on disk. */
  archive?: { keys: number; bytes: number };
  /** Undefined if the database was made before this was recorded. */
  created: Date | undefined;
  /**
   * Of a read or write; undefined if there was none. Reads answered by the hot cache are sampled, one in 64. After a crash
   * it may be up to five minutes old, or as old as the last close if there were only reads.
   */
  lastAccess: Date | undefined;
  /** Records since the database was opened. */
  reads: number;
  writes: number;
  /** Records a second, over the last minute or so. */
  readsPerSecond: number;
  writesPerSecond: number;
  temperature: Temperature;
  /** A frozen shard's records are in the archive: see `freeze`. */
  state: 'live' | 'frozen';
}

const TEMPERATURES: readonly Temperature[] = ['hot', 'warm', 'cold', 'frozen'];

function shardInfo(shard: NativeShard): ShardInfo {
  const date = (ms: number) => (ms === 0 ? undefined : new Date(ms));
  const { hotKeys, hotTableBytes, hotMemtableBytes, created, lastAccess, temperature, ...others } = shard;
  const { frozen, archiveKeys, archiveBytes, colder, ...rest } = others;
  const hot: ShardTier = { keys: hotKeys, tableBytes: hotTableBytes, memoryBytes: hotMemtableBytes };
  const tiers: ShardInfo['tiers'] = { hot };
  for (const { tier, ...figures } of colder) tiers[tier] = figures;
  const live = Object.values(tiers);
  return {
    ...rest,
    keys: live.reduce((sum, { keys }) => sum + keys, archiveKeys),
    bytes: live.reduce((sum, { tableBytes }) => sum + tableBytes, archiveBytes),
    tiers,
    ...(frozen && { archive: { keys: archiveKeys, bytes: archiveBytes } }),
    created: date(created),
    lastAccess: date(lastAccess),
    temperature: TEMPERATURES[temperature] as Temperature,
    state: frozen ? 'frozen' : 'live',
  };
}

/** @internal */
export interface ShardsSource<K, V> {
  native: NativeDatabase;
  keys: KeyCodec<K>;
  location: string;
  /** Throws if the database is not open. */
  check(): void;
  /** Sends what was packed. */
  flush(): void;
  iterate(first: number, last: number, options: IteratorOptions<K, V> | undefined): DatabaseIterator<K, V>;
}

/** The parts that a database is divided into, each owning some of the slots. As `db.shards`. */
export class Shards<K = string, V = Buffer> {
  readonly #source: ShardsSource<K, V>;
  readonly #snapshots: ShardSnapshots;

  /** @internal */
  constructor(source: ShardsSource<K, V>) {
    this.#source = source;
    this.#snapshots = new ShardSnapshots(source.native, source.location, () => {
      source.check();
      source.flush();
    });
  }

  /**
   * @returns every shard, in the order of their slots.
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * for (const { id, keys, bytes, temperature } of await db.shards.list()) console.log(id, keys, bytes, temperature);
   * ```
   */
  async list(): Promise<ShardInfo[]> {
    this.#source.check();
    const shards = await call<NativeShard[]>((ticket) => this.#source.native.shards(ticket));
    return shards.map(shardInfo).sort((a, b) => (a.slots[0]?.[0] ?? 0) - (b.slots[0]?.[0] ?? 0));
  }

  /**
   * @returns the shard that holds a key, or would hold it.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const { id } = await db.shards.of('user/1');
   * ```
   */
  async of(key: K): Promise<ShardInfo> {
    const slot = this.slotOf(key);
    const shards = await this.list();
    return shards.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last)) as ShardInfo;
  }

  /**
   * @throws ERR_NOT_FOUND if there is no such shard, ERR_CLOSED
   * @example
   * ```ts
   * const { keys, temperature } = await db.shards.get(0);
   * ```
   */
  async get(id: number): Promise<ShardInfo> {
    const shard = (await this.list()).find((one) => one.id === id);
    if (shard === undefined) throw new ThermoclineError('ERR_NOT_FOUND', `there is no shard ${String(id)}`);
    return shard;
  }

  /**
   * Splits a shard in two: it keeps its lower slots, and a new shard gets the others. Reads, writes, iterators and
   * snapshots go on meanwhile and see no difference; the shard does not migrate between tiers until the end. It takes the
   * space of one copy of the shard while it runs. One split or merge runs at a time, others wait. A crash leaves the
   * shards as they were, or, at the very end, split.
   *
   * @returns a promise of the ids of both shards, with `progress`, `pause`, `resume` and `abort`.
   * @throws ERR_INVALID_ARGUMENT, also for a shard of a single slot; ERR_FROZEN, ERR_NOT_FOUND, ERR_ABORTED, ERR_CLOSED, ERR_READ_ONLY,
   * ERR_NO_SPACE, ERR_BACKPRESSURE if more was written meanwhile than it can follow, ERR_IO, ERR_CORRUPTION
   * @example
   * ```ts
   * const [kept, added] = await db.shards.split(0, { onProgress: ({ copiedBytes }) => console.log(copiedBytes) });
   * ```
   */
  split(id: number, options?: SplitOptions): ShardMove {
    this.#source.check();
    return startShardMove(this.#source.native, checkShardId(id), undefined, options);
  }

  /**
   * Joins two shards whose slots are next to each other; the first keeps its id. As online, and as costly, as `split`.
   *
   * @returns a promise of the id of the joined shard, with `progress`, `pause`, `resume` and `abort`.
   * @throws ERR_INVALID_ARGUMENT if they are no neighbours; else as `split`
   * @example
   * ```ts
   * await db.shards.merge(0, 4);
   * ```
   */
  merge(a: number, b: number, options?: MergeOptions): ShardMove {
    this.#source.check();
    return startShardMove(this.#source.native, checkShardId(a), checkShardId(b), options);
  }

  /**
   * Writes a snapshot of one or several shards, none of them frozen, to a folder, while reads and writes go on. All are of one moment: every
   * write acknowledged before the call is in it, and of a batch all or nothing. Of the shards' tables, in all tiers, hard
   * links are made where the file system allows it, and copies elsewhere, so the cost follows what the shards hold and not
   * what the database holds. A folder on another disk is worth more than links: a damaged disk damages both names of a file.
   *
   * @param dir missing or empty; it appears when the snapshot is complete
   * @throws ERR_NOT_FOUND, ERR_FROZEN, ERR_INVALID_ARGUMENT, ERR_LOCKED if another snapshot is being written there, ERR_ABORTED,
   * ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CLOSED
   * @example
   * ```ts
   * await db.shards.snapshot([0, 1], './shards-0-and-1');
   * ```
   */
  snapshot(ids: number | readonly number[], dir: string, options?: ShardJobOptions): Promise<ShardSnapshot> {
    return this.#snapshots.take(ids, dir, options);
  }

  /**
   * Replaces shards by what a snapshot holds. Every file's checksum is compared before anything is touched; then all the
   * snapshot's shards are replaced at once, or none. The database may be another one, on another machine: its shards must
   * own exactly the slots that the snapshot's did. Iterators and snapshots that are open go on showing what was there;
   * open transactions that have read anything conflict. What is replaced is not in `changes()`, whose readers get ERR_GAP.
   *
   * @returns the ids of the shards that were replaced
   * @throws ERR_CORRUPTION if the snapshot is damaged, ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_FORMAT_VERSION,
   * ERR_ABORTED, ERR_LOCKED if a split or merge is paused, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CLOSED; the database is as
   * it was
   * @example
   * ```ts
   * await db.shards.restore('./shards-0-and-1');
   * ```
   */
  restore(dir: string, options?: ShardRestoreOptions): Promise<number[]> {
    return this.#snapshots.restore(dir, options);
  }

  /**
   * A snapshot of shards as a stream of bytes, for a socket or a file elsewhere. It is taken when the stream is first read;
   * until the stream ends, its files are kept in the database's folder.
   *
   * @throws as `snapshot`, through the stream
   * @example
   * ```ts
   * await pipeline(db.shards.snapshotStream(0), socket);
   * ```
   */
  snapshotStream(ids: number | readonly number[], options?: ShardJobOptions): Readable {
    return this.#snapshots.send(ids, options);
  }

  /**
   * Replaces shards by what a stream of `snapshotStream` brings: it is received completely, then restored as from a folder.
   *
   * @returns the ids of the shards that were replaced
   * @throws ERR_CORRUPTION if the stream is cut short or damaged, ERR_INVALID_ARGUMENT if it is none of ours; else as
   * `restore`
   * @example
   * ```ts
   * server.on('connection', async (socket) => console.log(await db.shards.restoreStream(socket)));
   * ```
   */
  restoreStream(stream: AsyncIterable<Uint8Array>, options?: ShardRestoreOptions): Promise<number[]> {
    return this.#snapshots.receive(stream, options);
  }

  /**
   * Moves a shard that nobody uses into the archive, compressed as far as zstd can: a folder beside the tiers, out of
   * their tables, caches and compactions. Reads of its records are then refused with ERR_FROZEN, or, with the option
   * `freeze.thawOnAccess`, thaw it first; `getSync` and walks over its slots are always refused. A write thaws it, and is
   * acknowledged when that is done; conditional writes and transactions too. Iterators and snapshots that are open go on.
   *
   * Reads go on meanwhile, and so do writes to other shards; a write to this one ends the freeze. It waits for a split,
   * merge or restore that runs. A crash leaves the shard as it was, or, at the very end, frozen. Nothing is done to a shard
   * that is frozen.
   *
   * @throws ERR_CONFLICT if the shard was written to meanwhile, ERR_LOCKED while a backup is made, another shard is being
   * frozen, or a split or merge is paused, ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_ABORTED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CORRUPTION, ERR_CLOSED
   * @example
   * ```ts
   * for (const { id, temperature } of await db.shards.list()) if (temperature === 'frozen') await db.shards.freeze(id);
   * ```
   */
  async freeze(id: number, options?: ShardJobOptions): Promise<void> {
    this.#source.check();
    this.#source.flush();
    await runJob<void>(checkJobOptions(options, 'of shards.freeze'), (ticket, job) =>
      this.#source.native.freezeShard(ticket, checkShardId(id), job),
    );
  }

  /**
   * Brings a frozen shard back to the tiers that its records were in, after every checksum of the archive was compared.
   * Nothing is done to a shard that is not frozen. A crash leaves it frozen, or, at the very end, thawed.
   *
   * @throws ERR_CORRUPTION or ERR_NOT_FOUND if the archive is damaged or gone, ERR_NOT_FOUND if there is no such shard,
   * ERR_LOCKED if a split or merge is paused, ERR_INVALID_ARGUMENT, ERR_ABORTED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO,
   * ERR_CLOSED; it is still frozen then
   * @example
   * ```ts
   * const { id, state } = await db.shards.of('user/1');
   * if (state === 'frozen') await db.shards.thaw(id);
   * ```
   */
  async thaw(id: number, options?: ShardJobOptions): Promise<void> {
    this.#source.check();
    await runJob<void>(checkJobOptions(options, 'of shards.thaw'), (ticket, job) =>
      this.#source.native.thawShard(ticket, checkShardId(id), job),
    );
  }

  /**
   * The slot of a key: CRC-16 of the key, or of what stands between its first `{` and the next `}`, modulo 16384.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const together = db.shards.slotOf('{user/1}/name') === db.shards.slotOf('{user/1}/mail'); // true
   * ```
   */
  slotOf(key: K): number {
    this.#source.check();
    return native.slotOf(keyBytes(this.#source.keys as KeyCodec<unknown>, key));
  }

  /**
   * Walks the records of an interval of slots, in key order; only shards that own some of them are read.
   *
   * @param from the first slot, 0 to 16383 @param to the last slot, included
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED; at the first record ERR_FROZEN if one of these shards is frozen
   * @example
   * ```ts
   * for await (const [key, value] of db.shards.rangeBySlots(0, 4095)) console.log(key, value);
   * ```
   */
  rangeBySlots(from: number, to: number, options?: IteratorOptions<K, V>): DatabaseIterator<K, V> {
    for (const slot of [from, to]) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS)
        throw invalid('a slot is a whole number from 0 to 16383');
    }
    if (from > to) throw invalid('the first slot must not be above the last');
    return this.#source.iterate(from, to, options);
  }
}
