// npm run lint: Biome for TypeScript and JavaScript, clang-format for C++, the TypeScript compiler's checks.
// npm run format (--write) puts right what can be.

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { inRoot, main, run } from './common.mjs';
import { installPackages } from './packages.mjs';
import { requireSystemPackages } from './system.mjs';

function cppFiles() {
  return ['native', 'test/native', 'bench/native', 'cmake']
    .filter((folder) => existsSync(inRoot(folder)))
    .flatMap((folder) => readdirSync(inRoot(folder), { recursive: true }).map((name) => path.join(folder, name)))
    .filter((name) => /\.(cc|h)$/.test(name));
}

await main(import.meta.url, async (args) => {
  const write = args.includes('--write');
  await installPackages();
  await requireSystemPackages(['lint']);

  const biome = inRoot('node_modules/@biomejs/biome/bin/biome');
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  const checks = [
    [process.execPath, [biome, write ? 'check' : 'ci', ...(write ? ['--write'] : []), '.']],
    ['clang-format', [...(write ? ['-i'] : ['--dry-run', '-Werror']), ...cppFiles()]],
    [process.execPath, [tsc, '-p', inRoot('tsconfig.json')]],
  ];
  let failed = false;
  for (const [command, commandArgs] of checks) {
    const { code } = await run(command, commandArgs, { allowFailure: true });
    failed ||= code !== 0;
  }
  if (failed) process.exitCode = 1;
});
