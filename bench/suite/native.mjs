/** The C++ programs of bench/native: built on demand. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = `${ROOT}build-bench`;

function cmake(...args) {
  const { status, error, stdout, stderr } = spawnSync('cmake', args, { cwd: ROOT, encoding: 'utf8' });
  if (error) throw new Error(`cmake does not run (${error.message}): leave C++ out with --without-native`);
  if (status !== 0) throw new Error(`building the C++ programs failed:\n${stdout}${stderr}`);
}

/** @returns {{ engineBench: string, readLevels: string }} paths of the executables, up to date */
export function buildPrograms() {
  cmake('-S', '.', '-B', BUILD, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DTHERMOCLINE_BENCH=ON');
  cmake('--build', BUILD, '--target', 'engine_bench', 'read_levels');
  return { engineBench: `${BUILD}/engine_bench`, readLevels: `${BUILD}/read_levels` };
}
