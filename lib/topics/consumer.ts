import { checkNames } from '../checks.ts';
import { call } from '../dispatcher.ts';
import type { KeyCodec, ValueCodec } from '../encoding.ts';
import { invalid, ThermoclineError } from '../error.ts';
import type { NativeTopicChunk, NativeTopicConsumer } from '../native-topics.ts';
import { parseSize, type Size } from '../size.ts';
import type { MessagePosition } from './appends.ts';
import { MessageBatch } from './message.ts';
import { wholeNumber } from './options.ts';

/** Where a consumer begins in a partition for which its group has no offset. */
export type ConsumeFrom = 'earliest' | 'latest' | { timestamp: number };

/** Options of `topic.consumer`. */
export interface ConsumerOptions {
  /**
   * Consumers of the same group share the partitions and keep their offsets in the database. Without a group a consumer
   * reads all partitions and keeps nothing.
   */
  group?: string;
  /** Default `'earliest'`. */
  from?: ConsumeFrom;
  /** Bytes of messages in a batch; one append is always read whole. Default 1 MB. */
  maxBytes?: Size;
  /** Commit what was read when the next batch is asked for, and at the end of a loop. Default `false`. */
  autoCommit?: boolean;
  /** Pass over damaged messages, and say so in `batch.lost`, instead of failing. Default `false`. */
  pastDamage?: boolean;
}

/** @internal */
export interface ConsumerSource<V, K> {
  readonly native: NativeTopicConsumer;
  readonly keys: KeyCodec<K>;
  readonly values: ValueCodec<V>;
  isOpen(): boolean;
  /** Of all partitions of the topic. */
  endOffsets(): number[];
  closed(consumer: Consumer<V, K>): void;
}

const NAMES = new Set(['group', 'from', 'maxBytes', 'autoCommit', 'pastDamage']);

/** @internal */
export function checkConsumerOptions(options: ConsumerOptions): ConsumerOptions {
  checkNames(options, NAMES, 'of consumer');
  const { group, from, autoCommit, pastDamage } = options;
  if (group !== undefined && (typeof group !== 'string' || group === '' || group.length > 255)) {
    throw invalid('group must be a name of 1 to 255 characters');
  }
  if (typeof from === 'object' && from !== null) wholeNumber(from.timestamp, 'from.timestamp');
  else if (from !== undefined && from !== 'earliest' && from !== 'latest') {
    throw invalid("from must be 'earliest', 'latest' or { timestamp }");
  }
  for (const flag of [autoCommit, pastDamage]) {
    if (flag !== undefined && typeof flag !== 'boolean') throw invalid('autoCommit and pastDamage are true or false');
  }
  if (autoCommit && group === undefined) throw invalid('autoCommit needs a group, which is what keeps offsets');
  return options;
}

/**
 * Reads a topic as messages arrive. Made by `topic.consumer()`.
 *
 * Asking for the next batch says that the one before is done: a partition is handed to another consumer of the group
 * only then. Messages arrive at least once; commit before you ask for more.
 *
 * @example
 * ```ts
 * const consumer = topic.consumer({ group: 'mail' });
 * for await (const batch of consumer) {
 *   for (const message of batch) await send(message.value);
 *   await consumer.commit();
 * }
 * ```
 */
export class Consumer<V = Buffer, K = string> implements AsyncIterable<MessageBatch<V, K>> {
  readonly #source: ConsumerSource<V, K>;
  readonly #options: ConsumerOptions;
  readonly #maxBytes: number;
  /** Offset of the next message, of each partition that is read. */
  readonly #positions = new Map<number, number>();
  readonly #paused = new Set<number>();
  /** Partitions that are to begin at a time. */
  readonly #times = new Map<number, number>();
  /** Positions that were delivered and not yet committed. */
  readonly #uncommitted = new Map<number, number>();
  /** How often a partition was sought: a read that was under way then is not delivered. */
  #seeks = 0;
  #assigned: number[] = [];
  #last = -1;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();

  /** @internal Use `topic.consumer()`. */
  constructor(source: ConsumerSource<V, K>, options: ConsumerOptions) {
    this.#source = source;
    this.#options = options;
    this.#maxBytes = Math.max(1, parseSize(options.maxBytes ?? 1024 * 1024, 'maxBytes'));
  }

  /** The partitions that this consumer reads, as of its last read. */
  get assignment(): readonly number[] {
    return this.#assigned;
  }

