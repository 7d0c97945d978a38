import { EventEmitter } from 'node:events';
import { basename } from 'node:path';
import type { Registry } from 'prom-client';
import type { AlertBounds } from './alerts/options.ts';
import { AlertWatch } from './alerts/watch.ts';
import { type BackupInfo, type BackupOptions, backupInfo, checkBackup } from './backup.ts';
import { boolean, checkObject } from './checks.ts';
import { call } from './dispatcher.ts';
import type { KeyCodec } from './encoding.ts';
import { invalid } from './error.ts';
import type { DatabaseEvents } from './events.ts';
import { formatStats } from './metrics/format.ts';
import { BUCKET_NANOS, type MetricsSource } from './metrics/prometheus.ts';
import { readStats } from './metrics/read.ts';
import { addTo, metricsText } from './metrics/registries.ts';
import { type SlowOperation, slowOperations } from './metrics/slow.ts';
import type { NativeBackup, NativeDatabase } from './native.ts';
import { boundsOf, type KeyRange, rangeArgument } from './range.ts';
import type { LiveServer } from './serve/live-server.ts';
import { type ServeOptions, serveSettings } from './serve/options.ts';
import { checkJobOptions, runJob, type ShardJobOptions } from './shard-jobs.ts';
import type { Stats } from './stats.ts';
import { type TierName, tierNumber } from './tier-options.ts';
import type { VerifyReport } from './verify-report.ts';

/** What a database offers its operator: upkeep, backups, figures and alerts. The half of {@link Database} without records. */
export abstract class Maintenance<K = string> extends EventEmitter<DatabaseEvents> {
  /** Absolute path of the folder. */
  readonly location: string;
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #alerts: AlertWatch;
  readonly #bounds: AlertBounds;
  /** What ends with the database: registrations and live pages. */
  readonly #ends: (() => void)[] = [];

