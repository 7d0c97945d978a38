import type { KeyCodec, ValueCodec } from '../encoding.ts';
import { invalid } from '../error.ts';
import type { MessageInput } from './message.ts';
import { wholeNumber } from './options.ts';
import type { MessagePacker } from './packer.ts';

const NAMES = new Set(['value', 'key', 'id', 'headers', 'timestamp']);

/**
 * Packs one message behind the others of its batch.
 *
 * @internal
 * @param batch its first timestamp, 0 for none, which the first message with a timestamp sets
 * @throws ERR_INVALID_ARGUMENT; what was packed of the message is to be taken back then
 */
export function packMessage<V, K>(
  packed: MessagePacker,
  keys: KeyCodec<K>,
  values: ValueCodec<V>,
  batch: { firstTimestamp: number },
  message: MessageInput<V, K>,
  defaultKey: K | undefined,
): void {
  if (typeof message !== 'object' || message === null) throw invalid('a message is an object with a value');
  for (const name in message) if (!NAMES.has(name)) throw invalid(`a message has no member '${name}'`);
  const { id, headers, timestamp } = message;
  const key = message.key ?? defaultKey;
  if (id !== undefined && typeof id !== 'string') throw invalid("a message's id must be a string");
  if (headers !== undefined) checkHeaders(headers);
  let delta: number | undefined;
  if (timestamp !== undefined) {
    wholeNumber(timestamp, 'timestamp');
    // The others of the batch, which have none, get this one.
    if (batch.firstTimestamp === 0) batch.firstTimestamp = Date.now();
    delta = timestamp - batch.firstTimestamp;
  }
  packed.add(values.encode(message.value), key === undefined ? undefined : keys.encode(key), id, headers, delta);
}

function checkHeaders(headers: object): void {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw invalid('headers must be an object of strings and Buffers');
  }
  for (const value of Object.values(headers)) {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
      throw invalid('headers must be an object of strings and Buffers');
    }
  }
}
