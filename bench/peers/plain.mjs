/** The plain C++ driver (bench/native/plain_rocksdb.cc): built on demand, run as one trial. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = `${ROOT}build-bench`;

function cmake(...args) {
  const { status, error, stdout, stderr } = spawnSync('cmake', args, { cwd: ROOT, encoding: 'utf8' });
  if (error) throw new Error(`cmake does not run (${error.message}): leave the C++ driver out with --peers`);
  if (status !== 0) throw new Error(`building the C++ driver failed:\n${stdout}${stderr}`);
}

/** @returns {string} path of the executable, up to date */
export function buildPlain() {
  cmake('-S', '.', '-B', BUILD, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DTHERMOCLINE_BENCH=ON');
  cmake('--build', BUILD, '--target', 'plain_rocksdb');
  return `${BUILD}/plain_rocksdb`;
}
