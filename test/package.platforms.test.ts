// Where the binary does not run: what a program is told, and that it is told rather than killed.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { startScript } from './helpers/child.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('package: platforms');
const space = new Workspace();
test.after(() => space.clean());

const root = path.join(import.meta.dirname, '..');

/** A package of the loader alone, as it is installed where there is no binary for the machine. */
function installed(): string {
  const folder = space.folder('package');
  mkdirSync(path.join(folder, 'lib'), { recursive: true });
  mkdirSync(path.join(folder, 'scripts'));
  for (const file of ['package.json', 'lib/addon.cjs', 'lib/processor.cjs', 'scripts/install.cjs']) {
    cpSync(path.join(root, file), path.join(folder, file));
  }
  cpSync(path.join(root, 'node_modules/node-gyp-build'), path.join(folder, 'node_modules/node-gyp-build'), {
    recursive: true,
  });
  return folder;
}

/** Loads the addon of the package after `before` has run. Gives the error's code and message. */
async function loading(folder: string, before = ''): Promise<string> {
  const addon = JSON.stringify(path.join(folder, 'lib/addon.cjs'));
  const script = `${before}\ntry { require(${addon}); console.log('loaded'); } catch (error) { console.log(error.code, error.message); }`;
  const { code, stdout, stderr } = await startScript(script, { type: 'commonjs' }).end;
  assert.equal(code, 0, stderr);
  return stdout;
}

const pretend = (name: 'platform' | 'arch', value: string) =>
  `Object.defineProperty(process, '${name}', { value: '${value}' });`;

test('another system or processor family is refused by name', async () => {
  assert.match(
    await loading(root, pretend('platform', 'win32')),
    /^ERR_UNSUPPORTED Thermocline runs on Linux and macOS, on x64 and arm64; this is win32-x64\./,
  );
  assert.match(await loading(root, pretend('arch', 'ppc64')), /this is linux-ppc64\./);
});

test('an old processor is refused before the binary is loaded', async () => {
  const cpuinfo = 'flags\\t: fpu sse2 ssse3 popcnt avx f16c';
  const old = `const fs = require('node:fs');
    const { readFileSync } = fs;
    fs.readFileSync = (file, ...rest) => (file === '/proc/cpuinfo' ? '${cpuinfo}' : readFileSync(file, ...rest));
    process.dlopen = () => { throw new Error('the binary was loaded'); };`;
  const said = await loading(root, old + pretend('arch', 'x64') + pretend('platform', 'linux'));
  assert.match(said, /^ERR_UNSUPPORTED Thermocline's binary needs Intel Haswell.*lacks: avx2, bmi1, bmi2, fma/);
});

test('a package without a binary for the machine says how to build one, when installed and when loaded', async () => {
  const folder = installed();
  assert.match(
    await loading(folder),
    /^ERR_UNSUPPORTED Thermocline has no binary for .*THERMOCLINE_BUILD_FROM_SOURCE=1 npm rebuild thermocline/,
  );
  const install = JSON.stringify(path.join(folder, 'scripts/install.cjs'));
  const { code, stderr } = await startScript(`require(${install})`, { type: 'commonjs' }).end;
  assert.equal(code, 0, 'npm install goes on');
  assert.match(stderr, /thermocline: no binary for .*THERMOCLINE_BUILD_FROM_SOURCE=1 npm rebuild thermocline/);
});

test('a binary that does not load is named, with what it needs', async () => {
  const folder = installed();
  const file = path.join(folder, `prebuilds/${process.platform}-${process.arch}/thermocline.node`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'not a library');
  const said = await loading(folder);
  assert.ok(said.startsWith(`ERR_UNSUPPORTED Thermocline's binary ${file} does not load: `), said);
  assert.match(said, /glibc 2\.34 or newer/);
});

test.run();
