import { checkNames } from '../checks.ts';
import { call, takeError } from '../dispatcher.ts';
import type { WriteSettings } from '../durability.ts';
import type { KeyCodec, ValueCodec } from '../encoding.ts';
import { invalid, ThermoclineError } from '../error.ts';
import type { NativeTopic, NativeTopicChunk } from '../native-topics.ts';
import { parseSize, type Size } from '../size.ts';
import { type AppendOptions, Appends, type Ending, type MessagePosition } from './appends.ts';
import { Consumer, type ConsumerOptions, checkConsumerOptions } from './consumer.ts';
import { MessageBatch, type MessageInput } from './message.ts';
import { CONFIGURE_NAMES, nativeTopicOptions, settingsOf, type TopicSettings, wholeNumber } from './options.ts';

/** Options of `topic.read`. */
export interface TopicReadOptions {
  /** Default 0. */
  partition?: number;
  /** Begin with this message. Default: the first there is. */
  offset?: number;
  /** Begin with the first message that is not older; Unix milliseconds. Instead of `offset`. */
  timestamp?: number;
  /** Bytes of messages; one append is always read whole. Default 1 MB. */
  maxBytes?: Size;
  /** Pass over damaged messages, and say so in `batch.lost`, instead of failing. Default `false`. */
  pastDamage?: boolean;
}

/** One partition in figures. */
export interface PartitionStats {
  partition: number;
  /** Of the first message that is still there. */
  startOffset: number;
  /** That the next message gets. */
  endOffset: number;
  /** On disk, without indexes. */
  bytes: number;
  segments: number;
  /** Of a write that a crash had cut, removed when the topic was opened. */
  cutBytes: number;
}

/** A topic in figures. */
export interface TopicStats {
  name: string;
  settings: Required<TopicSettings>;
  messages: number;
  bytes: number;
  partitions: PartitionStats[];
}

const READ_NAMES = new Set(['partition', 'offset', 'timestamp', 'maxBytes', 'pastDamage']);
const SEND_NAMES = new Set(['partition', 'offset', 'maxBytes', 'timeout']);

/** @internal */
export interface TopicSource<V, K> {
  readonly native: NativeTopic;
  readonly keys: KeyCodec<K>;
  readonly values: ValueCodec<V>;
  readonly settings: WriteSettings;
  /** What the database ends when it closes. A topic is in it only while it has to: who drops one frees it. */
  readonly busy: Set<Ending>;
  isOpen(): boolean;
}

/** An open topic. Made by `db.topics.create` and `db.topics.open`; it closes with its database. */
export class Topic<V = Buffer, K = string> {
  readonly name: string;
  readonly #source: TopicSource<V, K>;
  readonly #native: NativeTopic;
  readonly #appends: Appends<V, K>;

  /** @internal Use `db.topics`. */
  constructor(source: TopicSource<V, K>) {
    this.#source = source;
    this.#native = source.native;
    this.name = source.native.info().name;
    this.#appends = new Appends(source.native, source.keys, source.values, source.settings, source.busy);
  }

