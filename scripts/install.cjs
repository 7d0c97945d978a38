'use strict';

// What `npm install` and `npm rebuild` run. Declared because npm would otherwise start node-gyp wherever it finds a
// binding.gyp, and compile RocksDB for minutes behind the user's back. It builds only if it is asked to, by
// THERMOCLINE_BUILD_FROM_SOURCE=1; with a binary there is nothing to do, a clone is built by `npm run setup`
// (which `npm start` and `npm test` call), and elsewhere a clear message beats a compiler's.
// Loading does not depend on it: npm may well not run it at all.

const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

function hasBinary() {
  try {
    require('node-gyp-build').resolve(root);
    return true;
  } catch {
    return false;
  }
}

// scripts/setup.mjs is not part of the published package.
const isClone = existsSync(path.join(__dirname, 'setup.mjs'));

if (!isClone && process.env.THERMOCLINE_BUILD_FROM_SOURCE === '1') {
  const { status } = spawnSync(process.execPath, [path.join(__dirname, 'from-source.mjs')], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else if (!hasBinary()) {
  console.warn(
    isClone
      ? 'thermocline: the addon is not built yet; `npm run setup` (or npm start, npm test) builds it.'
      : `thermocline: no binary for ${process.platform}-${process.arch} in this package. Build one from its sources with ` +
          '`THERMOCLINE_BUILD_FROM_SOURCE=1 npm rebuild thermocline`; docs/install.md says what that needs.',
  );
}
