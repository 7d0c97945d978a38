import { invalid } from '../error.ts';
import type { MessageInput } from './message.ts';
import { wholeNumber } from './options.ts';
import { packMessage } from './pack-message.ts';
import { MessagePacker } from './packer.ts';
import { Topic } from './topic.ts';

/** A message that is committed together with records: `messages` of `batch`, `append` of batches and transactions. */
export interface OutgoingMessage<V = unknown, K = unknown> extends MessageInput<V, K> {
  /** An open topic of the same database. */
  topic: Topic<V, K>;
  /** Default: by key, else partitions take turns. */
  partition?: number;
}

const FIRST_BYTES = 256;

interface Group {
  topic: Topic<unknown, unknown>;
  partition: number;
  firstTimestamp: number;
  packed: MessagePacker;
}

/** @internal The messages of one commit, packed as they are added. */
export class Outgoing {
  readonly #groups: Group[] = [];
  count = 0;

  /** @throws ERR_INVALID_ARGUMENT; nothing is added then */
  // biome-ignore lint/suspicious/noExplicitAny: messages of topics of any kind stand in one list
  add(outgoing: OutgoingMessage<any, any>): void {
    if (typeof outgoing !== 'object' || outgoing === null)
      throw invalid('a message is an object with a topic and a value');
    const { topic, partition, ...message } = outgoing;
    if (!(topic instanceof Topic)) throw invalid('the topic of a message must be an open topic of this database');
    const where = partition === undefined ? -1 : wholeNumber(partition, 'partition', 0, 1023);
    let group = this.#groups.find((each) => each.topic === topic && each.partition === where);
    if (group === undefined) {
      group = { topic, partition: where, firstTimestamp: 0, packed: new MessagePacker(FIRST_BYTES) };
      this.#groups.push(group);
    }
    const { size, count } = group.packed;
    const { keys, values } = topic.codecs;
    try {
      packMessage(group.packed, keys, values, group, message, undefined);
    } catch (error) {
      group.packed.rewind(size, count);
      throw error;
    }
    this.count++;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  addAll(messages: readonly OutgoingMessage<any, any>[]): this {
    if (!Array.isArray(messages)) throw invalid('messages must be an array');
    for (const message of messages) this.add(message);
    return this;
  }

  /** A place to come back to. */
  mark(): { size: number; count: number }[] {
    return this.#groups.map(({ packed: { size, count } }) => ({ size, count }));
  }

  rewind(mark: readonly { size: number; count: number }[]): void {
    this.#groups.length = mark.length;
    this.count = 0;
    for (let i = 0; i < mark.length; i++) {
      const { size, count } = mark[i] as { size: number; count: number };
      (this.#groups[i] as Group).packed.rewind(size, count);
      this.count += count;
    }
  }

  /** What crosses: topic, packed, size, count, first timestamp, partition, of each group. */
  native(): unknown[] | undefined {
    const groups = this.#groups.filter(({ packed }) => packed.count > 0);
    if (groups.length === 0) return undefined;
    return groups.flatMap(({ topic, packed, firstTimestamp, partition }) => [
      topic.codecs.native,
      packed.buffer,
      packed.size,
      packed.count,
      firstTimestamp,
      partition,
    ]);
  }

  /** Bytes of all messages. */
  get bytes(): number {
    return this.#groups.reduce((sum, { packed }) => sum + packed.size, 0);
  }
}
