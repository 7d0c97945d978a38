/**
 * The stores, opened at a named level of durability. Each is used in the best documented way that was found by
 * measuring; what a level does not exist for is not emulated.
 *
 * @typedef {object} Store an open store
 * @property {(key: Buffer, value: Buffer) => Promise<unknown>} put resolves when the level is reached
 * @property {(keys: Buffer[], values: Buffer[]) => Promise<unknown>} batch atomic; resolves like put
 * @property {() => Promise<unknown>} close
 * @property {import('../../dist/esm/index.js').Database} [database] Thermocline's own
 *
 * @typedef {object} Entry
 * @property {string} label
 * @property {string | null} package folder under node_modules; null: this project
 * @property {Record<string, string>} levels what an acknowledged write survives, and how it is asked for
 * @property {(dir: string, level: string) => Promise<Store>} open
 */

import { mkdirSync } from 'node:fs';

const MIB = 1024 * 1024;
/** What Thermocline's defaults spend on caching. */
const CACHE_BYTES = 192 * MIB;

/** @type {Record<string, Entry>} */
export const STORES = {
  thermocline: {
    label: 'thermocline',
    package: null,
    levels: {
      none: "durability 'none': what was flushed",
      wal: "durability 'wal': a crash of the process",
      fsync: "durability 'fsync': a loss of power",
    },
    async open(dir, level) {
      const { open } = await import('../../dist/esm/index.js');
      const database = await open(dir, {
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        durability: /** @type {'none' | 'wal' | 'fsync'} */ (level),
      });
      return {
        database,
        put: (key, value) => database.put(key, value),
        batch(keys, values) {
          const batch = database.beginBatch({ capacity: keys.length * 160 });
          for (let i = 0; i < keys.length; i++) batch.put(keys[i], values[i]);
          return batch.commit();
        },
        close: () => database.close(),
      };
    },
  },
  lmdb: {
    label: 'lmdb',
    package: 'lmdb',
    levels: { fsync: "default (syncs behind every commit), separateFlushed: put's promise `flushed`: a loss of power" },
    async open(dir) {
      const { open } = await import('lmdb');
      mkdirSync(dir, { recursive: true });
      const db = open({
        path: dir,
        encoding: 'binary',
        keyEncoding: 'binary',
        noMemInit: true,
        separateFlushed: true,
      });
      return {
        put: (key, value) => db.put(key, value).flushed,
        async batch(keys, values) {
          await db.batch(() => {
            for (let i = 0; i < keys.length; i++) db.put(keys[i], values[i]);
          });
          await db.flushed;
        },
        close: () => db.close(),
      };
    },
  },
  'classic-level': {
    label: 'classic-level',
    package: 'classic-level',
    levels: { fsync: 'sync: true: a loss of power' },
    async open(dir) {
      const { ClassicLevel } = await import('classic-level');
      const db = new ClassicLevel(dir, {
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        cacheSize: CACHE_BYTES,
        writeBufferSize: 16 * MIB,
        compression: false,
      });
      await db.open();
      return {
        put: (key, value) => db.put(key, value, { sync: true }),
        batch(keys, values) {
          const batch = db.batch();
          for (let i = 0; i < keys.length; i++) batch.put(keys[i], values[i]);
          return batch.write({ sync: true });
        },
        close: () => db.close(),
      };
    },
  },
};
