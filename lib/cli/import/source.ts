/** Records of another store: key and value as bytes. */
export type Records = [key: Buffer, value: Buffer][];

/** A database of another store, opened to be copied. */
export interface Source {
  /** How many records it holds, where the store knows. */
  readonly count: number | undefined;
  /**
   * Its records in key order, as the database is now, a few hundred at a time.
   *
   * @param from the key to begin with; otherwise the first
   */
  records(from: Buffer | undefined): AsyncIterable<Records>;
  close(): Promise<void>;
}

/** How a source is to be read. */
export interface SourceOptions {
  /** lmdb: a named database within the environment. */
  name?: string;
  /** lmdb: keys and values are what the lmdb package encodes by default; text and JSON are made of them. */
  decode?: boolean;
}
