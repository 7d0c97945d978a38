/** What is compared: the stores, the phases (one fresh process each), and the measures with their labels. */

/**
 * @typedef {object} StoreEntry
 * @property {string} label
 * @property {string} [adapter] file name under adapters/; without one: the plain C++ driver
 * @property {boolean} [peer] counts for "best peer"
 * @property {{ hotCache?: number }} [options]
 * @property {string} [database] the store whose loaded database it reads
 * @property {string[]} phases
 * @property {number} [families] plain C++: column families; 0: as many as Thermocline's default shards
 */

const ALL = ['load', 'load4', 'put', 'read', 'scan', 'memory'];

/** @type {Record<string, StoreEntry>} in the order of the first round; each later round starts one further */
export const STORES = {
  thermocline: { label: 'thermocline', adapter: 'thermocline', phases: [...ALL, 'loadArray', 'growth'] },
  'no-hot-cache': {
    label: 'no hot cache',
    adapter: 'thermocline',
    options: { hotCache: 0 },
    database: 'thermocline',
    phases: ['read'],
  },
  lmdb: { label: 'lmdb', adapter: 'lmdb', peer: true, phases: ALL },
  'classic-level': { label: 'classic-level', adapter: 'classic-level', peer: true, phases: [...ALL, 'loadArray'] },
  'nxtedition-rocksdb': {
    label: 'nxt rocksdb',
    adapter: 'nxtedition-rocksdb',
    peer: true,
    phases: [...ALL, 'loadArray'],
  },
  'rocksdb-native': { label: 'rocksdb-native', adapter: 'rocksdb-native', peer: true, phases: ALL },
  plain: { label: 'C++ as ours', families: 0, phases: ['load'] },
  'plain-1': { label: 'C++ one CF', families: 1, phases: ['load'] },
  nothing: { label: 'nothing', adapter: 'nothing', phases: ['memory', 'growth'] },
};

/** `read` and `scan` open what `load` left behind, in this order. */
export const PHASES = ['load', 'loadArray', 'load4', 'put', 'read', 'scan', 'memory', 'growth'];

/** Rates, in records per second. `plain`: the figure of the C++ driver beside which it stands. */
export const RATES = [
  { id: 'load', label: 'load, batches of 1,000', plain: 'load' },
  { id: 'loadArray', label: 'load, one call with an array of 1,000', plain: 'load' },
  { id: 'load4', label: 'load, 4 batches outstanding' },
  { id: 'put', label: 'put, 1,000 outstanding' },
  { id: 'getSync', label: 'getSync, working set', plain: 'get' },
  { id: 'get', label: 'get, 256 outstanding, working set', plain: 'get2' },
  { id: 'getMany', label: 'getMany(1,000), working set', plain: 'getMany' },
  { id: 'getSyncAll', label: 'getSync, all keys', plain: 'getAll' },
  { id: 'getAll', label: 'get, 256 outstanding, all keys', plain: 'get2All' },
  { id: 'getManyAll', label: 'getMany(1,000), all keys', plain: 'getManyAll' },
  { id: 'scanBatches', label: 'scan, batches of 1,000', plain: 'scan' },
  { id: 'scanAwait', label: 'scan, for await' },
];

/** Resident sizes, in bytes. */
export const SIZES = [
  { id: 'residentPeak', label: 'resident memory, peak' },
  { id: 'residentFinal', label: 'resident memory, final' },
];
