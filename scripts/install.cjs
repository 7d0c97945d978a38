'use strict';

// What `npm install` runs. Declared because npm would otherwise start node-gyp wherever it finds a binding.gyp, and
// compile RocksDB for minutes behind the user's back. It never builds: with a binary there is nothing to do, a clone is
// built by `npm run setup` (which `npm start` and `npm test` call), and elsewhere a clear message beats a compiler's.
// Loading does not depend on it either: npm may well not run it at all.

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

if (!hasBinary()) {
  // scripts/setup.mjs is not part of the published package.
  const isClone = existsSync(path.join(__dirname, 'setup.mjs'));
  console.warn(
    isClone
      ? 'thermocline: the addon is not built yet; `npm run setup` (or npm start, npm test) builds it.'
      : `thermocline: no binary for ${process.platform}-${process.arch} in this package. Build one in a clone of the ` +
          'repository with `npm run prebuild` and copy its prebuilds/ folder here.',
  );
}
