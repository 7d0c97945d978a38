import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { invalid } from './error.ts';
import type { NativeDatabase, NativeShardSnapshot } from './native.ts';
import { checkJobOptions, runJob, type ShardJobOptions } from './shard-jobs.ts';
import { checkShardId } from './shard-move.ts';
import { packFolder, unpackFolder } from './shard-streams.ts';

/** What a snapshot of shards holds. */
export interface ShardSnapshot {
  /** Their ids. */
  shards: number[];
  files: number;
  /** How many of the files are hard links and took no space; the others are copies. */
  linked: number;
  bytes: number;
  /** About how many records, as exact as `db.shards.list()`. */
  keys: number;
}

/** Options of `db.shards.restore`. */
export interface ShardRestoreOptions extends ShardJobOptions {
  /** The shard to replace, by id. Default: the one that owns the same slots as the snapshot's. */
  as?: number;
}

function folder(dir: unknown): string {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0'))
    throw invalid('the folder of a snapshot must be a path');
  return resolve(dir);
}

/** @internal Snapshots of the shards of one database; the half of `db.shards` that moves them. */
export class ShardSnapshots {
  readonly #native: NativeDatabase;
  readonly #location: string;
  readonly #ready: () => void;

  /** `ready` throws unless the database is open, and sends what was packed. */
  constructor(native: NativeDatabase, location: string, ready: () => void) {
    this.#native = native;
    this.#location = location;
    this.#ready = ready;
  }

  async take(which: unknown, dir: unknown, options: unknown): Promise<ShardSnapshot> {
    this.#ready();
    const ids = (Array.isArray(which) ? which : [which]).map(checkShardId);
    if (ids.length === 0) throw invalid('a snapshot is of one shard at least');
    if (new Set(ids).size !== ids.length) throw invalid('a shard can be in a snapshot only once');
    const path = folder(dir);
    return runJob<NativeShardSnapshot>(checkJobOptions(options, 'of shards.snapshot'), (ticket, job) =>
      this.#native.snapshotShards(ticket, ids, path, job),
    );
  }

  async restore(dir: unknown, options: unknown): Promise<number[]> {
    this.#ready();
    const job = checkJobOptions(options, 'of shards.restore', ['as']);
    const { as } = (options ?? {}) as ShardRestoreOptions;
    const target = as === undefined ? -1 : checkShardId(as);
    const path = folder(dir);
    return runJob<number[]>(job, (ticket, native) => this.#native.restoreShards(ticket, path, target, native));
  }

  send(which: unknown, options: unknown): Readable {
    this.#ready();
    const path = this.#aside();
    return packFolder(path, async () => {
      await this.take(which, path, options);
    });
  }

  async receive(stream: AsyncIterable<Uint8Array>, options: unknown): Promise<number[]> {
    this.#ready();
    checkJobOptions(options, 'of shards.restoreStream', ['as']);
    return unpackFolder(stream, this.#aside(), (path) => this.restore(path, options));
  }

  /** A folder beside the tables, so that they can be linked; opening the database deletes what is left there. */
  #aside(): string {
    return join(this.#location, 'hot', 'ingest', `transfer-${randomUUID()}`);
  }
}
