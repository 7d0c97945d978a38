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

/**
 * dist/cjs is a package scope of its own, in which the package's "#" names mean nothing (Node.js would take them from a
 * manifest there, bundlers need not): they become the paths of the files that they stand for.
 */
function useRelativePaths(folder) {
  const { imports } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith('.js')) continue;
    const file = path.join(folder, name);
    const text = readFileSync(file, 'utf8');
    const final = inRoot('dist/cjs', name);
    const changed = text.replace(/require\((["'])(#\w+)\1\)/g, (_, quote, key) => {
      const target = path.relative(path.dirname(final), inRoot(imports[key]));
      return `require(${quote}${target}${quote})`;
    });
    if (changed !== text) writeFileSync(file, changed);
  }
}

async function compile(kind, folder, ...more) {
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  const args = ['-p', inRoot(`tsconfig.${kind}.json`), '--noEmit', 'false', '--outDir', folder, ...more];
  await run(process.execPath, [tsc, ...args], { quiet: true });
}

/** Compiles lib/ as dist/esm has it, and with source maps, by which coverage is counted. */
export async function compileMapped(folder) {
  await compile('esm', folder, '--sourceMap');
}

export async function buildDist() {
  const now = inputs();
  if (isFresh(now)) return;
  console.log('Compiling lib/ to dist/');
  // Made aside, so that what was good stays until its successor is.
  const made = (...parts) => inRoot('dist.new', ...parts);
  rmSync(made(), { recursive: true, force: true });
  for (const kind of ['esm', 'cjs']) await compile(kind, made(kind));

  writeFileSync(made('cjs/package.json'), `${JSON.stringify({ type: 'commonjs' }, null, 2)}\n`);
  useRelativePaths(made('cjs'));
  chmodSync(made('esm/cli/main.js'), 0o755);
  writeFileSync(made('.inputs'), now);
  rmSync(inRoot('dist'), { recursive: true, force: true });
  renameSync(made(), inRoot('dist'));
}
