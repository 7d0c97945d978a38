import { checkNames } from '../checks.ts';
import { issueTicket, takeError, withdrawTicket } from '../dispatcher.ts';
import { until, type WriteSettings } from '../durability.ts';
import type { KeyCodec, ValueCodec } from '../encoding.ts';
import { invalid } from '../error.ts';
import { SUBMIT_FSYNC } from '../native.ts';
import type { NativeAppendOutcome, NativeTopic } from '../native-topics.ts';
import type { MessageInput } from './message.ts';
import { wholeNumber } from './options.ts';
import { packMessage } from './pack-message.ts';
import { MessagePacker } from './packer.ts';

/** Where a message went. */
export interface MessagePosition {
  partition: number;
  offset: number;
}

/** Options of `append`. */
export interface AppendOptions<K> {
  /** All messages go to this partition. Default: by key, else partitions take turns. */
  partition?: number;
  /** The key of messages that have none of their own. Default: none. */
  key?: K;
  /** What an acknowledged append has survived. Default: the database's own; `'wal'` for one without a log. */
  durability?: 'wal' | 'fsync';
  /**
   * Makes repeating the append harmless. `id` names the producer, a whole number from 1 on; `sequence` is the number of
   * this append, above that of the one before. Needs `partition`.
   */
  producer?: { id: number; sequence: number };
  /** Gives up waiting: rejects with ERR_ABORTED; the messages may be appended all the same. Default: none. */
  signal?: AbortSignal;
}

const NAMES = new Set(['partition', 'key', 'durability', 'producer', 'signal']);
const WRITE_NAMES = new Set(['durability', 'signal']);
/** Appends of one turn are sent earlier once they fill this. */
const PACK_BYTES = 64 * 1024;

interface Share {
  first: number;
  count: number;
  resolve(positions: MessagePosition[]): void;
  reject(error: Error): void;
}

/** Appends of one turn of the event loop that can be one batch. */
interface Turn {
  partition: number;
  fsync: boolean;
  firstTimestamp: number;
  shares: Share[];
}

/** @internal What has something to finish when its database closes, and is kept until then. */
export interface Ending {
  end(): void;
}

/** @internal Appends to one topic: those of one turn cross to the engine together and become one batch. */
export class Appends<V, K> {
  readonly #native: NativeTopic;
  readonly #keys: KeyCodec<K>;
  readonly #values: ValueCodec<V>;
  readonly #settings: WriteSettings;
  readonly #busy: Set<Ending>;
  readonly #packed = new MessagePacker(2 * PACK_BYTES);
  #turn: Turn | undefined;
  readonly #flushLater = () => this.flush();

  constructor(
    native: NativeTopic,
    keys: KeyCodec<K>,
    values: ValueCodec<V>,
    settings: WriteSettings,
    busy: Set<Ending>,
  ) {
    this.#native = native;
    this.#keys = keys;
    this.#values = values;
    this.#settings = settings;
    this.#busy = busy;
  }

  append(messages: readonly MessageInput<V, K>[], options: AppendOptions<K> | undefined): Promise<MessagePosition[]> {
    let partition = -1;
    let { flags } = this.#settings;
    if (options !== undefined) {
      checkNames(options, NAMES, 'of append');
      if (options.partition !== undefined) partition = wholeNumber(options.partition, 'partition', 0, 1023);
      const { durability, signal } = options;
      const given = {
        ...(durability === undefined ? {} : { durability }),
        ...(signal === undefined ? {} : { signal }),
      };
      flags = this.#settings.check(given, WRITE_NAMES, 'of append');
    }
    const fsync = (flags & SUBMIT_FSYNC) !== 0;
    const producer = options?.producer;
    if (producer !== undefined) {
      if (typeof producer !== 'object' || producer === null) throw invalid('producer must be { id, sequence }');
      wholeNumber(producer.id, 'producer.id', 1);
      wholeNumber(producer.sequence, 'producer.sequence');
      if (partition < 0)
        throw invalid('an append with a producer needs a partition: without one, a repetition may go elsewhere');
      this.flush();
    }
    if (messages.length === 0) return Promise.resolve([]);

    let turn = this.#turn;
    if (turn !== undefined && (turn.partition !== partition || turn.fsync !== fsync)) {
      this.flush();
      turn = undefined;
    }
    turn ??= { partition, fsync, firstTimestamp: 0, shares: [] };
    const packed = this.#packed;
    const { size, count } = packed;
    const { firstTimestamp } = turn;
    try {
      for (let i = 0; i < messages.length; i++) this.#pack(turn, messages[i] as MessageInput<V, K>, options?.key);
    } catch (error) {
      packed.rewind(size, count);
      turn.firstTimestamp = firstTimestamp;
      throw error;
    }
    const appended = new Promise<MessagePosition[]>((resolve, reject) => {
      turn.shares.push({ first: count, count: messages.length, resolve, reject });
    });
    if (producer !== undefined) {
      this.#send(turn, producer.id, producer.sequence);
    } else {
      if (this.#turn === undefined) {
        this.#turn = turn;
        this.#busy.add(this);
        process.nextTick(this.#flushLater);
      }
      if (packed.size >= PACK_BYTES) this.flush();
    }
    return until(options?.signal, appended);
  }

  /** Sends the appends of this turn. */
  flush(): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    this.#busy.delete(this);
    this.#send(turn, 0, 0);
  }

  /** The database closes. */
  end(): void {
    this.flush();
  }

  #pack(turn: Turn, message: MessageInput<V, K>, defaultKey: K | undefined): void {
    packMessage(this.#packed, this.#keys, this.#values, turn, message, defaultKey);
  }

  #send(turn: Turn, producer: number, sequence: number): void {
    const packed = this.#packed;
    const { shares } = turn;
    const ticket = issueTicket<NativeAppendOutcome>(
      (outcome) => settle(shares, outcome),
      (error) => {
        for (const share of shares) share.reject(error);
      },
    );
    const code = this.#native.append(
      ticket,
      packed.buffer,
      packed.size,
      packed.count,
      turn.firstTimestamp,
      turn.partition,
      turn.fsync,
      producer,
      sequence,
    );
    packed.reset();
    if (code === 0) return;
    withdrawTicket(ticket);
    const error = takeError();
    for (const share of shares) share.reject(error);
  }
}

/** Gives each append the positions of its messages. */
function settle(shares: readonly Share[], outcome: NativeAppendOutcome): void {
  const last = outcome[outcome.length - 1];
  if (typeof last !== 'object') {
    const partition = outcome[0] as number;
    const base = outcome[2] as number;
    for (const { first, count, resolve } of shares) {
      resolve(Array.from({ length: count }, (_, i) => ({ partition, offset: base + first + i })));
    }
    return;
  }
  const next = new Map<number, number>();
  for (let i = 0; i + 3 < outcome.length; i += 4) next.set(outcome[i] as number, outcome[i + 2] as number);
  for (const { first, count, resolve } of shares) {
    const positions: MessagePosition[] = [];
    for (let i = first; i < first + count; i++) {
      const partition = last[i] as number;
      const offset = next.get(partition) as number;
      next.set(partition, offset + 1);
      positions.push({ partition, offset });
    }
    resolve(positions);
  }
}
