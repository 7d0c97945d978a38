// The npm packages of the lock file, installed where they differ from it.

import { readFileSync } from 'node:fs';
import { Failure, inRoot, run } from './common.mjs';

function packagesIn(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return {};
  }
}

/** npm notes what it installed in node_modules; optional packages may be for other systems. */
function installed() {
  const present = packagesIn(inRoot('node_modules/.package-lock.json'));
  return Object.entries(packagesIn(inRoot('package-lock.json'))).every(
    ([name, { integrity, optional }]) => name === '' || optional || present[name]?.integrity === integrity,
  );
}

export async function installPackages() {
  if (installed()) return;
  console.log('Installing the npm packages');
  await run('npm', ['ci', '--no-audit', '--no-fund']);
  if (!installed()) throw new Failure('npm ci ended well, but the packages still differ from package-lock.json.');
}
