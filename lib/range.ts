import { checkNames } from './checks.ts';
import type { KeyCodec } from './encoding.ts';
import { invalid } from './error.ts';
import type { BoundOf } from './tuple-types.ts';

/** Which keys an operation covers. Bounds combine; none means everything. */
export interface KeyRange<K> {
  /** Only keys after this one. */
  gt?: BoundOf<K>;
  /** Only this key and those after it. */
  gte?: BoundOf<K>;
  /** Only keys before this one. */
  lt?: BoundOf<K>;
  /** Only this key and those before it. */
  lte?: BoundOf<K>;
  /** Only keys that begin with this. */
  prefix?: BoundOf<K>;
}

/** @internal Inclusive start, exclusive end, in bytes. */
export interface Bounds {
  start: Buffer | undefined;
  end: Buffer | undefined;
}

/** @internal */
export const RANGE_NAMES: readonly string[] = ['gt', 'gte', 'lt', 'lte', 'prefix'];
const RANGE_SET = new Set(RANGE_NAMES);

const ZERO = Buffer.alloc(1);

/** @internal The bytes of a key, checked. */
export function keyBytes(codec: KeyCodec<unknown>, key: unknown): Buffer {
  const encoded = codec.encode(key);
  if (typeof encoded !== 'string') return Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  if (!(encoded as unknown as { isWellFormed(): boolean }).isWellFormed()) {
    throw invalid('a bound has a lone surrogate, which UTF-8 cannot hold');
  }
  return Buffer.from(encoded);
}

/** The smallest bytes that sort after everything beginning with `prefix`; undefined if there are none. */
function afterPrefix(prefix: Buffer): Buffer | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const after = Buffer.from(prefix.subarray(0, length));
  after[length - 1] = (after[length - 1] as number) + 1;
  return after;
}

/** @internal */
export function boundsOf(codec: KeyCodec<unknown>, range: KeyRange<unknown>): Bounds {
  let start: Buffer | undefined;
  let end: Buffer | undefined;
  const raise = (bytes: Buffer) => {
    if (start === undefined || bytes.compare(start) > 0) start = bytes;
  };
  const lower = (bytes: Buffer | undefined) => {
    if (bytes !== undefined && (end === undefined || bytes.compare(end) < 0)) end = bytes;
  };
  if (range.gte !== undefined) raise(Buffer.from(keyBytes(codec, range.gte)));
  if (range.gt !== undefined) raise(Buffer.concat([keyBytes(codec, range.gt), ZERO]));
  if (range.lt !== undefined) lower(Buffer.from(keyBytes(codec, range.lt)));
  if (range.lte !== undefined) lower(Buffer.concat([keyBytes(codec, range.lte), ZERO]));
  if (range.prefix !== undefined) {
    const prefix = keyBytes(codec, range.prefix);
    raise(Buffer.from(prefix));
    lower(afterPrefix(prefix));
  }
  return { start, end };
}

/** @internal A range argument of a method that takes nothing but a range. */
export function rangeArgument(range: unknown, where: string): KeyRange<unknown> {
  if (typeof range !== 'object' || range === null || Array.isArray(range)) {
    throw invalid(`${where} takes a range: an object with any of ${RANGE_NAMES.join(', ')}`);
  }
  checkNames(range, RANGE_SET, `of ${where}`);
  return range;
}

/** @internal */
export function checkLimit(limit: unknown): void {
  const whole = typeof limit === 'number' && Number.isSafeInteger(limit) && limit >= -1;
  if (!whole && limit !== Number.POSITIVE_INFINITY) throw invalid('limit must be a whole number, or -1 for no limit');
}
