// Which lines the tests run, of native/engine (gcovr) and of lib/ (c8). For `npm test -- --coverage`.

import { rmSync } from 'node:fs';
import { inRoot, run } from './common.mjs';
import { compileMapped } from './dist.mjs';
import { buildEngineTests } from './native.mjs';

const THRESHOLD = '90';
const FOLDER = 'build-coverage';
const COUNTS = 'coverage/tmp';
const COMPILED = 'build-coverage/esm'; // as deep as dist/esm, for the paths in it

/** Builds the engine's tests so that they count lines, and forgets what was counted before. */
export async function buildCountingEngineTests() {
  const program = await buildEngineTests(FOLDER, { coverage: true });
  // Counts add up over runs, and those of removed sources would stay.
  await run('find', [inRoot(FOLDER), '-name', '*.gcda', '-delete']);
  return program;
}

/** Prints the engine's coverage. @returns {Promise<boolean>} whether it suffices */
export async function reportEngineCoverage() {
  const { code } = await run(
    'gcovr',
    [
      ...['--root', inRoot(), '--filter', inRoot('native/engine/'), '--object-directory', inRoot(FOLDER)],
      ...['--exclude-unreachable-branches', '--fail-under-line', THRESHOLD, inRoot(FOLDER)],
    ],
    { allowFailure: true },
  );
  return code === 0;
}

/** The environment in which programs, and all they start, count the lines of lib/. Forgets what was counted before. */
export async function countingEnvironment() {
  rmSync(inRoot('coverage'), { recursive: true, force: true });
  await compileMapped(inRoot(COMPILED));
  return { NODE_V8_COVERAGE: inRoot(COUNTS), THERMOCLINE_TEST_DIST: inRoot(COMPILED) };
}

/** Prints the library's coverage. @returns {Promise<boolean>} whether it suffices */
export async function reportLibraryCoverage() {
  const { code } = await run(
    process.execPath,
    [
      ...[inRoot('node_modules/c8/bin/c8.js'), 'report', '--temp-directory', inRoot(COUNTS), '--all'],
      ...[
        '--include',
        'lib/**/*.ts',
        '--include',
        `${COMPILED}/**/*.js`,
        '--reporter',
        'text',
        '--reporter',
        'lcovonly',
        '--check-coverage',
      ],
      ...['--lines', THRESHOLD, '--functions', '0', '--branches', '0', '--statements', '0'],
    ],
    { allowFailure: true },
  );
  return code === 0;
}

/** @param {boolean} good */
export function verdict(good) {
  return good ? 'good' : `under ${THRESHOLD}% of lines`;
}
