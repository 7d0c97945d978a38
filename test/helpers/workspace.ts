// Folders that never outlive the test process, and databases that are closed with them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Database, type OpenOptions, open } from '../../lib/index.ts';

/** Keys and values are strings. */
export type TextDatabase = Database<string, string>;
type TextOptions = Omit<OpenOptions, 'keyEncoding' | 'valueEncoding'>;

const roots = new Set<string>();

function remove(root: string): void {
  rmSync(root, { recursive: true, force: true });
  roots.delete(root);
}

// For tests that end early; those that end in order have removed theirs.
process.once('exit', () => {
  for (const root of roots) remove(root);
});

export class Workspace {
  readonly root: string;
  #folders = 0;
  readonly #opened = new Set<{ close(): Promise<void> }>();

  /** @param parent where the folder is made, such as another file system. */
  constructor(parent: string = tmpdir()) {
    this.root = mkdtempSync(path.join(parent, 'thermocline-test-'));
    roots.add(this.root);
  }

  /** A path at which nothing is yet. */
  folder(name = 'db'): string {
    return path.join(this.root, `${++this.#folders}-${name}`);
  }

  /** Opens a database of strings in a new folder, or in `location`; `clean` closes it. */
  async open(options: TextOptions = {}, location: string = this.folder()): Promise<TextDatabase> {
    return this.adopt(await open(location, { ...options, valueEncoding: 'utf8' }));
  }

  /** Closes it with the workspace. */
  adopt<T extends { close(): Promise<void> }>(opened: T): T {
    this.#opened.add(opened);
    return opened;
  }

  /** Closes what is open and removes every folder. That closing succeeds is for tests to check. */
  async clean(): Promise<void> {
    await Promise.allSettled([...this.#opened].map((opened) => opened.close()));
    this.#opened.clear();
    remove(this.root);
  }
}
