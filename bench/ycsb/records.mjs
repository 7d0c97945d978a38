/**
 * Keys and values of YCSB's records: ten fields of 100 random printable bytes, kept in one value as the core package's
 * RocksDB binding does (each name and each content after its length).
 */

import { keyName, Random } from './generators.mjs';
import { FIELD_BYTES, FIELDS } from './workloads.mjs';

const LENGTH = 4;
const NAME = 'field0'.length;
const FIELD_SIZE = LENGTH + NAME + LENGTH + FIELD_BYTES;
export const RECORD_BYTES = FIELDS * FIELD_SIZE;

/** Far more random bytes than a field, of which each field is a piece. */
const POOL_BYTES = 1 << 20;

export class Records {
  #keys;
  #pool;
  #random;
  #empty = Buffer.alloc(RECORD_BYTES);

  /** @param {number} count of keys to make beforehand @param {number} seed */
  constructor(count, seed) {
    this.#keys = Array.from({ length: count }, (_, number) => Buffer.from(keyName(number)));
    this.#random = new Random(seed);
    this.#pool = Buffer.alloc(POOL_BYTES);
    for (let i = 0; i < POOL_BYTES; i++) this.#pool[i] = this.#random.between(0x20, 0x7e);
    for (let field = 0; field < FIELDS; field++) {
      const at = field * FIELD_SIZE;
      this.#empty.writeInt32BE(NAME, at);
      this.#empty.write(`field${field}`, at + LENGTH);
      this.#empty.writeInt32BE(FIELD_BYTES, at + LENGTH + NAME);
    }
  }

  /** @param {number} number of the record @returns {Buffer} */
  key(number) {
    return this.#keys[number] ?? Buffer.from(keyName(number));
  }

  /** @returns {Buffer} a new record */
  make() {
    const record = Buffer.allocUnsafe(RECORD_BYTES);
    this.#empty.copy(record);
    for (let field = 0; field < FIELDS; field++) this.#fill(record, field);
    return record;
  }

  /** @param {Uint8Array} record @param {number} field to change @returns {Buffer} a copy with a new content there */
  change(record, field) {
    if (record?.length !== RECORD_BYTES) throw new Error(`wrong read: a record of ${record?.length} bytes`);
    const copy = Buffer.allocUnsafe(RECORD_BYTES);
    copy.set(record);
    this.#fill(copy, field);
    return copy;
  }

  #fill(record, field) {
    const from = this.#random.between(0, POOL_BYTES - FIELD_BYTES);
    this.#pool.copy(record, field * FIELD_SIZE + FIELD_SIZE - FIELD_BYTES, from, from + FIELD_BYTES);
  }
}
