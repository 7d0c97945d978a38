// Where an installed package looks for its binary, and putting a built one there.

import { chmodSync, copyFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { inRoot, run } from './common.mjs';

/** By which C library this Node.js runs; on Linux alone there are two. */
function libcTag() {
  if (process.platform !== 'linux') return '';
  const { glibcVersionRuntime } = process.report.getReport().header;
  return glibcVersionRuntime === undefined ? '.musl' : '.glibc';
}

/**
 * Puts what buildAddon() built, stripped, at prebuilds/<platform>-<arch>/thermocline[.<libc>].node, the name that
 * node-gyp-build looks for on this machine.
 * @returns {Promise<{ file: string, bytes: number }>} the file, from the root
 */
export async function placeBinary() {
  const folder = path.join('prebuilds', `${process.platform}-${process.arch}`);
  const file = path.join(folder, `thermocline${libcTag()}.node`);
  mkdirSync(inRoot(folder), { recursive: true });
  // Made aside and renamed: a process may have the old one loaded.
  const made = inRoot(`${file}.new`);
  copyFileSync(inRoot('build/Release/thermocline.node'), made);
  await run('strip', process.platform === 'darwin' ? ['-Sx', made] : ['--strip-all', made], { quiet: true });
  chmodSync(made, 0o644);
  renameSync(made, inRoot(file));
  return { file, bytes: statSync(inRoot(file)).size };
}
