import { checkObject } from './checks.ts';
import type { KeyCodec } from './encoding.ts';
import { invalid } from './error.ts';
import type { Projection } from './iterator.ts';
import { CURSOR_FILL_CACHE, CURSOR_KEYS, CURSOR_REVERSE, CURSOR_VALUES } from './native.ts';
import type { IteratorOptions } from './operations.ts';
import { boundsOf, checkLimit, RANGE_NAMES } from './range.ts';

const ITERATOR_NAMES = new Set([...RANGE_NAMES, 'reverse', 'limit', 'fillCache', 'snapshot']);

/** @internal What the engine is asked for, for an iterator. @throws ERR_INVALID_ARGUMENT */
export function cursorRequest<K, V>(
  codec: KeyCodec<K>,
  projection: Projection,
  options: IteratorOptions<K, V> | undefined,
): { start: Buffer | undefined; end: Buffer | undefined; flags: number; limit: number } {
  checkObject(options, ITERATOR_NAMES, 'of an iterator');
  const { reverse = false, limit = -1, fillCache } = options ?? {};
  if (typeof reverse !== 'boolean') throw invalid('reverse must be true or false');
  checkLimit(limit);
  if (fillCache !== undefined && typeof fillCache !== 'boolean') throw invalid('fillCache must be true or false');
  const { start, end } = boundsOf(codec, options ?? {});
  const bounded = start !== undefined || end !== undefined || limit >= 0;
  let flags = reverse ? CURSOR_REVERSE : 0;
  if (projection !== 'values') flags |= CURSOR_KEYS;
  if (projection !== 'keys') flags |= CURSOR_VALUES;
  if (fillCache ?? bounded) flags |= CURSOR_FILL_CACHE;
  return { start, end, flags, limit: Number.isFinite(limit) ? limit : -1 };
}
