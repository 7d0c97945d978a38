/**
 * One phase of YCSB in one fresh process: `node --expose-gc trial.mjs <json>`, started by run.mjs and bench/run.mjs.
 * Prints one line of JSON.
 *
 * @typedef {object} Trial
 * @property {string} adapter file name under bench/peers/adapters/
 * @property {{ hotCache?: number }} options for the adapter's open
 * @property {string | null} workload null: the load phase
 * @property {'uniform' | 'zipfian' | 'latest'} [distribution] instead of the workload's own
 * @property {string} dir of the database; the run phases find there what the load phase left
 * @property {number} records @property {number} operations @property {number} threads
 * @property {number} target operations a second; 0: as many as can be
 */

import { mkdir } from 'node:fs/promises';
import { load, run } from './client.mjs';
import { Records } from './records.mjs';
import { Choices, WORKLOADS } from './workloads.mjs';

/** Records to insert and to warm up with, before the clock starts. */
const WARM_UP = 5_000;

/** @param {Trial} trial */
async function phase({ adapter: name, options, workload, distribution, dir, records, operations, threads, target }) {
  const { default: adapter } = await import(`../peers/adapters/${name}.mjs`);
  await mkdir(dir, { recursive: true });
  const store = await adapter.open(dir, options);
  const trusting = adapter.readsNothing === true;
  if (workload === null) {
    const outcome = await load(store, new Records(records, 1), records, threads, target);
    await store.close();
    return outcome;
  }
  const definition = WORKLOADS[workload];
  const inserting = definition.shares.find(([what]) => what === 'insert')?.[1] ?? 0;
  const data = new Records(records + Math.ceil((operations + WARM_UP) * inserting * 1.1), 2);
  const choices = new Choices(definition, { records, operations: operations + WARM_UP, seed: 3, distribution });
  await run(store, data, choices, { operations: Math.min(WARM_UP, operations), threads, target: 0, trusting });
  const outcome = await run(store, data, choices, { operations, threads, target, trusting });
  await store.close();
  return outcome;
}

try {
  const outcome = await phase(JSON.parse(process.argv[2]));
  process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n`, () => process.exit(1));
}
