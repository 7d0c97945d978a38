/** Where and with what a run was made: without it a figure means nothing. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ROOT = new URL('../../', import.meta.url);

/** @param {string} dir @returns {string} file system and kind of disk below `dir`, as far as Linux tells */
function fileSystem(dir) {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point]) => point && (dir === point || dir.startsWith(point === '/' ? '/' : `${point}/`)));
    const [device, , type] = mounts.sort((a, b) => b[1].length - a[1].length)[0];
    const disk = path.basename(device).replace(/p?\d+$/, '');
    let kind = '';
    try {
      const rotating = readFileSync(`/sys/block/${disk}/queue/rotational`, 'utf8').trim() === '1';
      kind = rotating ? ', reported as rotating' : ', reported as solid-state';
    } catch {}
    return `${type} on ${disk}${kind}`;
  } catch {
    return 'unknown';
  }
}

function commit() {
  try {
    const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '-uno') ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}

/** @param {string} dir where the databases will be */
export function describeMachine(dir) {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    fileSystem: fileSystem(path.resolve(dir)),
    node: process.version,
    loadAverage: os.loadavg()[0],
    commit: commit(),
    date: new Date().toISOString(),
  };
}

/** @param {string | null} name a folder in node_modules, or this project @returns {string} */
export function versionOf(name) {
  const manifest = new URL(name ? `node_modules/${name}/package.json` : 'package.json', ROOT);
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}
