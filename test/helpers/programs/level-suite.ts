// The compliance suite of abstract-level, against ThermoclineLevel, as a program: it reports by tape, in TAP.

import { createRequire } from 'node:module';
import { ThermoclineLevel } from '../../../lib/level/index.ts';
import { Workspace } from '../workspace.ts';

const require = createRequire(import.meta.url);
const space = new Workspace();
const test = require('tape');

const SMALL = {
  shards: 1,
  threads: { read: 1, background: 1, maintenance: 1 },
  memory: { hotCache: '1MB', blockCache: '1MB' },
} as const;

test.onFinish(() => space.clean());
require('abstract-level/test')({
  test,
  // Hundreds of databases: few threads and one shard each, since every thread is one to start and to end.
  factory: (options?: object) => new ThermoclineLevel(space.folder(), { ...SMALL, ...options }),
});
