import { Readable, Writable } from 'node:stream';
import type { Database } from './database.ts';
import type { WriteOptions } from './durability.ts';
import type { IteratorOptions } from './operations.ts';

/** Records read at a time. */
const READ_RECORDS = 256;

/** @internal A Readable of [key, value] pairs, in object mode. */
export function readStream<K, V>(database: Database<K, V>, options: IteratorOptions<K, V> | undefined): Readable {
  const iterator = database.iterator(options);
  return new Readable({
    objectMode: true,
    highWaterMark: READ_RECORDS,
    read(size) {
      iterator.nextMany(Math.max(1, Math.min(size, READ_RECORDS))).then(
        (records) => {
          for (const record of records) this.push(record);
          if (records.length === 0) this.push(null);
        },
        (error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      iterator.close().then(
        () => callback(error),
        (failure) => callback(error ?? failure),
      );
    },
  });
}

/** @internal A Writable of [key, value] pairs, in object mode. Each record is a write of its own. */
export function writeStream<K, V>(database: Database<K, V>, options: WriteOptions | undefined): Writable {
  const put = (records: [K, V][], callback: (error?: Error | null) => void) => {
    database.putMany(records, options).then(() => callback(), callback);
  };
  return new Writable({
    objectMode: true,
    highWaterMark: 4096,
    write: (record: [K, V], _encoding, callback) => put([record], callback),
    writev: (chunks, callback) =>
      put(
        chunks.map(({ chunk }) => chunk as [K, V]),
        callback,
      ),
  });
}
