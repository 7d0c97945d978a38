import { EventEmitter } from 'node:events';
import { AlertWatch } from './alerts.ts';
import { type BackupInfo, type BackupOptions, backupInfo, checkBackup, type VerifyReport } from './backup.ts';
import { call, takeError } from './dispatcher.ts';
import type { KeyCodec } from './encoding.ts';
import type { DatabaseEvents } from './events.ts';
import type { NativeBackup, NativeDatabase } from './native.ts';
import { boundsOf, type KeyRange, rangeArgument } from './range.ts';
import type { Stats } from './stats.ts';
import type { FullTier } from './tiers.ts';

/** What a database offers its operator: upkeep, backups, figures and alerts. The half of {@link Database} without records. */
export abstract class Maintenance<K = string> extends EventEmitter<DatabaseEvents> {
  /** Absolute path of the folder. */
  readonly location: string;
  readonly #native: NativeDatabase;
  readonly #keys: KeyCodec<K>;
  readonly #alerts = new AlertWatch(
    this as never,
    () => this.stats(),
    () => this.fullTiers(),
    (alert) => this.emit('alert', alert),
  );

  /** @internal */
  constructor(location: string, native: NativeDatabase, keys: KeyCodec<K>) {
    super();
    this.location = location;
    this.#native = native;
    this.#keys = keys;
    this.#alerts.attach();
  }

  /** @internal Throws ERR_CLOSED unless open. */
  protected abstract checkOpen(): void;

  /** @internal Sends what was packed and not yet sent. */
  protected abstract sendWrites(): void;

  /** @internal Which tiers take nothing more for want of space. */
  protected abstract fullTiers(): FullTier[];

  /** @internal For good: the database is closing. */
  protected endMaintenance(): void {
    this.#alerts.end();
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
   */
  async approximateSize(range: KeyRange<K> = {}): Promise<number> {
    this.checkOpen();
    const { start, end } = boundsOf(this.#keys, rangeArgument(range, 'approximateSize'));
    return call<number>((ticket) => this.#native.approximateSize(ticket, start, end));
  }

  /**
   * Writes everything in memory to tables; afterwards opening replays no log.
   *
   * @throws ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
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
   */
  async compact(range: KeyRange<K> = {}): Promise<void> {
    this.checkOpen();
    const { start, end } = boundsOf(this.#keys, rangeArgument(range, 'compact'));
    this.sendWrites();
    await call<undefined>((ticket) => this.#native.compact(ticket, start, end));
  }

  /**
   * Adds a backup of this moment to a folder of backups, beside the running work. Tables that an earlier backup in the
   * folder has are not copied again. The new backup is read back and its checksums compared before this resolves.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_LOCKED if another backup is written there, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO,
   * ERR_CLOSED
   * @example
   * ```ts
   * await db.backup('./backups', { keep: 7 });
   * ```
   */
  async backup(dir: string, options: BackupOptions = {}): Promise<BackupInfo> {
    this.checkOpen();
    const { path, keep } = checkBackup(dir, options);
    this.sendWrites();
    return backupInfo(await call<NativeBackup>((ticket) => this.#native.backup(ticket, path, keep)));
  }

  /**
   * Reads every block and every record and compares what can be compared, without changing anything.
   *
   * @returns what was found; damage is in `problems` and not thrown
   * @throws ERR_CLOSED, ERR_IO
   */
  async verify(): Promise<VerifyReport> {
    this.checkOpen();
    return call<VerifyReport>((ticket) => this.#native.verify(ticket));
  }

  /**
   * Accepts writes again after the disk was full and has room again. After a failed sync of the log only closing and
   * reopening helps.
   *
   * @throws ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_CLOSED
   */
  async resume(): Promise<void> {
    this.checkOpen();
    await call<undefined>((ticket) => this.#native.resume(ticket));
  }

  /**
   * @returns counters, latencies and sizes, of all who share this database.
   * @throws ERR_CLOSED
   */
  stats(): Stats {
    this.checkOpen();
    const stats = this.#native.stats();
    if (stats === undefined) throw takeError();
    return stats as Stats;
  }
}
