/** YCSB's core workloads A to F: what they do, and the choices of one run. */

import { Discrete, InsertCounter, Random, ScrambledZipfian, SkewedLatest, Uniform } from './generators.mjs';

/** Of a record, and of a scan, as the core package has them by default. */
export const FIELDS = 10;
export const FIELD_BYTES = 100;
export const MAX_SCAN = 100;

/**
 * @typedef {'read' | 'update' | 'insert' | 'scan' | 'readModifyWrite'} Operation
 * @typedef {'uniform' | 'zipfian' | 'latest'} Distribution
 * @typedef {{ title: string, shares: [Operation, number][], distribution: Distribution }} Definition
 */

/** @type {Record<string, Definition>} */
export const WORKLOADS = {
  a: {
    title: 'update heavy: 50% reads, 50% updates',
    shares: [
      ['read', 0.5],
      ['update', 0.5],
    ],
    distribution: 'zipfian',
  },
  b: {
    title: 'read mostly: 95% reads, 5% updates',
    shares: [
      ['read', 0.95],
      ['update', 0.05],
    ],
    distribution: 'zipfian',
  },
  c: { title: 'read only', shares: [['read', 1]], distribution: 'zipfian' },
  d: {
    title: 'read latest: 95% reads, 5% inserts',
    shares: [
      ['read', 0.95],
      ['insert', 0.05],
    ],
    distribution: 'latest',
  },
  e: {
    title: 'short ranges: 95% scans, 5% inserts',
    shares: [
      ['scan', 0.95],
      ['insert', 0.05],
    ],
    distribution: 'zipfian',
  },
  f: {
    title: 'read, modify, write: 50% reads, 50% read-modify-writes',
    shares: [
      ['read', 0.5],
      ['readModifyWrite', 0.5],
    ],
    distribution: 'zipfian',
  },
};

/** The choices of one run of a workload. */
export class Choices {
  #operations;
  #keys;
  #scanLengths;
  #fields;
  /** Numbers of the records to insert. */
  inserts;

  /**
   * @param {Definition} definition
   * @param {{ records: number, operations: number, seed: number, distribution?: Distribution }} run records that are
   *   loaded; operations to come, by which the keys still to be inserted are foreseen
   */
  constructor({ shares, distribution }, { records, operations, seed, distribution: wanted = distribution }) {
    const random = new Random(seed);
    this.#operations = new Discrete(shares, random);
    this.inserts = new InsertCounter(records);
    this.#scanLengths = new Uniform(1, MAX_SCAN, random);
    this.#fields = new Uniform(0, FIELDS - 1, random);
    if (wanted === 'uniform') {
      this.#keys = new Uniform(0, records - 1, random);
    } else if (wanted === 'latest') {
      this.#keys = new SkewedLatest(this.inserts, random);
    } else {
      // Keys that will be inserted are among those it draws from, so that an insert changes nobody's popularity.
      const inserting = shares.find(([what]) => what === 'insert')?.[1] ?? 0;
      const expected = Math.floor(operations * inserting * 2);
      this.#keys = new ScrambledZipfian(0, records + expected, random);
    }
  }

  /** @returns {Operation} */
  operation() {
    return /** @type {Operation} */ (this.#operations.next());
  }

  /** @returns {number} of a record that exists */
  record() {
    const last = this.inserts.last();
    for (;;) {
      const number = this.#keys.next();
      if (number <= last) return number;
    }
  }

  scanLength() {
    return this.#scanLengths.next();
  }

  field() {
    return this.#fields.next();
  }
}
