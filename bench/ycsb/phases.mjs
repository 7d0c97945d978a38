/** The phases of YCSB for one store: one load, and every workload on a copy of what it left. */

import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { STORES } from '../peers/catalog.mjs';
import { plainTrial } from '../peers/trials.mjs';

const TRIAL = fileURLToPath(new URL('trial.mjs', import.meta.url));

/**
 * @param {string} base folder for the databases @param {string} store name in bench/peers/catalog.mjs
 * @param {string | null} workload null: the load phase, which leaves a database for the others
 * @param {Omit<import('./trial.mjs').Trial, 'adapter' | 'options' | 'workload' | 'dir'> & { deadline: number }} run
 * @returns {Promise<import('./client.mjs').Outcome>}
 */
export async function ycsbPhase(base, store, workload, { deadline, ...run }) {
  const loaded = path.join(base, `${store}-loaded`);
  const dir = workload === null ? loaded : path.join(base, `${store}-${workload}`);
  if (workload === null) rmSync(loaded, { recursive: true, force: true });
  else cpSync(loaded, dir, { recursive: true });
  // What the last trial and the copy left to be written must not slow this one down.
  spawnSync('sync', ['-f', base]);
  const { adapter, options = {} } = STORES[store];
  try {
    const trial = JSON.stringify({ ...run, adapter, options, workload, dir });
    return (await plainTrial(process.execPath, ['--expose-gc', TRIAL, trial], deadline)).figures;
  } finally {
    if (workload !== null) rmSync(dir, { recursive: true, force: true });
  }
}
