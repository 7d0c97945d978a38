// What the database promises, in a few lines: an ordered map of byte strings.

import type { IteratorOptions, KeyRange } from '../../lib/index.ts';

/** A record of the model: the key's bytes, and the value as the test wrote it. */
export type Entry<V> = [key: Buffer, value: V];

/** Whether a key lies in a range of Buffers. */
export function covers(range: KeyRange<Buffer>, key: Buffer): boolean {
  const { gt, gte, lt, lte, prefix } = range;
  if (gt !== undefined && key.compare(gt) <= 0) return false;
  if (gte !== undefined && key.compare(gte) < 0) return false;
  if (lt !== undefined && key.compare(lt) >= 0) return false;
  if (lte !== undefined && key.compare(lte) > 0) return false;
  return prefix === undefined || key.subarray(0, prefix.length).equals(prefix);
}

/** The records that an iterator with these options yields, from what is in order already. */
export function select<V>(sorted: readonly Entry<V>[], options: IteratorOptions<Buffer, never> = {}): Entry<V>[] {
  const found = sorted.filter(([key]) => covers(options, key));
  if (options.reverse === true) found.reverse();
  const { limit = -1 } = options;
  return limit < 0 ? found : found.slice(0, limit);
}

/** What is left of a walk after seeking to `target`. */
export function afterSeek<V>(walk: readonly Entry<V>[], target: Buffer, reverse = false): Entry<V>[] {
  return walk.filter(([key]) => (reverse ? key.compare(target) <= 0 : key.compare(target) >= 0));
}

export class Model<V> {
  readonly #values = new Map<string, V>();

  get size(): number {
    return this.#values.size;
  }

  put(key: Buffer, value: V): void {
    this.#values.set(key.toString('latin1'), value);
  }

  get(key: Buffer): V | undefined {
    return this.#values.get(key.toString('latin1'));
  }

  delete(key: Buffer): void {
    this.#values.delete(key.toString('latin1'));
  }

  deleteRange(range: KeyRange<Buffer>): void {
    for (const name of [...this.#values.keys()]) {
      if (covers(range, Buffer.from(name, 'latin1'))) this.#values.delete(name);
    }
  }

  /** In the order of the bytes. */
  entries(): Entry<V>[] {
    // latin1 keeps one character per byte, so that strings sort as bytes do.
    const names = [...this.#values.keys()].sort();
    return names.map((name) => [Buffer.from(name, 'latin1'), this.#values.get(name) as V]);
  }

  copy(): Model<V> {
    const copy = new Model<V>();
    for (const [name, value] of this.#values) copy.#values.set(name, value);
    return copy;
  }
}