  /**
   * Waits for messages.
   *
   * @returns the next messages of one partition, or `undefined` once closed. Partitions take turns.
   * @throws ERR_CLOSED, ERR_NOT_FOUND if the topic was deleted, ERR_CORRUPTION at damaged messages (the consumer stays
   * there: see `pastDamage` and {@link Consumer.seek}), ERR_IO
   * @example
   * ```ts
   * const consumer = topic.consumer({ from: 'earliest' });
   * const batch = await consumer.next();
   * await consumer.close();
   * ```
   */
  next(): Promise<MessageBatch<V, K> | undefined> {
    const result = this.#tail.then(() => this.#next());
    this.#tail = result.catch(() => {});
    return result;
  }

  /**
   * Keeps how far the group has come: behind every batch that was returned, or at the positions given (the next message
   * to be read).
   *
   * @throws ERR_INVALID_ARGUMENT without a group, ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   * @example
   * ```ts
   * const consumer = topic.consumer({ group: 'mail' });
   * for (const message of (await consumer.next()) ?? []) await send(message.value);
   * await consumer.commit();
   * await consumer.close();
   * ```
   */
  async commit(positions?: readonly MessagePosition[], options: { durability?: 'wal' | 'fsync' } = {}): Promise<void> {
    if (this.#options.group === undefined) throw invalid('a consumer without a group has no offsets to commit');
    checkNames(options, new Set(['durability']), 'of commit');
    const pairs =
      positions === undefined
        ? [...this.#uncommitted].flat()
        : positions.flatMap(({ partition, offset }) => [
            wholeNumber(partition, 'partition', 0, 1023),
            wholeNumber(offset, 'offset'),
          ]);
    if (pairs.length === 0) return;
    await call<undefined>((ticket) => this.#source.native.commit(ticket, pairs, options.durability === 'fsync'));
    for (let i = 0; i < pairs.length; i += 2) {
      const partition = pairs[i] as number;
      if (this.#uncommitted.get(partition) === pairs[i + 1]) this.#uncommitted.delete(partition);
    }
  }

  /**
   * The offsets that the group has committed, by partition.
   *
   * @throws ERR_INVALID_ARGUMENT without a group, ERR_CLOSED
   * @example
   * ```ts
   * const consumer = topic.consumer({ group: 'mail' });
   * const offsets = await consumer.committed(); // Map { partition => offset }
   * await consumer.close();
   * ```
   */
  async committed(): Promise<Map<number, number>> {
    if (this.#options.group === undefined) throw invalid('a consumer without a group has no offsets');
    const pairs = await call<number[]>((ticket) => this.#source.native.committed(ticket));
    const offsets = new Map<number, number>();
    for (let i = 0; i < pairs.length; i += 2) offsets.set(pairs[i] as number, pairs[i + 1] as number);
    return offsets;
  }

  /**
   * Goes on at an offset or a time (the first message that is not older), from the next read on.
   *
   * @throws ERR_INVALID_ARGUMENT
   * @example
   * ```ts
   * const consumer = topic.consumer({ group: 'replay' });
   * consumer.seek(0, { timestamp: Date.now() - 3600 * 1000 });
   * await consumer.close();
   * ```
   */
  seek(partition: number, to: number | { timestamp: number }): void {
    wholeNumber(partition, 'partition', 0, 1023);
    this.#seeks++;
    this.#uncommitted.delete(partition);
    if (typeof to === 'number') {
      this.#positions.set(partition, wholeNumber(to, 'offset'));
      this.#times.delete(partition);
    } else {
      this.#times.set(partition, wholeNumber(to?.timestamp, 'timestamp'));
      this.#positions.set(partition, 0);
    }
    this.#source.native.wake();
  }

  /**
   * Reads these partitions no further until `resume`. Default: all that are assigned.
   *
   * @example
   * ```ts
   * const consumer = topic.consumer();
   * consumer.pause([0]); // other partitions go on
   * consumer.resume([0]);
   * await consumer.close();
   * ```
   */
  pause(partitions: readonly number[] = this.#assigned): void {
    for (const partition of partitions) this.#paused.add(partition);
  }

  /**
   * Default: all.
   *
   * @example
   * ```ts
   * const consumer = topic.consumer();
   * consumer.pause(); // until there is room again
   * consumer.resume();
   * await consumer.close();
   * ```
   */
  resume(partitions: readonly number[] = [...this.#paused]): void {
    for (const partition of partitions) this.#paused.delete(partition);
    this.#source.native.wake();
  }

  /**
   * @returns how many messages of the assigned partitions have not been read yet; 0 before the first `next`.
   *
   * @example
   * ```ts
   * const consumer = topic.consumer({ group: 'mail' });
   * const batch = await consumer.next();
   * console.log(consumer.lag(), 'messages behind');
   * await consumer.close();
   * ```
   */
  lag(): number {
    // Not by sync(), which would say that the batch in hand is done.
    const ends = this.#source.endOffsets();
    let lag = 0;
    for (const partition of this.#assigned) {
      const position = this.#positions.get(partition);
      if (position !== undefined) lag += Math.max(0, (ends[partition] as number) - position);
    }
    return lag;
  }

  /**
   * Where the next read of a partition begins; `undefined` before its first.
   *
   * @example
   * ```ts
   * const consumer = topic.consumer();
   * await consumer.next();
   * const behind = consumer.position(0);
   * await consumer.close();
   * ```
   */
  position(partition: number): number | undefined {
    return this.#times.has(partition) ? undefined : this.#positions.get(partition);
  }

  /**
   * Leaves the group. A pending `next` resolves with `undefined`. May be called more than once.
   *
   * @example
   * ```ts
   * const consumer = topic.consumer({ group: 'mail' });
   * await consumer.close();
   * ```
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.end();
    await this.#tail;
    if (this.#options.autoCommit && this.#source.isOpen()) await this.commit();
    this.#source.native.close();
  }

  /** @internal Ends waiting; the database closes. */
  end(): void {
    this.#closed = true;
    this.#source.closed(this);
    this.#source.native.wake();
    if (!this.#options.autoCommit) this.#source.native.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Leaving the loop closes the consumer. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MessageBatch<V, K>, void, undefined> {
    try {
      for (let batch = await this.next(); batch !== undefined; batch = await this.next()) yield batch;
    } finally {
      await this.close();
    }
  }

  async #next(): Promise<MessageBatch<V, K> | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
      if (this.#options.autoCommit && this.#uncommitted.size > 0) await this.commit();
      const ends = this.#source.native.sync();
      await this.#take(ends);
      const batch = await this.#readOne(ends);
      if (batch !== undefined) return batch;
      if (this.#closed) return undefined;
      await this.#wait();
    }
  }

  /** Begins where it should in partitions that are new here. */
  async #take(ends: readonly number[]): Promise<void> {
    const owned = ends.filter((_, i) => i % 2 === 0);
    for (const partition of this.#positions.keys()) {
      if (this.#assigned.includes(partition) && !owned.includes(partition)) {
        this.#positions.delete(partition);
        this.#times.delete(partition);
        this.#uncommitted.delete(partition);
      }
    }
    this.#assigned = owned;
    if (owned.every((partition) => this.#positions.has(partition))) return;
    const committed = this.#options.group === undefined ? new Map<number, number>() : await this.committed();
    for (let i = 0; i < ends.length; i += 2) {
      const partition = ends[i] as number;
      if (this.#positions.has(partition)) continue;
      const { from = 'earliest' } = this.#options;
      const known = committed.get(partition);
      // A loss of power may have taken messages whose offsets were committed. Those that come now have the same offsets.
      if (known !== undefined)
        this.#positions.set(partition, Math.min(known, this.#source.endOffsets()[partition] ?? known));
      else if (from === 'latest') this.#positions.set(partition, ends[i + 1] as number);
      else {
        this.#positions.set(partition, 0);
        if (from !== 'earliest') this.#times.set(partition, from.timestamp);
      }
    }
  }

  /** Reads the next partition that has something. */
  async #readOne(ends: readonly number[]): Promise<MessageBatch<V, K> | undefined> {
    const count = ends.length / 2;
    const first = Math.max(
      0,
      this.#assigned.findIndex((partition) => partition > this.#last),
    );
    for (let step = 0; step < count; step++) {
      const i = (first + step) % count;
      const partition = ends[2 * i] as number;
      const end = ends[2 * i + 1] as number;
      const position = this.#positions.get(partition) as number;
      const timestamp = this.#times.get(partition);
      if (this.#paused.has(partition) || (timestamp === undefined && position >= end)) continue;
      const seeks = this.#seeks;
      const chunk = await call<NativeTopicChunk>((ticket) =>
        this.#source.native.read(
          ticket,
          partition,
          position,
          timestamp ?? -1,
          this.#maxBytes,
          this.#options.pastDamage ?? false,
        ),
      );
      if (this.#closed) return undefined;
      if (this.#seeks !== seeks) return this.#readOne(ends);
      const batch = new MessageBatch(partition, chunk, this.#source.keys, this.#source.values);
      this.#times.delete(partition);
      this.#positions.set(partition, batch.nextOffset);
      if (batch.length === 0 && batch.lost.length === 0) continue;
      this.#last = partition;
      if (this.#options.group !== undefined) this.#uncommitted.set(partition, batch.nextOffset);
      return batch;
    }
    return undefined;
  }

  async #wait(): Promise<void> {
    const offsets: number[] = [];
    for (const partition of this.#assigned) {
      const position = this.#positions.get(partition);
      if (position !== undefined && !this.#paused.has(partition)) offsets.push(partition, position);
    }
    await call<undefined>((ticket) => this.#source.native.wait(ticket, offsets, this.#options.pastDamage ?? false));
  }
}
