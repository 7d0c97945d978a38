import { codecOf } from '../change-codec.ts';
import { ChangeFeed } from '../changes.ts';
import { checkNames } from '../checks.ts';
import { call, takeError } from '../dispatcher.ts';
import type { WriteSettings } from '../durability.ts';
import {
  bufferValues,
  type Codec,
  type KeyCodec,
  type KeyEncoding,
  keyCodec,
  utf8Keys,
  type ValueCodec,
  type ValueEncoding,
  valueCodec,
} from '../encoding.ts';
import { invalid, ThermoclineError } from '../error.ts';
import type { NativeDatabase } from '../native.ts';
import { type NativeTopic, nativeTopics } from '../native-topics.ts';
import type { Ending } from './appends.ts';
import { ChangeLog } from './change-log.ts';
import { CREATE_NAMES, nativeTopicOptions, OPEN_NAMES, type TopicEncodings, type TopicSettings } from './options.ts';
import type { TopicCounters, TopicRepair, TopicReport } from './report.ts';
import { Topic } from './topic.ts';

type Inherit = 'inherit';
type KeyOf<E, K> = E extends Inherit ? K : E extends 'buffer' ? Buffer : string;
// biome-ignore format: a table
type ValueOf<E, V> = E extends Inherit ? V : E extends 'utf8' ? string : E extends 'json' ? unknown : E extends Codec<infer T> ? T : Buffer;

/** @internal */
export interface TopicsSource<K, V> {
  readonly native: NativeDatabase;
  readonly keys: KeyCodec<K>;
  readonly values: ValueCodec<V>;
  readonly settings: WriteSettings;
  isOpen(): boolean;
}

/**
 * The topics of a database: append-only logs of messages, in partitions. `db.topics`.
 *
 * @example
 * ```ts
 * const topic = await db.topics.create('events', { partitions: 4, valueEncoding: 'json' });
 * await topic.append({ key: 'user/7', value: { signedUp: true } });
 * ```
 */
export class Topics<K = string, V = Buffer> {
  readonly #source: TopicsSource<K, V>;
  /** Appends that were not sent yet, and consumers. */
  readonly #busy = new Set<Ending>();

  /** @internal Use `db.topics`. */
  constructor(source: TopicsSource<K, V>) {
    this.#source = source;
  }

