/** What a tuple may hold. */
export type TupleElement = null | boolean | number | bigint | Date | string | Uint8Array | readonly TupleElement[];

/** A composite key. */
export type Tuple = readonly TupleElement[];

/** The tuples that a tuple of type `T` may begin with, itself among them. */
export type TupleHead<T extends Tuple> = T extends readonly [infer First, ...infer Rest extends Tuple]
  ? readonly [] | readonly [First, ...TupleHead<Rest>]
  : T;

/** What bounds and prefixes of a range may be: for tuples also their beginnings. */
export type BoundOf<K> = K extends Tuple ? TupleHead<K> : K;
