import type { Change } from '../change.ts';
import { encodeChange } from '../change-codec.ts';
import type { ChangeFeed } from '../changes.ts';
import { ThermoclineError } from '../error.ts';
import type { MessageInput } from './message.ts';
import type { Topic } from './topic.ts';

/** The producer whose sequence numbers say how far a topic has come. Programs may use smaller numbers. */
const PRODUCER: number = Number.MAX_SAFE_INTEGER;
const PARTITION = 0;

/**
 * A topic that is filled with the changes of a database. Made by `db.topics.from`. Each change is one message of
 * partition 0. What a crash interrupts goes on behind the last change that the topic has, so each is there once.
 */
export class ChangeLog<K = string, V = Buffer> {
  readonly topic: Topic<Change<K, V>, string>;
  /**
   * Ends when the feed does: resolves if it was closed, rejects if it fails, such as with ERR_GAP if the topic was not
   * filled for so long that the log is gone.
   */
  readonly done: Promise<void>;
  readonly #feed: ChangeFeed<K, V>;
  #sequence: number;

  /** @internal */
  constructor(
    feed: ChangeFeed<K, V>,
    topic: Topic<Change<K, V>, string>,
    append: (messages: MessageInput<Buffer, string>[], sequence: number) => Promise<unknown>,
  ) {
    this.topic = topic;
    this.#feed = feed;
    const last = topic.lastSequence(PRODUCER, PARTITION);
    feed.restart(last ?? feed.sequence);
    this.#sequence = feed.sequence;
    this.done = this.#run(append).finally(() => feed.close());
    this.done.catch(() => {}); // for whoever awaits it
  }

  /** Of the last change that is in the topic; where the feed began, if none is. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Stops filling the topic, which stays open.
   *
   * @example
   * ```ts
   * const log = await db.topics.from(db.changes({ since: 0 }));
   * await log.close();
   * ```
   */
  async close(): Promise<void> {
    await this.#feed.close();
    await this.done.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(append: (messages: MessageInput<Buffer, string>[], sequence: number) => Promise<unknown>): Promise<void> {
    for (;;) {
      const changes = await this.#feed.nextBytes();
      const last = changes.at(-1);
      if (last === undefined) return;
      try {
        await append(
          changes.map((change) => ({ value: encodeChange(change) })),
          last.sequence,
        );
      } catch (error) {
        // The database closes: the rest is appended when it is open again.
        if (error instanceof ThermoclineError && error.code === 'ERR_CLOSED') return;
        throw error;
      }
      this.#sequence = last.sequence;
    }
  }

  /** @internal */
  static readonly appendOptions = (
    sequence: number,
  ): { partition: number; producer: { id: number; sequence: number } } => ({
    partition: PARTITION,
    producer: { id: PRODUCER, sequence },
  });
}
