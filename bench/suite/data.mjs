/** The data of the suite, and Thermocline opened on it. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { call } from '../../dist/esm/dispatcher.js';
import { open } from '../../dist/esm/index.js';
import { native } from '../../dist/esm/native.js';
import { makeWorkload, shuffled } from '../peers/workload.mjs';

export const BATCH = 1000;

/**
 * @typedef {import('../peers/workload.mjs').Workload} Workload
 * @typedef {{ records: number, valueSize: number, shards?: number }} Shape
 */

/** @param {string} location @param {import('../../dist/esm/index.js').OpenOptions} [options] */
export function openBytes(location, options = {}) {
  return open(location, { keyEncoding: 'buffer', valueEncoding: 'buffer', ...options });
}

/** @param {Workload} work @param {number} from @param {number} to @returns {object[]} */
export function puts({ keys, values }, from, to) {
  const operations = [];
  for (let i = from; i < to; i++) operations.push({ type: 'put', key: keys[i], value: values[i] });
  return operations;
}

/** @param {number} first @param {number} count @returns {Promise<void>} everything of it written, in order */
export async function loadAll(db, work) {
  for (let from = 0; from < work.records; from += BATCH) {
    await db.batch(puts(work, from, Math.min(from + BATCH, work.records)));
  }
}

/** The folder of a settled database of this shape. */
export function datasetOf(base, { records, valueSize, shards = 0 }) {
  return `${base}/data-${records}-${valueSize}-${shards}`;
}

/** Makes it, unless it is there. @param {string} base @param {Shape} shape */
export async function prepareDataset(base, shape) {
  const location = datasetOf(base, shape);
  const mark = `${location}.complete`;
  if (existsSync(mark)) return {};
  mkdirSync(base, { recursive: true });
  const db = await openBytes(location, shape.shards ? { shards: shape.shards } : {});
  await loadAll(db, makeWorkload(shape.records, shape.valueSize));
  await db.flush();
  await db.compact();
  const { tableBytes } = db.stats().disk;
  await db.close();
  writeFileSync(mark, '');
  return { tableBytes };
}

/** Indices of all records by their keys. @param {Workload} work @returns {Uint32Array} */
export function inKeyOrder({ keys, records }) {
  return Uint32Array.from({ length: records }, (_, i) => i).sort((a, b) => Buffer.compare(keys[a], keys[b]));
}

/** @param {Workload} work @returns {Buffer[]} keys that are absent, each right behind one that exists */
export function absentKeys({ keys }) {
  return keys.map((key) => Buffer.concat([key, Buffer.from([0x7f])]));
}

/** Drops the database's files from the system's page cache. @param {string} location */
export function dropFromMemory(location) {
  return call((ticket) => native.dropFileCache(ticket, location));
}

export { makeWorkload, shuffled };
