// The compliance suite of abstract-level, against ThermoclineLevel, as a program: it reports by tape, in TAP.

import { createRequire } from 'node:module';
import { ThermoclineLevel } from '../../../lib/level/index.ts';
import { Workspace } from '../workspace.ts';

const require = createRequire(import.meta.url);
const space = new Workspace();
const test = require('tape');

test.onFinish(() => space.clean());
require('abstract-level/test')({
  test,
  factory: (options?: object) => new ThermoclineLevel(space.folder(), options),
});
