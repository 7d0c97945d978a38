/**
 * One trial in one fresh process: `node --expose-gc trial.mjs <json>`, started by run.mjs. Prints one line of JSON.
 *
 * @typedef {object} Trial
 * @property {'writers' | 'batches' | 'paced' | 'beside' | 'reads' | 'queued' | 'counted'} kind
 * @property {string} store name in stores.mjs
 * @property {string} [level] of durability
 * @property {number} [size] writers, records of a batch, durable writers, puts per turn or callers
 * @property {number} [count] of batches
 * @property {string} dir of the database, which does not exist yet
 * @property {number} records @property {number} valueSize bytes @property {number} seconds
 */

import { makeWorkload } from '../peers/workload.mjs';
import * as measures from './measures.mjs';
import { STORES } from './stores.mjs';

/** @param {Trial} trial */
async function run({ kind, store, level = 'wal', size = 1, count = 0, dir, records, valueSize, seconds }) {
  /** @type {measures.Bench} */
  const bench = {
    work: makeWorkload(records, valueSize),
    seconds,
    open: async (at, options) => {
      if (options === undefined) return STORES[store].open(dir, at);
      const { open } = await import('../../dist/esm/index.js');
      const database = await open(dir, {
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        durability: /** @type {'wal'} */ (at),
        ...options,
      });
      const put = (key, value) => database.put(key, value);
      return { database, put, batch: () => Promise.reject(new Error('not used')), close: () => database.close() };
    },
  };
  switch (kind) {
    case 'writers':
      return measures.writers(bench, level, size);
    case 'batches':
      return measures.batches(bench, level, size);
    case 'paced':
      return measures.paced(bench, level);
    case 'beside':
      return measures.beside(bench, size);
    case 'reads':
      return measures.readsBeside(bench);
    case 'queued':
      return measures.queued(bench, size);
    case 'counted':
      return measures.counted(bench, size, count);
  }
}

try {
  const figures = await run(JSON.parse(process.argv[2]));
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n`, () => process.exit(1));
}
