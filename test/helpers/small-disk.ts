// A small file system of its own, for tests of a full disk; needs the right to mount.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Undefined if this process may not mount. */
  static mount(path: string, megabytes: number): SmallDisk | undefined {
    mkdirSync(path);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', path], { stdio: 'ignore' });
    } catch {
      return undefined;
    }
    return new SmallDisk(path);
  }

  resize(megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, this.path]);
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.path]);
  }
}