  /**
   * Creates a topic; it survives a loss of power when this resolves.
   *
   * @param name 1 to 200 of `A-Z a-z 0-9 . _ -`
   * @throws ERR_INVALID_ARGUMENT, also if it exists; ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO
   */
  async create<KE extends KeyEncoding | Inherit = Inherit, VE extends ValueEncoding<unknown> | Inherit = Inherit>(
    name: string,
    options: TopicSettings & TopicEncodings<KE & KeyEncoding, VE & ValueEncoding<unknown>> = {},
  ): Promise<Topic<ValueOf<VE, V>, KeyOf<KE, K>>> {
    this.#check(name);
    checkNames(options, CREATE_NAMES, 'of create');
    const { keyEncoding, valueEncoding, ...settings } = options;
    const native = nativeTopicOptions(settings);
    const codecs = this.#codecs(keyEncoding, valueEncoding);
    return this.#opened(
      call<NativeTopic>((ticket) => nativeTopics.createTopic(this.#source.native, ticket, name, native)),
      codecs,
    ) as never;
  }

  /**
   * Opens a topic that exists. Every call makes an object of its own, which is freed like any other.
   *
   * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_CORRUPTION, ERR_FORMAT_VERSION, ERR_IO
   */
  async open<KE extends KeyEncoding | Inherit = Inherit, VE extends ValueEncoding<unknown> | Inherit = Inherit>(
    name: string,
    options: TopicEncodings<KE & KeyEncoding, VE & ValueEncoding<unknown>> = {},
  ): Promise<Topic<ValueOf<VE, V>, KeyOf<KE, K>>> {
    this.#check(name);
    checkNames(options, OPEN_NAMES, 'of open');
    const codecs = this.#codecs(options.keyEncoding, options.valueEncoding);
    return this.#opened(
      call<NativeTopic>((ticket) => nativeTopics.openTopic(this.#source.native, ticket, name)),
      codecs,
    ) as never;
  }

  /**
   * @returns the names of all topics, in alphabetical order. @throws ERR_CLOSED, ERR_IO
   *
   * @example
   * ```ts
   * for (const name of await db.topics.list()) console.log(name);
   * ```
   */
  async list(): Promise<string[]> {
    this.#checkOpen();
    return call<string[]>((ticket) => nativeTopics.listTopics(this.#source.native, ticket));
  }

  /**
   * Deletes a topic with its messages. What was read of them stays with whoever holds it; appends and consumers fail
   * with ERR_NOT_FOUND.
   *
   * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_IO
   * @example
   * ```ts
   * await db.topics.create('scratch');
   * await db.topics.delete('scratch');
   * ```
   */
  async delete(name: string): Promise<void> {
    this.#check(name);
    await call<undefined>((ticket) => nativeTopics.deleteTopic(this.#source.native, ticket, name));
  }

  /**
   * Rolls segments, deletes what retention gives up and syncs what waits for it, now, in all topics that are open. It
   * happens by itself every few seconds.
   *
   * @throws ERR_CLOSED, ERR_READ_ONLY, ERR_IO
   * @example
   * ```ts
   * await db.topics.tidy();
   * ```
   */
  async tidy(): Promise<void> {
    this.#checkOpen();
    await call<undefined>((ticket) => nativeTopics.keepTopics(this.#source.native, ticket));
  }

  /**
   * @throws ERR_CLOSED
   * @example
   * ```ts
   * const stats = db.topics.stats();
   * ```
   */
  stats(): TopicCounters {
    this.#checkOpen();
    const counters = nativeTopics.topicMetrics(this.#source.native);
    if (counters === undefined) throw takeError();
    return counters as TopicCounters;
  }

  /**
   * Reads every byte of a topic that nobody has opened: checksums, offsets, records, indexes. Changes nothing.
   *
   * @throws ERR_LOCKED if it is open, ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_FORMAT_VERSION, ERR_IO
   * @example
   * ```ts
   * const report = await db.topics.check('audit');
   * ```
   */
  async check(name: string): Promise<TopicReport> {
    this.#check(name);
    return call<TopicReport>((ticket) => nativeTopics.checkTopic(this.#source.native, ticket, name));
  }

  /**
   * Rewrites damaged segments without what is damaged; all other messages keep their offsets. With `rewrite`, rewrites
   * every segment in the current format, compressed as asked.
   *
   * @throws as {@link Topics.check}, and ERR_READ_ONLY, ERR_NO_SPACE
   * @example
   * ```ts
   * const report = await db.topics.repair('audit');
   * ```
   */
  async repair(
    name: string,
    options: { rewrite?: boolean; compression?: TopicSettings['compression'] } = {},
  ): Promise<TopicRepair> {
    this.#check(name);
    checkNames(options, new Set(['rewrite', 'compression']), 'of repair');
    const { rewrite = false, compression = 'none' } = options;
    if (typeof rewrite !== 'boolean') throw invalid('rewrite must be true or false');
    if (options.compression !== undefined && !rewrite) throw invalid('compression needs rewrite');
    const { codec = 0, level = 0 } = nativeTopicOptions({ compression });
    return call<TopicRepair>((ticket) =>
      nativeTopics.repairTopic(this.#source.native, ticket, name, rewrite, codec, level),
    );
  }

  /**
   * Keeps the changes of the database in a topic, which is created with one partition if there is none. Goes on where the
   * topic ends, after a crash too; a new one begins where the feed does. The feed is the topic's then.
   *
   * @param changes a feed that was not read from
   * @throws ERR_INVALID_ARGUMENT, ERR_CLOSED, ERR_READ_ONLY, ERR_NO_SPACE, ERR_CORRUPTION, ERR_IO
   * @example
   * ```ts
   * const log = await db.topics.from(db.changes({ since: 0 }), { topic: 'audit' });
   * for await (const batch of log.topic.consumer()) for (const { value } of batch) console.log(value.operations);
   * ```
   */
  async from(changes: ChangeFeed<K, V>, options: { topic?: string } = {}): Promise<ChangeLog<K, V>> {
    if (!(changes instanceof ChangeFeed)) throw invalid('from takes what db.changes() gives');
    checkNames(options, new Set(['topic']), 'of from');
    const { topic = 'changes' } = options;
    this.#check(topic);
    const native = await this.#openOrCreate(topic);
    const { settings, isOpen } = this.#source;
    const { keys, values } = changes;
    const decoded = {
      native,
      settings,
      isOpen,
      busy: this.#busy,
      keys: utf8Keys,
      values: valueCodec(codecOf(keys, values)),
    };
    const raw = new Topic({ ...decoded, values: bufferValues });
    return new ChangeLog(changes, new Topic(decoded as never), (messages, sequence) =>
      raw.append(messages, ChangeLog.appendOptions(sequence)),
    );
  }

  /** @internal The database closes. */
  end(): void {
    for (const each of [...this.#busy]) each.end();
  }

  async #opened(native: Promise<NativeTopic>, codecs: { keys: unknown; values: unknown }): Promise<unknown> {
    const { settings, isOpen } = this.#source;
    const opened = await native;
    const { keys, values } = codecs as { keys: never; values: never };
    return new Topic({ native: opened, keys, values, settings, isOpen, busy: this.#busy });
  }

  async #openOrCreate(name: string): Promise<NativeTopic> {
    const { native } = this.#source;
    try {
      return await call<NativeTopic>((ticket) => nativeTopics.openTopic(native, ticket, name));
    } catch (error) {
      if (!(error instanceof ThermoclineError && error.code === 'ERR_NOT_FOUND')) throw error;
      return call<NativeTopic>((ticket) => nativeTopics.createTopic(native, ticket, name, { partitions: 1 }));
    }
  }

  #codecs(keyEncoding: unknown, valueEncoding: unknown): { keys: unknown; values: unknown } {
    return {
      keys: keyEncoding === undefined ? this.#source.keys : keyCodec(keyEncoding),
      values: valueEncoding === undefined ? this.#source.values : valueCodec(valueEncoding),
    };
  }

  #check(name: unknown): void {
    this.#checkOpen();
    if (typeof name !== 'string') throw invalid("a topic's name must be a string");
  }

  #checkOpen(): void {
    if (!this.#source.isOpen()) throw new ThermoclineError('ERR_CLOSED', 'the database is closed');
  }
}
