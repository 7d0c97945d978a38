import { Block } from './block.ts';
import type { Change, ChangeOperation } from './change.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import type { NativeChangeChunk } from './native-changes.ts';

const PUT = 0;
const DELETE = 1;
const DELETE_FROM = 3;

/** @internal Changes that crossed together, decoded one by one. */
export class ChangeChunk {
  readonly #block: Block;
  readonly #numbers: Float64Array;
  #at = 0;
  #byte = 0;

  constructor([block, numbers]: NativeChangeChunk) {
    this.#block = Block.shared(block);
    this.#numbers = numbers;
  }

  get done(): boolean {
    return this.#at === this.#numbers.length;
  }

  /** REQUIRES: not done. A codec that throws leaves the place where it was. */
  next<K, V>(keys: KeyCodec<K>, values: ValueCodec<V>): Change<K, V> {
    const numbers = this.#numbers;
    let at = this.#at;
    let byte = this.#byte;
    const sequence = numbers[at++] as number;
    const id = numbers[at++] as number;
    const count = numbers[at++] as number;
    const operations: ChangeOperation<K, V>[] = [];
    for (let i = 0; i < count; i++, at += 5) {
      const type = numbers[at] as number;
      const shard = numbers[at + 1] as number;
      const expires = numbers[at + 2] as number;
      const keyEnd = byte + (numbers[at + 3] as number);
      const end = keyEnd + (numbers[at + 4] as number);
      if (type === PUT) {
        const key = keys.decode(this.#block, byte, keyEnd);
        const value = values.decode(this.#block, keyEnd, end);
        operations.push(
          expires === 0 ? { type: 'put', shard, key, value } : { type: 'put', shard, key, value, expires },
        );
      } else if (type === DELETE) {
        operations.push({ type: 'delete', shard, key: keys.decode(this.#block, byte, keyEnd) });
      } else {
        const gte = this.#block.view(byte, keyEnd);
        operations.push(
          type === DELETE_FROM
            ? { type: 'deleteRange', gte }
            : { type: 'deleteRange', gte, lt: this.#block.view(keyEnd, end) },
        );
      }
      byte = end;
    }
    this.#at = at;
    this.#byte = byte;
    return { sequence, id, operations };
  }
}
