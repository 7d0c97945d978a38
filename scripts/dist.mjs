// dist/: lib/ compiled for ES modules and for CommonJS.

import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inRoot, run } from './common.mjs';

const stamp = inRoot('dist/.inputs');

/** What dist/ was made from, by name, size and time, so that a removed file counts as a change too. */
function inputs() {
  const sources = readdirSync(inRoot('lib'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  const settings = ['tsconfig.json', 'tsconfig.esm.json', 'tsconfig.cjs.json', 'package.json', 'scripts/dist.mjs'];
  const files = [...settings, ...sources.sort().map((name) => path.join('lib', name))];
  return files
    .map((file) => {
      const { size, mtimeMs } = statSync(inRoot(file));
      return `${file} ${size} ${mtimeMs}\n`;
    })
    .join('');
}

function isFresh(now) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === now;
}

export async function buildDist() {
  const now = inputs();
  if (isFresh(now)) return;
  console.log('Compiling lib/ to dist/');
  // Made aside, so that what was good stays until its successor is.
  const made = (...parts) => inRoot('dist.new', ...parts);
  rmSync(made(), { recursive: true, force: true });
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  for (const kind of ['esm', 'cjs']) {
    const args = ['-p', inRoot(`tsconfig.${kind}.json`), '--noEmit', 'false', '--outDir', made(kind)];
    await run(process.execPath, [tsc, ...args], { quiet: true });
  }

  // dist/cjs is a package scope of its own, so it needs its own "#addon"; an import may not leave its scope by itself.
  const manifest = { type: 'commonjs', imports: { '#addon': './addon.cjs' } };
  writeFileSync(made('cjs/package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(made('cjs/addon.cjs'), "module.exports = require('../../lib/addon.cjs');\n");
  writeFileSync(made('cjs/addon.d.cts'), 'declare const addon: unknown;\nexport = addon;\n');
  chmodSync(made('esm/cli/main.js'), 0o755);
  writeFileSync(made('.inputs'), now);
  rmSync(inRoot('dist'), { recursive: true, force: true });
  renameSync(made(), inRoot('dist'));
}
