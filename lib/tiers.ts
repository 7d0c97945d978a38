import { Block } from './block.ts';
import { checkNames } from './checks.ts';
import { call, takeError } from './dispatcher.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { NativeDatabase, NativeTierFigures, NativeTiers } from './native.ts';
import type { PrefetchStats } from './prefetch-stats.ts';
import { lifetimeOf, type TiersLifetime } from './tier-lifetime.ts';
import { type MoveCause, type Moves, movesByCause } from './tier-moves.ts';
import { type TierName, tierNumber } from './tier-options.ts';

/** What to move with {@link Tiers.migrate}. */
export interface MigrateOptions<K, V> {
  /** The tier that records leave. */
  from: TierName;
  /** The tier that takes them; another one. */
  to: TierName;
  /** Moves only the records for which this returns true. Default: all. */
  filter?: (key: K, value: V) => boolean;
  /** Ends the migration between two steps with ERR_ABORTED; what has moved stays where it is. Default: none. */
  signal?: AbortSignal;
}

/** What a migration has moved. */
export interface Migration {
  from: TierName;
  to: TierName;
  records: number;
  /** Of their keys and values. */
  bytes: number;
  /** Deleted and expired records that sank, or came to their end in the lowest tier. */
  markers: number;
  /** Records that were written meanwhile and therefore stayed. */
  stayed: number;
}

/** One tier in a {@link TiersReport}. */
export interface TierReport {
  tier: TierName;
  path: string;
  /** Of the tables on disk. */
  bytes: number;
  /** Roughly; copies of colder records included. */
  records: number;
  /** Of deleted records, in tables: what tidying up is for. They sink, and end in the lowest tier. */
  markers: number;
  /** In hot: copies of colder records that were promoted, in tables. */
  copies: number;
  /** Uncompressed over compressed bytes of the records in tables; 1 without tables. */
  compressionRatio: number;
  /** 0: what the disk holds. */
  capacityBytes: number;
  /** Reads that were answered here, and their share of all reads. */
  hits: number;
  hitShare: number;
  movedIn: { records: number; bytes: number };
  movedOut: { records: number; bytes: number };
  /** Bytes written to tables since the database was opened: by flushes, compactions and migration into the tier. */
  writtenBytes: number;
  /**
   * `writtenBytes` over the bytes of keys and values that came into the tier meanwhile, by the program's writes or from
   * another tier; 0 if none did. Compression makes it smaller, rewriting by compaction larger. The log is not counted.
   */
  writeAmplification: number;
  costPerTB: number;
  /** What `bytes` cost in a month. */
  costPerMonth: number;
}

/** What the tiers hold, answer and cost. Counters begin when the database is opened. */
export interface TiersReport {
  tiers: TierReport[];
  /** Reads that the hot cache answered. */
  memory: { hits: number; hitShare: number };
  /** Reads that found nothing. */
  absent: number;
  /** Bytes written to tables of all tiers over the bytes of keys and values that the program wrote; 0 if it wrote none. */
  writeAmplification: number;
  /** Records copied up because they were read. */
  promoted: number;
  /** The counters above since the database was created. */
  lifetime: TiersLifetime;
  /** What was moved by cause, since the database was created; kept every five minutes and at close. */
  moves: Record<MoveCause, Moves>;
  /** What was read ahead; absent unless the database was opened with `prefetch`. */
  prefetch?: PrefetchStats;
  /** Why migration stands still, such as a colder tier that is full; absent while it does not. */
  trouble?: string;
  cost: {
    perMonth: number;
    /** If everything lay in the hot tier, compressed as it compresses there. */
    allHotPerMonth: number;
    /** 1 - perMonth / allHotPerMonth. */
    saved: number;
  };
}

const MIGRATE_NAMES = new Set(['from', 'to', 'filter', 'signal']);
const TERABYTE = 1e12;

