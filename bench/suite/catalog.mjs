/**
 * What the suite measures: groups of trials, and what each figure is called. A figure's name is the trial's and its own,
 * such as `reads/random/getMany`; bench:compare finds the same work in two runs by it.
 *
 * @typedef {object} Entry
 * @property {string} name @property {string} group @property {string} kind of trial.mjs, 'native', 'levels', 'ycsb', 'peers'
 * @property {object} [options] of the trial
 * @property {import('./data.mjs').Shape} [needs] a settled database
 * @property {string} title
 */

import { STORES } from '../peers/catalog.mjs';
import { WORKLOADS } from '../ycsb/workloads.mjs';

/** @type {Record<string, { title: string, about: string }>} in the order of the report */
export const GROUPS = {
  reads: {
    title: 'Point reads',
    about:
      'getSync, get (256 outstanding) and getMany (1,000 keys) of a settled database all of whose keys have been read once',
  },
  writes: { title: 'Single writes', about: 'put, 1,000 outstanding, into a new database' },
  batches: { title: 'Batches', about: 'atomic batches, one after the other, into a new database' },
  clients: { title: 'Concurrent clients', about: 'each awaits its operation before the next; reads without hot cache' },
  scans: {
    title: 'Scans',
    about: 'records of short ranges (10, 100 and 1,000 records from a random key) and of the whole database',
  },
  mixed: {
    title: 'Mixed reads and writes',
    about: '16 clients at full load, and half of that rate at even distances, latency from the moment each was due',
  },
  shards: { title: 'Shards', about: 'load by batches of 1,000, getMany without hot cache, scan of all values' },
  values: { title: 'Value sizes', about: 'load by batches of 1,000, getMany without hot cache, scan of all values' },
  cold: {
    title: 'Data larger than every cache',
    about: 'hot cache off, block cache 16 MB, files dropped from the page cache before each figure, each key once',
  },
  levels: { title: 'Where lookups are answered', about: "counted by RocksDB's tickers, in the engine without Node" },
  native: {
    title: 'The engine without Node',
    about: 'beside plain RocksDB with the same options, by Google Benchmark',
  },
  ycsb: { title: 'YCSB', about: 'the core workloads, 16 threads, records of 1,140 bytes' },
  peers: { title: 'Peers', about: 'the same work through other stores, as bench:peers does it' },
  ratio: {
    title: 'Compression',
    about: 'bytes of keys and values by bytes of tables, WordNet 3.1 with default options',
  },
  control: { title: 'The machine itself', about: 'work that touches no store' },
};

const PEERS = Object.keys(STORES).filter((name) => STORES[name].peer);
export const PEER_MEASURES = ['load', 'put', 'getSync', 'get', 'getMany', 'getManyAll', 'scanBatches', 'scanAwait'];
const BATCHES = [100, 500, 1000, 5000, 10_000, 100_000];
const NATIVE = [
  'write/each',
  'write/batch:1000',
  'write/batch:100000',
  'get/all|1',
  'get/all|2',
  'get/absent|1',
  'get/working-set|1',
  'multiget/all',
  'scan/full',
  'mixed:80|2',
  'mixed:50|2',
];

/**
 * @param {{ quick: boolean, records: number }} options
 * @returns {Entry[]}
 */
export function catalog({ quick, records }) {
  const size = { records, valueSize: 100 };
  const large = { records: Math.ceil(records / 2), valueSize: 1024 };
  const cold = { records: quick ? 100_000 : 500_000, valueSize: 2000 };
  /** @type {Entry[]} */
  const entries = [];
  const add = (name, title, kind, options, needs) => {
    entries.push({ name, title, kind, options, needs, group: name.split('/')[0] });
  };

  add('control', 'the machine', 'control', {});
  for (const hotCache of [true, false]) {
    const suffix = hotCache ? '' : ', no hot cache';
    for (const order of ['random', 'working set', 'absent', 'sequential']) {
      if (quick && order === 'sequential') continue;
      add(`reads/${order}${suffix}`, `${order}${suffix}`, 'reads', { ...size, order, hotCache }, size);
    }
  }
  for (const order of ['random', 'sequential']) add(`writes/${order}`, `${order} keys`, 'writes', { ...size, order });
  for (const count of BATCHES) {
    add(`batches/${count}`, `of ${count.toLocaleString('en')}`, 'batches', { ...size, size: count });
  }
  add('batches/sequential', 'of 1,000, keys ascending', 'batches', { ...size, size: 1000, order: 'sequential' });
  for (const count of quick ? [1, 16, 256] : [1, 16, 256, 4096]) {
    add(`clients/${count}`, `${count.toLocaleString('en')} at once`, 'clients', { ...size, count }, size);
  }
  add('scans/100', 'values of 100 bytes', 'scans', size, size);
  add('scans/1024', 'values of 1,024 bytes', 'scans', large, large);
  for (const reading of [0.8, 0.5]) {
    const title = `${reading * 100}% reads, ${100 - reading * 100}% writes`;
    add(`mixed/${reading * 100}`, title, 'mixed', { ...size, reading }, size);
  }
  for (const shards of [1, 4, 16]) {
    const sharded = { ...size, shards };
    add(`shards/${shards}`, String(shards), 'shape', sharded, sharded);
  }
  for (const valueSize of quick ? [32, 1024, 65_536] : [32, 256, 1024, 8192, 65_536]) {
    // About the same bytes each.
    const sized = { valueSize, records: Math.max(500, Math.min(records, Math.floor((records * 512) / valueSize))) };
    add(`values/${valueSize}`, `${valueSize.toLocaleString('en')} bytes`, 'shape', sized, sized);
  }
  for (const outstanding of [1, 16, 64]) {
    const title = `random get, ${outstanding} outstanding`;
    add(`cold/get ${outstanding}`, title, 'coldReads', { ...cold, outstanding, absent: false }, cold);
  }
  add(
    'cold/absent',
    'get of absent keys, 16 outstanding',
    'coldReads',
    { ...cold, outstanding: 16, absent: true },
    cold,
  );
  add('cold/scan', 'full scan', 'coldScan', cold, cold);
  add('ratio/wordnet', 'WordNet 3.1', 'ratio', {});

  add('levels/absent', 'absent keys', 'levels', { mode: ['absent'] });
  for (const share of [0.01, 0.05, 0.1]) {
    for (const mode of quick ? ['zipfian'] : ['zipfian', 'scrambled']) {
      const title = `${mode} 0.99, hot cache ${share * 100}% of the data`;
      add(`levels/${mode} ${share * 100}%`, title, 'levels', { mode: [mode, String(share)] });
    }
  }
  for (const what of NATIVE) {
    for (const who of ['engine', 'plain']) add(`native/${who}/${what}`, `${who}, ${what}`, 'native', { who, what });
  }
  const ycsbStores = quick ? ['thermocline'] : ['thermocline', ...PEERS];
  for (const store of ycsbStores) {
    add(`ycsb/${store}/load`, 'load', 'ycsb', { store, workload: null });
    for (const workload of Object.keys(WORKLOADS)) {
      const title = `${workload.toUpperCase()}: ${WORKLOADS[workload].title}`;
      add(`ycsb/${store}/${workload}`, title, 'ycsb', { store, workload });
    }
  }
  for (const store of ['thermocline', ...PEERS]) {
    for (const phase of ['load', 'put', 'read', 'scan']) {
      add(`peers/${store}/${phase}`, `${STORES[store].label}, ${phase}`, 'peers', { store, phase });
    }
  }
  return entries;
}