  /** @internal */
  constructor(location: string, native: NativeDatabase, keys: KeyCodec<K>, alerts: AlertBounds) {
    super();
    this.location = location;
    this.#native = native;
    this.#keys = keys;
    this.#bounds = alerts;
    this.#alerts = new AlertWatch(
      this as never,
      alerts,
      () => this.stats(),
      (alert) => this.emit('alert', alert),
    );
    this.#alerts.attach();
  }

  /** @internal */
  protected abstract isOpen(): boolean;

  /** @internal Throws ERR_CLOSED unless open. */
  protected abstract checkOpen(): void;

  /** @internal Sends what was packed and not yet sent. */
  protected abstract sendWrites(): void;

  /** @internal For good: the database is closing. */
  protected endMaintenance(): void {
    this.#alerts.end();
    for (const end of this.#ends) end();
  }

  override removeAllListeners(event?: keyof DatabaseEvents): this {
    super.removeAllListeners(event);
    this.#alerts.attach();
    return this;
  }

  /**
   * Estimates how many bytes a range takes, on disk and in memory not yet written to tables.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const bytes = await db.approximateSize({ prefix: 'user/' });
   * ```
   */
  async approximateSize(range: KeyRange<K> = {}): Promise<number> {
    this.checkOpen();
    const { start, end } = boundsOf(this.#keys, rangeArgument(range, 'approximateSize'));
    return call<number>((ticket) => this.#native.approximateSize(ticket, start, end));
  }

  /**
   * Writes everything in memory to tables, writes that were called before included, awaited or not; afterwards opening
   * replays no log. Writes that wait for a frozen shard to thaw, and those that wait behind them, are not waited for.
   *
   * @throws ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   * @example
   * ```ts
   * await db.flush(); // everything is in tables, and survives a loss of power
   * ```
   */
  async flush(): Promise<void> {
    this.checkOpen();
    this.sendWrites();
    await call<undefined>((ticket) => this.#native.flush(ticket));
  }

  /**
   * Rewrites a range so that the space of deleted and overwritten records comes back. It happens by itself sooner or
   * later; this is for "now", and may take long.
   *
   * @throws ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   * @example
   * ```ts
   * await db.compact({ prefix: 'user/' });
   * ```
   */
  async compact(range: KeyRange<K> = {}): Promise<void> {
    this.checkOpen();
    const { start, end } = boundsOf(this.#keys, rangeArgument(range, 'compact'));
    this.sendWrites();
    await call<undefined>((ticket) => this.#native.compact(ticket, start, end));
  }

  /**
   * Adds a backup of this moment to a folder of backups, beside the running work. Writes that were called before are in it,
   * awaited or not, but for those that wait for a frozen shard to thaw and those that wait behind them. Tables that an
   * earlier backup in the folder has are not copied again. The new backup is read back and its checksums compared before
   * this resolves. Colder tiers and frozen shards are in it; migration, splits and thaws wait meanwhile.
   *
   * @returns the new backup; `warning` if older ones could not be deleted
   * @throws ERR_INVALID_ARGUMENT, ERR_LOCKED if another backup is written there, ERR_ABORTED, ERR_READ_ONLY, ERR_NO_SPACE,
   * ERR_IO, ERR_CLOSED
   * @example
   * ```ts
   * await db.backup('./backups', { keep: 7 });
   * ```
   */
  async backup(dir: string, options: BackupOptions = {}): Promise<BackupInfo> {
    this.checkOpen();
    const { path, keep, job } = checkBackup(dir, options);
    this.sendWrites();
    return backupInfo(
      await runJob<NativeBackup>(job, (ticket, control) => this.#native.backup(ticket, path, keep, control)),
    );
  }

  /**
   * Reads every table and, in a view of one moment of all tiers, every record, and compares what can be compared: checksums,
   * envelopes, the shard of each key, promoted records with what the colder tier has, archives of frozen shards with their
   * manifests, counts. Changes nothing, and everything else goes on meanwhile.
   *
   * @returns what was found; damage is in `problems` and not thrown
   * @throws ERR_INVALID_ARGUMENT, ERR_ABORTED, ERR_CLOSED, ERR_IO
   * @example
   * ```ts
   * const { records, problems, counts } = await db.verify();
   * for (const { shard, tier, records } of counts) console.log(shard, tier, records);
   * ```
   */
  async verify(options?: ShardJobOptions): Promise<VerifyReport> {
    this.checkOpen();
    const job = checkJobOptions(options, 'of verify');
    return runJob<VerifyReport>(job, (ticket, control) => this.#native.verify(ticket, control));
  }

  /**
   * Accepts writes again after the disk was full and has room again. After a failed sync of the log only closing and
   * reopening helps.
   *
   * @throws ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CLOSED
   * @example
   * ```ts
   * db.on('alert', ({ name, active }) => {
   *   if (name === 'disk' && !active) void db.resume(); // there is room again
   * });
   * ```
   */
  async resume(): Promise<void> {
    this.checkOpen();
    await call<undefined>((ticket) => this.#native.resume(ticket));
  }

  /**
   * @returns counters, latencies and sizes, of all who share this database.
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * const { hotCache } = db.stats();
   * ```
   */
  stats(): Stats {
    this.checkOpen();
    return readStats(this.#native);
  }

  /**
   * The metrics in the text format of Prometheus, with the label `database`: the folder's name.
   *
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * http.createServer(async (_, response) => response.end(await db.metrics())).listen(9464, '127.0.0.1');
   * ```
   */
  async metrics(): Promise<string> {
    this.checkOpen();
    return metricsText(this.#metricsSource(basename(this.location)));
  }

  /**
   * Adds the metrics to a registry of prom-client, beside the program's own, until the database is closed.
   *
   * @param options `name`: value of the label `database`, by default the folder's name
   * @throws ERR_INVALID_ARGUMENT if the registry has a database of that name, or metrics of others by our names; ERR_CLOSED
   * @example
   * ```ts
   * import { register } from 'prom-client';
   * db.register(register);
   * ```
   */
  register(registry: Registry, options: { name?: string } = {}): void {
    this.checkOpen();
    checkObject(options, new Set(['name']), 'of register');
    const { name = basename(this.location) } = options;
    if (typeof name !== 'string' || name === '') throw invalid('name must be a string that is not empty');
    this.#ends.push(addTo(registry, this.#metricsSource(name)));
  }

  /**
   * Serves the live page: throughput, latencies, caches, tiers, shards and alerts, second by second. Also `/metrics` for
   * Prometheus, `/stats` and `/health`. It shows figures alone, never keys or values, and nothing can be changed through
   * it. It ends with the database.
   *
   * @throws ERR_INVALID_ARGUMENT, also if the port is in use; ERR_IO, ERR_CLOSED
   * @example
   * ```ts
   * const { url } = await db.serve({ port: 0 });
   * console.log(`look at ${url}`);
   * ```
   */
  async serve(options?: ServeOptions): Promise<LiveServer> {
    this.checkOpen();
    const settings = serveSettings(options);
    const { LiveServer } = await import('./serve/live-server.ts');
    const server = await LiveServer.start(
      {
        location: this.location,
        bounds: this.#bounds,
        stats: () => this.stats(),
        metrics: () => this.metrics(),
        isOpen: () => this.isOpen(),
      },
      settings,
    );
    this.#ends.push(() => void server.close());
    // It may have been closed meanwhile.
    if (!this.isOpen()) await server.close();
    return server;
  }

  #metricsSource(name: string): MetricsSource {
    return { name, stats: () => (this.isOpen() ? readStats(this.#native, BUCKET_NANOS) : undefined) };
  }

  /**
   * Prints the statistics for people.
   *
   * @param write takes the text. Default: standard output
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * db.printStats((text) => console.log(text));
   * ```
   */
  printStats(write: (text: string) => void = (text) => process.stdout.write(text)): void {
    write(formatStats(this.stats()));
  }

  /**
   * The slowest operations since opening, if the option `slowOperations` asks for them.
   *
   * @param options `clear`: forget them afterwards, default `false`
   * @returns the slowest first; an empty array without the option
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const db = await open('./data', { slowOperations: { keep: 10 } });
   * // ... later
   * for (const { kind, totalSeconds, syncSeconds } of db.slowOperations()) console.log(kind, totalSeconds, syncSeconds);
   * ```
   */
  slowOperations(options: { clear?: boolean } = {}): SlowOperation[] {
    this.checkOpen();
    checkObject(options, new Set(['clear']), 'of slowOperations');
    return slowOperations(this.#native, boolean(options.clear, 'clear') ?? false);
  }

  /**
   * RocksDB's own counters of a tier, by RocksDB's names, if the option `tickers` was set.
   *
   * @returns `undefined` without the option, or if there is no such tier
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const tickers = await db.tickers(); // with open(location, { tickers: true })
   * console.log(tickers?.['rocksdb.number.keys.read']);
   * ```
   */
  async tickers(tier: TierName = 'hot'): Promise<Record<string, number> | undefined> {
    this.checkOpen();
    const number = tierNumber(tier, 'tier');
    return call((ticket) => this.#native.rocksdb(ticket, number, undefined));
  }

  /**
   * One of RocksDB's properties, such as `'rocksdb.estimate-num-keys'` or `'rocksdb.levelstats'`.
   *
   * @returns a number: the sum over the tier's shards; text: what each shard says; `undefined`: RocksDB does not know it,
   * or there is no such tier
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * const files = await db.property('rocksdb.num-files-at-level0');
   * ```
   */
  async property(name: string, tier: TierName = 'hot'): Promise<number | string | undefined> {
    this.checkOpen();
    if (typeof name !== 'string' || name === '') throw invalid('a property has a name');
    const number = tierNumber(tier, 'tier');
    return call((ticket) => this.#native.rocksdb(ticket, number, name));
  }
}
