// Builds the addon of an installed package from its sources, where it carries no binary that fits. Started by
// install.cjs (`npm rebuild`) or by itself; docs/install.md has both. A clone uses `npm run setup` instead.
//
// The packages that the build needs and a program does not (cmake-js, node-addon-api and, unless THERMOCLINE_ROCKSDB
// names an installed RocksDB, the one that carries RocksDB's sources) go into a folder beside RocksDB's cache, in the
// versions that this package was developed with. NODE_PATH leads cmake-js and us there.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { placeBinary } from './binary.mjs';
import { inRoot, main, run } from './common.mjs';
import { buildAddon } from './native.mjs';
import { requireSystemPackages } from './system.mjs';

const ROCKSDB = '@nxtedition/rocksdb';

/** Installs the build's packages, unless they are there. @returns {Promise<string>} their node_modules */
async function installTools(withRocksdb) {
  const { devDependencies } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const names = ['cmake-js', 'node-addon-api', ...(withRocksdb ? [ROCKSDB] : [])];
  const dependencies = Object.fromEntries(names.map((name) => [name, devDependencies[name]]));
  const versions = names.map((name) => `${path.basename(name)}-${dependencies[name]}`).join('_');
  const cache = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'thermocline');
  const folder = path.join(cache, `build-tools_${versions}`);
  if (!existsSync(folder)) {
    console.log(`Installing ${names.join(', ')} into ${folder}`);
    const made = `${folder}.${process.pid}`; // appears by one rename, so what exists is complete
    mkdirSync(made, { recursive: true });
    writeFileSync(path.join(made, 'package.json'), JSON.stringify({ private: true, dependencies }));
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', made], { quiet: true });
    try {
      renameSync(made, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
      rmSync(made, { recursive: true, force: true }); // another build was faster
    }
  }
  return path.join(folder, 'node_modules');
}

await main(import.meta.url, async () => {
  await requireSystemPackages(['build'], { install: false });
  const fetched = !process.env.THERMOCLINE_ROCKSDB && !process.env.THERMOCLINE_ROCKSDB_SOURCE;
  const modules = await installTools(fetched);
  process.env.NODE_PATH = [modules, process.env.NODE_PATH].filter(Boolean).join(path.delimiter);
  if (fetched) process.env.THERMOCLINE_ROCKSDB_SOURCE = path.join(modules, ROCKSDB, 'deps/rocksdb/rocksdb');
  await buildAddon(path.join(modules, 'cmake-js'));
  const { file, bytes } = await placeBinary();
  rmSync(inRoot('build'), { recursive: true, force: true });
  console.log(`Built ${file}: ${(bytes / 1e6).toFixed(1)} MB`);
});
