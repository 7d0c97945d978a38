// npm run docs [-- --check]: docs/api, the API reference, from the doc comments of lib/. --check changes nothing, and fails
// if it is not what the comments say.
//
// The generator (TypeDoc with its Markdown plugin) lives in scripts/docs with packages of its own, because it works on
// an older compiler than the one that checks lib/.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Failure, inRoot, main, run } from './common.mjs';

const HOME = inRoot('scripts/docs');
const API = inRoot('docs/api');

async function generate(out) {
  if (!existsSync(path.join(HOME, 'node_modules/.package-lock.json'))) {
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', HOME], { quiet: true });
  }
  const typedoc = path.join(HOME, 'node_modules/typedoc/bin/typedoc');
  await run(process.execPath, [typedoc, '--options', path.join(HOME, 'typedoc.json'), '--out', out], { quiet: true });
}

function pages(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.md'));
  return new Map(names.map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));
}

await main(import.meta.url, async (args) => {
  if (!args.includes('--check')) return generate(API);
  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-docs-'));
  try {
    await generate(folder);
    const [made, kept] = [pages(folder), pages(API)];
    const stale = [...new Set([...made.keys(), ...kept.keys()])].filter((name) => made.get(name) !== kept.get(name));
    if (stale.length > 0) throw new Failure(`docs/api is not current; run npm run docs: ${stale.sort().join(', ')}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
