// npm run setup [-- test bench coverage lint]: takes a bare clone to a built package, and does nothing where all is
// fresh. The other scripts call it themselves, so that `npm start` and `npm test` need nothing before them. Each step is
// safe to interrupt: what it leaves behind is either complete or made again. The words add purposes to get ready for.

import { Failure, main } from './common.mjs';
import { buildDist } from './dist.mjs';
import { buildAddon } from './native.mjs';
import { installPackages } from './packages.mjs';
import { requireSystemPackages } from './system.mjs';

/**
 * Gets ready to build: the npm packages, the compiler, tools and libraries.
 * @param {('test' | 'bench' | 'coverage' | 'lint')[]} [purposes] for which system packages are needed as well
 */
export async function prepare(purposes = []) {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) throw new Failure(`Thermocline needs Node.js 20 or newer; this is ${process.version}.`);
  await installPackages();
  await requireSystemPackages(['build', ...purposes]);
}

/** Prepares, and builds what a user of the package gets. */
export async function setup(purposes = []) {
  await prepare(purposes);
  await buildAddon();
  await buildDist();
}

await main(import.meta.url, setup);
