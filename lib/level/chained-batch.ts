import { AbstractChainedBatch } from 'abstract-level';
import type { Batch } from '../batch.ts';
import type { Database } from '../database.ts';
import type { Formatted } from './codecs.ts';
import { type LevelWriteOptions, writeOptionsOf } from './options.ts';

type Writer = Database<Formatted, Formatted>;

/** @internal Packs each operation when it is added, so a long chain keeps no JavaScript objects. */
export class LevelChainedBatch<K, V> extends AbstractChainedBatch<unknown, K, V> {
  readonly #writer: Writer;
  #batch: Batch<Formatted, Formatted>;

  constructor(db: unknown, writer: Writer) {
    super(db as never);
    this.#writer = writer;
    this.#batch = writer.beginBatch();
  }

  /** @internal */
  _put(key: Formatted, value: Formatted, options: { ttl?: number }): void {
    this.#batch.put(key, value, options.ttl === undefined ? undefined : { ttl: options.ttl });
  }

  /** @internal */
  _del(key: Formatted): void {
    this.#batch.delete(key);
  }

  /** @internal */
  _clear(): void {
    this.#batch.rollback();
    this.#batch = this.#writer.beginBatch();
  }

  /** @internal */
  _write(options: LevelWriteOptions): Promise<void> {
    return this.#batch.commit(writeOptionsOf(options));
  }

  /** @internal */
  async _close(): Promise<void> {
    this.#batch.rollback();
  }
}
