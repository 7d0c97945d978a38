'use strict';

// Finds and loads the native addon; the module is what the addon exports. CommonJS, so that both builds of lib/ and the
// tests share one copy. Everybody imports it as '#addon'.

const fs = require('node:fs');
const path = require('node:path');
const { checkProcessor } = require('./processor.cjs');

const root = path.join(__dirname, '..');

function unsupported(message, cause) {
  const error = new Error(message, { cause });
  error.code = 'ERR_UNSUPPORTED';
  return error;
}

function readCpuinfo() {
  try {
    return fs.readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return '';
  }
}

function load() {
  const platform = `${process.platform}-${process.arch}`;
  if (!['linux', 'darwin'].includes(process.platform) || !['x64', 'arm64'].includes(process.arch)) {
    throw unsupported(`Thermocline runs on Linux and macOS, on x64 and arm64; this is ${platform}.`);
  }
  if (process.platform === 'linux') checkProcessor(process.arch, readCpuinfo());

  const nodeGypBuild = require('node-gyp-build');
  let file;
  try {
    file = nodeGypBuild.resolve(root);
  } catch (cause) {
    throw unsupported(
      `Thermocline has no binary for ${platform} here. In a clone run \`npm run setup\`, which builds it; an installed ` +
        'package is built from its sources by `THERMOCLINE_BUILD_FROM_SOURCE=1 npm rebuild thermocline` ' +
        '(docs/install.md).',
      cause,
    );
  }
  try {
    return require(file);
  } catch (cause) {
    throw unsupported(
      `Thermocline's binary ${file} does not load: ${cause.message}. It needs glibc 2.34 or newer, or has to be ` +
        'built on this machine: see docs/install.md.',
      cause,
    );
  }
}

module.exports = load();
