/** The C++ side (bench/native/*.cc): built on demand, as bench/peers builds its driver. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = `${ROOT}build-bench`;

function cmake(...args) {
  const { status, error, stdout, stderr } = spawnSync('cmake', args, { cwd: ROOT, encoding: 'utf8' });
  if (error) throw new Error(`cmake does not run (${error.message}): leave C++ out with --without-native`);
  if (status !== 0) throw new Error(`building the C++ program failed:\n${stdout}${stderr}`);
}

/** @param {string} name a program of bench/native @returns {string} path of the executable, up to date */
export function buildProgram(name) {
  cmake('-S', '.', '-B', BUILD, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DTHERMOCLINE_BENCH=ON');
  cmake('--build', BUILD, '--target', name);
  return `${BUILD}/${name}`;
}