function ratioOf(figures: NativeTierFigures): number {
  return figures.dataBytes === 0 ? 1 : figures.rawBytes / figures.dataBytes;
}

/** @internal What Tiers needs of its database. */
export interface TiersSource<K, V> {
  native: NativeDatabase;
  keys: KeyCodec<K>;
  values: ValueCodec<V>;
  isOpen: () => boolean;
  /** Sends what was packed, so that it moves too. */
  flush: () => void;
  progress: (migration: Migration) => void;
}

/** The tiers of a database: `db.tiers`. */
export class Tiers<K, V> {
  readonly #source: TiersSource<K, V>;
  #native: NativeTiers | undefined;

  /** @internal */
  constructor(source: TiersSource<K, V>) {
    this.#source = source;
  }

  /**
   * Moves records from one tier to another, down or up. Reads, writes and snapshots go on meanwhile and see no
   * difference. Every step is safe against a crash; a migration that ended early is gone on with by calling it again.
   * The database emits `'migration'` with what has moved so far after each step.
   *
   * @returns what was moved.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CORRUPTION, ERR_ABORTED
   * @example
   * ```ts
   * await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => key.startsWith('2019/') });
   * ```
   */
  async migrate(options: MigrateOptions<K, V>): Promise<Migration> {
    if (typeof options !== 'object' || options === null) throw invalid('migrate takes { from, to, filter?, signal? }');
    checkNames(options, MIGRATE_NAMES, 'of migrate');
    const { from, to, filter, signal } = options;
    const [source, target] = [tierNumber(from, 'from'), tierNumber(to, 'to')];
    if (source === target) throw invalid('from and to must be different tiers');
    if (filter !== undefined && typeof filter !== 'function') throw invalid('filter must be a function');
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal');
    const native = this.#open();
    this.#source.flush();
    const total: Migration = { from, to, records: 0, bytes: 0, markers: 0, stayed: 0 };
    let { shards } = await this.#report(native);
    for (let shard = 0; shard < shards; shard++) {
      let next: Buffer | undefined = Buffer.alloc(0);
      while (next !== undefined) {
        this.#check(signal);
        next =
          filter === undefined
            ? await this.#step(native, [source, target, shard], next, undefined, total)
            : await this.#chosen(native, [source, target, shard], next, filter, total);
        this.#source.progress({ ...total });
      }
      // A split meanwhile adds a shard at the end.
      if (shard === shards - 1) ({ shards } = await this.#report(native));
    }
    return total;
  }

  /**
   * @returns what each tier holds, how many reads it answers, what was moved, and what it costs.
   * @throws ERR_CLOSED, ERR_IO
   * @example
   * ```ts
   * const { tiers } = await db.tiers.report();
   * ```
   */
  async report(): Promise<TiersReport> {
    const { tiers, fromMemory, absent, promoted, moves, lifetime, userBytes, trouble, prefetch } = await this.#report(
      this.#open(),
    );
    const over = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
    const reads = fromMemory + absent + tiers.reduce((sum, { found }) => sum + found, 0);
    const share = (hits: number) => (reads === 0 ? 0 : hits / reads);
    const hot = tiers[0] as NativeTierFigures;
    const reports = tiers.map((figures): TierReport => {
      return {
        tier: figures.tier,
        path: figures.path,
        bytes: figures.fileBytes,
        records: figures.records,
        markers: figures.markers,
        copies: figures.copies,
        compressionRatio: ratioOf(figures),
        capacityBytes: figures.capacityBytes,
        hits: figures.found,
        hitShare: share(figures.found),
        movedIn: { records: figures.movedInRecords, bytes: figures.movedInBytes },
        movedOut: { records: figures.movedOutRecords, bytes: figures.movedOutBytes },
        writtenBytes: figures.writtenBytes,
        writeAmplification: over(figures.writtenBytes, figures.movedInBytes + (figures === hot ? userBytes : 0)),
        costPerTB: figures.costPerTB,
        costPerMonth: (figures.fileBytes / TERABYTE) * figures.costPerTB,
      };
    });
    const perMonth = reports.reduce((sum, { costPerMonth }) => sum + costPerMonth, 0);
    // Where hot holds no tables yet, its compression is not known: as if it did not compress.
    const hotBytes = tiers.reduce((sum, figures) => {
      return sum + (figures === hot ? figures.fileBytes : figures.rawBytes / ratioOf(hot));
    }, 0);
    const allHotPerMonth = (hotBytes / TERABYTE) * hot.costPerTB;
    return {
      tiers: reports,
      memory: { hits: fromMemory, hitShare: share(fromMemory) },
      absent,
      writeAmplification: over(
        tiers.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0),
        userBytes,
      ),
      promoted,
      lifetime: lifetimeOf(
        lifetime,
        tiers.map(({ tier }) => tier),
      ),
      moves: movesByCause(moves),
      ...(prefetch === undefined ? {} : { prefetch }),
      ...(trouble === '' ? {} : { trouble }),
      cost: { perMonth, allHotPerMonth, saved: allHotPerMonth === 0 ? 0 : 1 - perMonth / allHotPerMonth },
    };
  }

  #open(): NativeTiers {
    if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
    this.#native ??= this.#source.native.tiers();
    if (this.#native === undefined) throw takeError();
    return this.#native;
  }

  #check(signal: AbortSignal | undefined): void {
    if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database was closed');
    if (signal?.aborted) {
      throw new ThermoclineError('ERR_ABORTED', 'the migration was aborted', { cause: signal.reason });
    }
  }

  #report(native: NativeTiers) {
    return call<ReturnType<NativeTiers['report']>>((ticket) => native.report(ticket));
  }

  /** One step; gives where the next one begins. */
  async #step(
    native: NativeTiers,
    [from, to, shard]: readonly [number, number, number],
    start: Buffer,
    keys: Buffer | undefined,
    total: Migration,
  ): Promise<Buffer | undefined> {
    type Result = [records: number, bytes: number, markers: number, dropped: number, dirty: number, next?: Buffer];
    const [records, bytes, markers, dropped, dirty, next] = await call<Result>((ticket) =>
      native.step(ticket, from, to, shard, start, keys),
    );
    total.records += records + dropped;
    total.bytes += bytes;
    total.markers += markers;
    total.stayed += dirty;
    return next;
  }

  /** Asks the filter about one page of the tier, and moves what it accepts. */
  async #chosen(
    native: NativeTiers,
    place: readonly [number, number, number],
    start: Buffer,
    filter: (key: K, value: V) => boolean,
    total: Migration,
  ): Promise<Buffer | undefined> {
    const [from, , shard] = place;
    type Page = [bytes: Buffer, index: Buffer, next?: Buffer];
    const [bytes, index, next] = await call<Page>((ticket) => native.page(ticket, from, shard, start));
    const block = Block.shared(bytes);
    const accepted: Uint8Array[] = [];
    for (let at = 0, entry = 0; entry < index.length; entry += 8) {
      const middle = at + index.readUInt32LE(entry);
      const end = middle + index.readUInt32LE(entry + 4);
      const { keys, values } = this.#source;
      const verdict: unknown = filter(keys.decode(block, at, middle), values.decode(block, middle, end));
      // A promise would count as yes.
      if (typeof verdict !== 'boolean') throw invalid('filter must return true or false, and not a promise');
      if (verdict) accepted.push(lengthPrefix(middle - at), bytes.subarray(at, middle));
      at = end;
    }
    if (accepted.length > 0) await this.#step(native, place, start, Buffer.concat(accepted), total);
    return next;
  }
}

/** A length as the engine reads it: LEB128. */
function lengthPrefix(length: number): Uint8Array {
  const bytes: number[] = [];
  let rest = length;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
