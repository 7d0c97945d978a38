/**
 * One trial in one fresh process: `node --expose-gc trial.mjs <json>`, started by run.mjs, which receives the figures
 * (or the error) as one message.
 *
 * @typedef {object} TrialOptions
 * @property {string} adapter file name under adapters/
 * @property {{ hotCache?: number }} options for the adapter's open
 * @property {'load' | 'loadArray' | 'load4' | 'put' | 'read' | 'scan' | 'memory' | 'growth'} phase
 * @property {string} dir of the database; read and scan find in it what load left
 * @property {number} records
 * @property {number} valueSize bytes
 */

import { mkdir, rm } from 'node:fs/promises';
import { load, put, reads, scans } from './measures.mjs';
import { growth, memory } from './memory.mjs';
import { makeWorkload } from './workload.mjs';

const LOADS_OUTSTANDING = 4;
const WARM_UP = 20_000;

/** @param {import('./adapters/store.mjs').Adapter} adapter @param {TrialOptions} trial */
async function run(adapter, { options, phase, dir, records, valueSize }) {
  const work = makeWorkload(records, valueSize);
  const trusting = adapter.readsNothing === true;

  /** Runs `job` on an open store and closes it; a warm-up runs first in a database of its own where asked. */
  const inStore = async (job, warmUp) => {
    if (warmUp) {
      const store = await openIn(`${dir}-warm-up`);
      await warmUp(store);
      await store.close();
      await rm(`${dir}-warm-up`, { recursive: true, force: true });
    }
    const store = await openIn(dir);
    const result = await job(store);
    await store.close();
    return result;
  };
  const openIn = async (path) => {
    await mkdir(path, { recursive: true });
    return adapter.open(path, options);
  };
  const warm = Math.min(WARM_UP, records);

  switch (phase) {
    case 'load':
      return inStore(
        async (s) => ({ load: await load(s, work, 1), keyFingerprint: work.keyFingerprint }),
        (s) => load(s, work, 1, warm),
      );
    case 'loadArray':
      return inStore(
        async (s) => ({ loadArray: await load(s, work, 1, records, s.loadArray) }),
        (s) => load(s, work, 1, warm, s.loadArray),
      );
    case 'load4':
      return inStore(
        async (s) => ({ load4: await load(s, work, LOADS_OUTSTANDING) }),
        (s) => load(s, work, LOADS_OUTSTANDING, warm),
      );
    case 'put':
      return inStore(
        async (s) => ({ put: await put(s, work) }),
        (s) => put(s, work, warm),
      );
    case 'read':
      return inStore((s) => reads(s, work, trusting));
    case 'scan':
      return inStore((s) => scans(s, work, trusting));
    case 'memory':
      return inStore((s) => memory(s, work, trusting));
    case 'growth':
      return growth(openIn, work, dir, trusting);
    default:
      throw new Error(`no phase ${phase}`);
  }
}

try {
  const trial = JSON.parse(process.argv[2]);
  const { default: adapter } = await import(`./adapters/${trial.adapter}.mjs`);
  const figures = await run(adapter, trial);
  const { open: _, ...about } = adapter;
  process.send({ figures, about }, () => process.exit(0));
} catch (error) {
  process.send({ error: error?.stack ?? String(error) }, () => process.exit(1));
}
