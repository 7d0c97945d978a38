/**
 * Counts from outside what durable batches cost the operating system: writes to the log and syncs of it, by strace.
 */

import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const TRIAL = fileURLToPath(new URL('trial.mjs', import.meta.url));
const CALL = /\b(write|pwrite64|writev|pwritev2?|fsync|fdatasync|sync_file_range)\(\d+<([^>]*)>/;

/** @returns {boolean} whether strace is here and allowed to trace */
export function canTrace() {
  return spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0;
}

/**
 * @param {import('./trial.mjs').Trial} trial of kind 'counted' @param {number} deadline seconds
 * @returns {Promise<{ batches: number, writes: number, syncs: number, groups: number, fsyncs: number }>}
 */
export async function countCalls(trial, deadline) {
  const trace = `${trial.dir}.trace`;
  try {
    const calls = 'trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range';
    const args = ['-f', '-y', '-e', calls, '-o', trace, process.execPath, TRIAL, JSON.stringify(trial)];
    const child = spawnSync('strace', args, { encoding: 'utf8', timeout: deadline * 1000 });
    if (child.status !== 0) throw new Error(child.stderr.trim() || `ended with ${child.signal ?? child.status}`);
    const { batches, groups, fsyncs } = JSON.parse(child.stdout);
    let writes = 0;
    let syncs = 0;
    for await (const line of createInterface({ input: createReadStream(trace) })) {
      const call = CALL.exec(line);
      if (call === null || !call[2].startsWith(trial.dir) || !call[2].endsWith('.log')) continue;
      if (call[1].includes('sync')) syncs++;
      else writes++;
    }
    return { batches, writes, syncs, groups, fsyncs };
  } finally {
    await rm(trace, { force: true });
  }
}
