/**
 * One trial in one fresh process: `node --expose-gc trial.mjs <json>`, started by run.mjs. Prints one line of JSON.
 *
 * @typedef {object} Trial
 * @property {keyof typeof KINDS} kind
 * @property {string} base folder of the settled databases @property {string} dir of a new one, removed afterwards
 * @property {number} records @property {number} valueSize bytes @property {number} seconds for each figure
 *
 * @typedef {object} Outcome
 * @property {Record<string, import('./measure.mjs').Figure>} [figures]
 * @property {Record<string, { count: number, quantiles: [number, number][] }>} [latencies] milliseconds
 */

import { control } from './control.mjs';
import { prepareDataset } from './data.mjs';
import { mixed } from './mixed.mjs';
import { ratio } from './ratio.mjs';
import { coldReads, reads } from './reads.mjs';
import { coldScan, scans } from './scans.mjs';
import { shape } from './shapes.mjs';
import { batches, clients, writes } from './writes.mjs';

const KINDS = {
  prepare: ({ base, ...wanted }) => prepareDataset(base, wanted),
  control,
  reads,
  coldReads,
  writes,
  batches,
  clients,
  scans,
  coldScan,
  mixed,
  shape,
  ratio,
};

try {
  const trial = JSON.parse(process.argv[2]);
  const outcome = await KINDS[trial.kind](trial);
  process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n`, () => process.exit(1));
}
