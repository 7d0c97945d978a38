// The compliance suite that abstract-level brings for those who implement it, whole.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { start } from './helpers/child.ts';

const test = suite('level: compliance');

test('the suite of abstract-level passes in full', async () => {
  const { code, signal, stdout, stderr } = await start('level-suite.ts', [], { deadline: 280_000 }).end;
  const failures = stdout.split('\n').filter((line) => line.startsWith('not ok'));
  assert.deepEqual({ code, signal, failures, stderr }, { code: 0, signal: null, failures: [], stderr: '' });
  const [, tests, passed] = /^# tests (\d+)\n# pass {2}(\d+)\n\n# ok$/m.exec(stdout) ?? [];
  console.log(`\nnote: abstract-level/test: # tests ${tests} # pass ${passed} # ok`);
  assert.equal(passed, tests);
  assert.ok(Number(tests) > 5000, 'all of it ran');
});

test.run();
