import { resolve } from 'node:path';
import { checkObject } from './checks.ts';
import { call } from './dispatcher.ts';
import { invalid } from './error.ts';
import { type NativeBackup, native } from './native.ts';
import { checkJobOptions, runJob, type ShardJobOptions } from './shard-jobs.ts';

/** Options of `db.backup`. */
export interface BackupOptions {
  /** How many of the newest backups stay; older ones are deleted. Default: all. */
  keep?: number;
  /** Ends the backup with ERR_ABORTED, unless it is done; what it has copied is deleted. Default: none. */
  signal?: AbortSignal;
}

/** Options of `restore`. */
export interface RestoreOptions {
  /** Number of the backup. Default: the latest. */
  id?: number;
  /**
   * Folders for the colder tiers of the backup, missing or empty; relative ones are relative to the database's. Default: `warm`
   * and `cold` within the database's folder, wherever they were before. The database remembers them.
   */
  tiers?: { warm?: { path: string }; cold?: { path: string } };
  /**
   * Ends the restore with ERR_ABORTED, unless the database is in its place. What it has copied stays, marked as unfinished, for
   * the next restore to the same place to delete. Default: none.
   */
  signal?: AbortSignal;
}

/** One backup of a folder of backups. */
export interface BackupInfo {
  /** Counts up from 1 in each folder. */
  id: number;
  /** To the second. */
  created: Date;
  /** Of all its files, those included that it shares with other backups. */
  bytes: number;
  files: number;
  /**
   * In what `db.backup` gives: why backups beyond `keep`, or what unfinished ones have left, could not be deleted. The new
   * backup is there all the same.
   */
  warning?: string;
}

/** @internal */
export function backupInfo({ created, ...rest }: NativeBackup): BackupInfo {
  return { ...rest, created: new Date(created) };
}

function folder(path: unknown, what: string): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw invalid(`${what} must be the path of a folder`);
  return resolve(path);
}

function wholeNumber(value: unknown, name: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value < 2 ** 32) return value;
  throw invalid(`${name} must be a whole number from 1`);
}

/** @internal */
export function checkBackup(dir: unknown, options: unknown): { path: string; keep: number; job: ShardJobOptions } {
  const given = checkObject(options, new Set(['keep', 'signal']), 'of backup') ?? {};
  const job = checkJobOptions({ signal: given.signal }, 'of backup');
  return { path: folder(dir, 'the folder of the backups'), keep: wholeNumber(given.keep, 'keep'), job };
}

/**
 * @returns the backups of a folder, oldest first.
 * @throws ERR_NOT_FOUND if there are none, ERR_INVALID_ARGUMENT, ERR_IO
 * @example
 * ```ts
 * await db.backup('./backups');
 * const [latest] = (await backups('./backups')).reverse();
 * ```
 */
export async function backups(dir: string): Promise<BackupInfo[]> {
  const path = folder(dir, 'the folder of the backups');
  const [found] = await call<[NativeBackup[], string[]]>((ticket) => native.backups(ticket, path, false));
  return found.map(backupInfo);
}

/**
 * Reads every file of every backup of a folder and compares its checksum.
 *
 * @returns the backups, and what is wrong with them
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_IO
 * @example
 * ```ts
 * await db.backup('./backups');
 * const { problems } = await verifyBackups('./backups');
 * ```
 */
export async function verifyBackups(dir: string): Promise<{ backups: BackupInfo[]; problems: string[] }> {
  const path = folder(dir, 'the folder of the backups');
  const [found, problems] = await call<[NativeBackup[], string[]]>((ticket) => native.backups(ticket, path, true));
  return { backups: found.map(backupInfo), problems };
}

/**
 * Makes a database of a backup. Every file of the backup is read and its checksum compared before anything is written;
 * the database appears in its place at once, when it is complete.
 *
 * @param dir the folder of the backups
 * @param location folder of the new database: missing or empty
 * @throws ERR_CORRUPTION if the backup is damaged, ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_ABORTED, ERR_NO_SPACE, ERR_IO
 * @example
 * ```ts
 * await db.backup('./backups');
 * await restore('./backups', './restored');
 * ```
 */
export async function restore(dir: string, location: string, options: RestoreOptions = {}): Promise<void> {
  const given = checkObject(options, new Set(['id', 'tiers', 'signal']), 'of restore') ?? {};
  const job = checkJobOptions({ signal: given.signal }, 'of restore');
  const id = wholeNumber(given.id, 'id');
  const from = folder(dir, 'the folder of the backups');
  const to = folder(location, 'the location');
  const tiers = checkObject(given.tiers, new Set(['warm', 'cold']), 'of tiers') ?? {};
  const [warm, cold] = [tierPath(tiers.warm, 'warm'), tierPath(tiers.cold, 'cold')];
  await runJob<undefined>(job, (ticket, control) => native.restore(ticket, from, id, to, warm, cold, control));
}

/** As it is given: a relative one stays so. */
function tierPath(tier: unknown, name: string): string {
  const given = checkObject(tier, new Set(['path']), `of tiers.${name}`);
  if (given === undefined) return '';
  folder(given.path, `tiers.${name}.path`);
  return given.path as string;
}
