// A file system so small that a test can fill it.

import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export class SmallDisk {
  readonly root: string;
  readonly #ballast: string;
  #databases = 0;

  private constructor(root: string) {
    this.root = root;
    this.#ballast = path.join(root, 'ballast');
  }

  /** @returns undefined where the system does not permit to mount one, such as without root. */
  static mount(mebibytes: number): SmallDisk | undefined {
    const root = mkdtempSync(path.join(tmpdir(), 'thermocline-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'thermocline-test', root], { stdio: 'ignore' });
    } catch {
      rmSync(root, { recursive: true });
      return undefined;
    }
    const disk = new SmallDisk(root);
    process.once('exit', () => disk.unmount());
    return disk;
  }

  resize(mebibytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${mebibytes}m`, this.root], { stdio: 'ignore' });
  }

  unmount(): void {
    try {
      execFileSync('umount', ['--lazy', this.root], { stdio: 'ignore' });
      rmSync(this.root, { recursive: true });
    } catch {
      // It was unmounted before.
    }
  }

  /** A path on the disk at which nothing is yet. */
  folder(): string {
    const folder = path.join(this.root, `${++this.#databases}`);
    mkdirSync(folder);
    return path.join(folder, 'db');
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.root);
    return bavail * bsize;
  }

  /** Takes everything that is free, to the last byte. */
  fill(): void {
    const file = openSync(this.#ballast, 'a');
    try {
      for (let size = 2 ** 20; size >= 1; ) {
        try {
          writeSync(file, Buffer.alloc(size));
        } catch {
          size = Math.floor(size / 16);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** Gives back what `fill` took. */
  makeRoom(): void {
    rmSync(this.#ballast, { force: true });
  }
}