  /** @internal */
  get codecs(): { native: NativeTopic; keys: KeyCodec<K>; values: ValueCodec<V> } {
    this.#checkOpen();
    return { native: this.#native, keys: this.#source.keys, values: this.#source.values };
  }

  get partitions(): number {
    return this.#native.info().partitions;
  }

  get settings(): Required<TopicSettings> {
    return settingsOf(this.#native.info());
  }

  /**
   * Appends messages. Those of one call, and of all calls of one turn of the event loop that ask for the same, are
   * written together: all that go to one partition or none.
   *
   * @returns where they went, in their order.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_NOT_FOUND if the topic was deleted, ERR_CONFLICT if
   * the producer's sequence number is too old, ERR_BACKPRESSURE, ERR_NO_SPACE, ERR_CORRUPTION, ERR_IO, ERR_ABORTED
   * @example
   * ```ts
   * const { partition, offset } = await topic.append({ key: 'user/7', value: Buffer.from('signed up') });
   * await topic.append([{ value: first }, { value: second }], { durability: 'fsync' });
   * ```
   */
  append(message: MessageInput<V, K>, options?: AppendOptions<K>): Promise<MessagePosition>;
  append(messages: readonly MessageInput<V, K>[], options?: AppendOptions<K>): Promise<MessagePosition[]>;
  append(
    messages: MessageInput<V, K> | readonly MessageInput<V, K>[],
    options?: AppendOptions<K>,
  ): Promise<MessagePosition | MessagePosition[]> {
    try {
      this.#checkOpen();
      if (Array.isArray(messages)) return this.#appends.append(messages, options);
      return this.#appends.append([messages as MessageInput<V, K>], options).then(([position]) => position as never);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Reads messages of one partition without waiting for any. Uncompressed ones are not copied: their Buffers are views
   * of the log.
   *
   * @returns messages from the place asked for; from the first there is if that one was deleted; none at the end.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION (names segment and offset), ERR_FORMAT_VERSION, ERR_IO
   * @example
   * ```ts
   * let offset = 0;
   * for (;;) {
   *   const batch = await topic.read({ offset });
   *   if (batch.length === 0) break;
   *   for (const message of batch) console.log(message.offset, message.value);
   *   offset = batch.nextOffset;
   * }
   * ```
   */
  async read(options: TopicReadOptions = {}): Promise<MessageBatch<V, K>> {
    this.#checkOpen();
    checkNames(options, READ_NAMES, 'of read');
    const partition = this.#partition(options.partition);
    const { offset = 0, timestamp, pastDamage = false } = options;
    wholeNumber(offset, 'offset');
    if (timestamp !== undefined) {
      wholeNumber(timestamp, 'timestamp');
      if (options.offset !== undefined) throw invalid('read takes an offset or a timestamp, not both');
    }
    if (typeof pastDamage !== 'boolean') throw invalid('pastDamage must be true or false');
    const maxBytes = options.maxBytes === undefined ? 1024 * 1024 : parseSize(options.maxBytes, 'maxBytes');
    const reader = this.#native.consumer(undefined);
    if (reader === undefined) throw takeError();
    const chunk = await call<NativeTopicChunk>((ticket) =>
      reader.read(ticket, partition, offset, timestamp ?? -1, Math.max(1, maxBytes), pastDamage),
    );
    return new MessageBatch(partition, chunk, this.#source.keys, this.#source.values);
  }

  /**
   * Reads messages as they arrive, alone or as one of a group that shares the partitions.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED
   * @example
   * ```ts
   * for await (const batch of topic.consumer({ group: 'mail' })) for (const message of batch) await send(message.value);
   * ```
   */
  consumer(options: ConsumerOptions = {}): Consumer<V, K> {
    this.#checkOpen();
    checkConsumerOptions(options);
    const native = this.#native.consumer(options.group);
    if (native === undefined) throw takeError();
    const { keys, values, busy } = this.#source;
    const isOpen = () => this.#source.isOpen();
    const closed = (consumer: Consumer<V, K>) => busy.delete(consumer);
    const endOffsets = () => this.#native.info().figures.map(({ endOffset }) => endOffset);
    const consumer = new Consumer({ native, keys, values, isOpen, endOffsets, closed }, options);
    busy.add(consumer);
    return consumer;
  }

  /**
   * Changes settings while the topic is in use; `partitions` can grow. What is not given stays.
   *
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   * @example
   * ```ts
   * await topic.configure({ retention: { ms: 7 * 24 * 3600 * 1000 } });
   * ```
   */
  async configure(settings: TopicSettings): Promise<void> {
    this.#checkOpen();
    checkNames(settings, CONFIGURE_NAMES, 'of configure');
    const options = nativeTopicOptions(settings);
    await call<undefined>((ticket) => this.#native.configure(ticket, options));
  }

  /**
   * Deletes whole segments whose messages all lie before an offset.
   *
   * @returns how many segments were deleted.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_IO
   * @example
   * ```ts
   * const deleted = await topic.deleteBefore({ partition: 0, offset: 100 });
   * ```
   */
  async deleteBefore(position: { partition?: number; offset: number }): Promise<number> {
    this.#checkOpen();
    const partition = this.#partition(position?.partition);
    const offset = wholeNumber(position?.offset, 'offset');
    return call<number>((ticket) => this.#native.deleteBefore(ticket, partition, offset));
  }

  /**
   * @returns the last sequence number that an idempotent producer has appended with, or `undefined` if it is not known:
   * where it goes on after a restart.
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * const sequence = topic.lastSequence(7) ?? -1; // of producer 7: it goes on behind it
   * ```
   */
  lastSequence(producer: number, partition = 0): number | undefined {
    this.#checkOpen();
    return this.#native.lastSequence(this.#partition(partition), wholeNumber(producer, 'producer', 1));
  }

  /**
   * Sends batches as they are stored to a connected stream socket, from the page cache and without passing through the
   * program (`sendfile`).
   *
   * @param descriptor of the socket; nothing else may write to it meanwhile. It may be closed: a duplicate is used.
   * @param options `timeout`: milliseconds without progress after which it fails, default 30,000; others as in `read`
   * @returns how many bytes went, and the offset behind them.
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_ABORTED, ERR_IO
   */
  async send(
    descriptor: number,
    options: { partition?: number; offset?: number; maxBytes?: Size; timeout?: number } = {},
  ): Promise<{ bytes: number; nextOffset: number }> {
    this.#checkOpen();
    checkNames(options, SEND_NAMES, 'of send');
    const partition = this.#partition(options.partition);
    const offset = wholeNumber(options.offset ?? 0, 'offset');
    const maxBytes = parseSize(options.maxBytes ?? 1024 * 1024, 'maxBytes');
    const timeout = wholeNumber(options.timeout ?? 30_000, 'timeout', 1, 2 ** 31 - 1);
    wholeNumber(descriptor, 'the descriptor', 0, 2 ** 31 - 1);
    const [bytes, nextOffset] = await call<[number, number]>((ticket) =>
      this.#native.send(ticket, partition, offset, maxBytes, descriptor, timeout),
    );
    return { bytes, nextOffset };
  }

  /**
   * @throws ERR_CLOSED
   *
   * @example
   * ```ts
   * const { partitions } = topic.stats();
   * ```
   */
  stats(): TopicStats {
    this.#checkOpen();
    const info = this.#native.info();
    const partitions = info.figures.map((figures, partition) => ({ partition, ...figures }));
    return {
      name: this.name,
      settings: settingsOf(info),
      messages: partitions.reduce((sum, each) => sum + each.endOffset - each.startOffset, 0),
      bytes: partitions.reduce((sum, each) => sum + each.bytes, 0),
      partitions,
    };
  }

  #partition(partition: number | undefined): number {
    const number = wholeNumber(partition ?? 0, 'partition', 0, 1023);
    if (number < this.partitions) return number;
    throw invalid(`the topic '${this.name}' has no partition ${number}`);
  }

  #checkOpen(): void {
    if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
  }
}
