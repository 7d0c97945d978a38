/**
 * Work that has nothing to do with any store: arithmetic, copying memory, waking another thread. What it differs by
 * between two runs is the machine's doing, and bench:compare allows for that much.
 */

import { promisify } from 'node:util';
import { gunzip, gzipSync } from 'node:zlib';
import { sampled } from './measure.mjs';

export async function control({ seconds }) {
  const from = Buffer.alloc(8 << 20, 'control');
  const to = Buffer.allocUnsafe(from.length);
  let x = 1;
  const inflate = promisify(gunzip);
  const packed = gzipSync(Buffer.alloc(1000, 'thread'));
  return {
    figures: {
      arithmetic: await sampled(1e6, seconds, () => {
        for (let i = 0; i < 1e6; i++) {
          x ^= x << 13;
          x ^= x >>> 17;
          x ^= x << 5;
        }
        if (x === 0) throw new Error('xorshift never reaches zero');
      }),
      memory: await sampled(from.length, seconds, () => {
        from.copy(to);
        if (to[to.length - 1] !== from[from.length - 1]) throw new Error('not copied');
      }),
      threads: await sampled(200, seconds, async () => {
        for (let i = 0; i < 200; i++) if ((await inflate(packed)).length !== 1000) throw new Error('not inflated');
      }),
    },
  };
}
