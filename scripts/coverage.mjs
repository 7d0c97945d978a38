// npm run coverage: which lines the tests run, of lib/ (c8) and of native/engine (gcovr). Fails under the threshold.

import { existsSync, rmSync } from 'node:fs';
import { Failure, inRoot, main, run } from './common.mjs';
import { buildEngineTests } from './native.mjs';
import { setup } from './setup.mjs';
import { runEngineTests } from './test.mjs';

const THRESHOLD = '90';
const folder = 'build-coverage';

async function coverEngine() {
  const program = await buildEngineTests(folder, { coverage: true });
  // Counts add up over runs, and those of removed sources would stay.
  await run('find', [inRoot(folder), '-name', '*.gcda', '-delete']);
  const { failed } = await runEngineTests(program, { name: 'engine (coverage)' });
  if (failed > 0) throw new Failure('The engine tests fail, so their coverage says nothing.');
  const { code } = await run(
    'gcovr',
    [
      ...['--root', inRoot(), '--filter', inRoot('native/engine/'), '--object-directory', inRoot(folder)],
      ...['--exclude-unreachable-branches', '--fail-under-line', THRESHOLD, inRoot(folder)],
    ],
    { allowFailure: true },
  );
  return code === 0;
}

async function coverLibrary() {
  rmSync(inRoot('coverage'), { recursive: true, force: true });
  const c8 = inRoot('node_modules/c8/bin/c8.js');
  const { code } = await run(
    process.execPath,
    [
      ...[c8, '--all', '--include', 'lib/**/*.ts', '--reporter', 'text', '--reporter', 'lcovonly'],
      ...['--check-coverage', '--lines', THRESHOLD, '--functions', '0', '--branches', '0', '--statements', '0'],
      ...[process.execPath, inRoot('scripts/test.mjs'), '--js'],
    ],
    { allowFailure: true },
  );
  return code === 0;
}

await main(import.meta.url, async () => {
  await setup(['test', 'coverage']);
  const engine = await coverEngine();
  const library = existsSync(inRoot('lib/index.ts')) ? await coverLibrary() : true;
  const verdict = (good) => (good ? 'good' : 'too low, or tests fail');
  console.log(`\nLine coverage (at least ${THRESHOLD}%): native/engine ${verdict(engine)}, lib ${verdict(library)}`);
  if (!engine || !library) process.exitCode = 1;
});
