// A copy of a database that is made of its changes alone.

import type { Change, ChangeFeed, KeyRange } from '../../lib/index.ts';

export class Replay<V> {
  readonly records = new Map<string, V>();
  /** Of the last change that was applied. */
  sequence: number;
  changes = 0;

  constructor(sequence = 0) {
    this.sequence = sequence;
  }

  apply(change: Change<string, V>): void {
    if (change.sequence <= this.sequence) throw new Error(`${change.sequence} comes after ${this.sequence}`);
    if (change.operations.length === 0) throw new Error('a change without operations');
    this.sequence = change.sequence;
    this.changes++;
    for (const operation of change.operations) {
      if (operation.type === 'put') this.records.set(operation.key, operation.value);
      else if (operation.type === 'delete') this.records.delete(operation.key);
      else {
        for (const key of [...this.records.keys()]) {
          const bytes = Buffer.from(key);
          if (bytes.compare(operation.gte) >= 0 && (operation.lt === undefined || bytes.compare(operation.lt) < 0))
            this.records.delete(key);
        }
      }
    }
  }

  /** Follows until it is at `sequence` or beyond. */
  async follow(feed: ChangeFeed<string, V>, sequence: number): Promise<void> {
    while (this.sequence < sequence) {
      const change = await feed.next();
      if (change === undefined) throw new Error('the feed ended');
      this.apply(change);
    }
  }

  sorted(): [string, V][] {
    return [...this.records].sort(([a], [b]) => Buffer.from(a).compare(Buffer.from(b)));
  }
}

/** All records of a database. */
export async function recordsOf<V>(db: {
  iterator(range?: KeyRange<string>): AsyncIterable<[string, V]>;
}): Promise<[string, V][]> {
  const records: [string, V][] = [];
  for await (const record of db.iterator()) records.push(record);
  return records;
}
