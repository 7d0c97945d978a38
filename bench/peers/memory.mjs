/**
 * Resident memory: the peak and what remains at the end of one life (load, read, scan), and whether ten lives in one
 * process leave anything behind. Linux only; elsewhere the peak is the whole process's.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { load, reads, scans, settle } from './measures.mjs';

const LIVES = 10;

/** Collects garbage twice (the second frees what finalizers held), then reads the resident size. */
async function resident() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await settle();
  }
  return process.memoryUsage().rss;
}

/** The workload's making took more memory than the store may need, so the peak starts anew where the kernel allows. */
function forgetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {}
}

function peak() {
  try {
    const kib = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kib) return Number(kib) * 1024;
  } catch {}
  return process.resourceUsage().maxRSS * 1024;
}

/**
 * @param {import('./adapters/store.mjs').Store} store @param {import('./workload.mjs').Workload} work
 * @param {boolean} trusting
 */
export async function memory(store, work, trusting) {
  await resident();
  forgetPeak();
  await load(store, work, 1);
  await reads(store, work, trusting);
  await scans(store, work, trusting);
  return { residentPeak: peak(), residentFinal: await resident() };
}

/**
 * @param {(dir: string) => Promise<import('./adapters/store.mjs').Store>} open
 * @param {import('./workload.mjs').Workload} work @param {string} dir @param {boolean} trusting
 */
export async function growth(open, work, dir, trusting) {
  const afterLife = [];
  for (let life = 0; life < LIVES; life++) {
    const store = await open(dir);
    await load(store, work, 1);
    await reads(store, work, trusting);
    await store.close();
    await rm(dir, { recursive: true, force: true });
    afterLife.push(await resident());
  }
  return { residentAfterLife: afterLife };
}
