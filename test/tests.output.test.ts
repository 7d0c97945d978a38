// What the test runner shows of failures: bounded, and every one named (scripts/failures.mjs).

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { urlOf } from './helpers/child.ts';

type Failures = (output: string, ending: string) => { shown: string; named: string };
const { engineFailures, uvuFailures }: { engineFailures: Failures; uvuFailures: Failures } = await import(
  urlOf('scripts/failures.mjs')
);

const test = suite('the output of tests');

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `line ${i}`);
}

test('names the failed tests of a uvu file in one line', () => {
  const output = [
    ' object: some  • ✘ ✘   (1 / 3)',
    '   FAIL  object: some  "does \\"this\\" and that"',
    '    Expected values',
    '   FAIL  object: some  "does more"',
    '    Expected values',
  ].join('\n');
  const { shown, named } = uvuFailures(output, 'It ended with exit code 1.');
  assert.equal(named, '"does \\"this\\" and that", "does more"');
  assert.equal(shown.split('\n').length, 6);
  assert.match(shown, /It ended with exit code 1\.$/);
});

test('tells how a file ended that names no failed test', () => {
  assert.equal(uvuFailures(' object  • •', 'It died of SIGSEGV.').named, 'It died of SIGSEGV.');
});

test('shows the beginning and the end of a large difference, and leaves the next failure whole', () => {
  const output = ['   FAIL  a  "one"', ...numbered(5000), '   FAIL  a  "two"', 'message of two'].join('\n');
  const lines = uvuFailures(output, 'ending').shown.split('\n');
  assert.equal(lines.length, 64);
  assert.deepEqual(lines.slice(0, 2), ['FAIL  a  "one"', 'line 0']);
  assert.deepEqual(lines.slice(39, 42), ['line 38', '[4941 lines left out]', 'line 4980']);
  assert.deepEqual(lines.slice(-4), ['line 4999', '   FAIL  a  "two"', 'message of two', 'ending']);
});

test('is bounded, however much fails', () => {
  const output = Array.from({ length: 500 }, (_, i) => `   FAIL  a  "${i}"\n${'x'.repeat(9000)}`).join('\n');
  const { shown, named } = uvuFailures(output, 'ending');
  assert.equal(named, '"0", "1", "2" and 497 more');
  assert.ok(shown.length < 12 * 700, `${shown.length} characters`);
  assert.match(shown, /\[\d+ failures left out\]/);
  assert.match(shown, /"499"\n.*\nending$/);
});

const engine = [
  'Running main() from gtest_main.cc',
  '[==========] Running 3 tests from 1 test suite.',
  '[----------] 3 tests from Object',
  '[ RUN      ] Object.IsQuiet',
  '[       OK ] Object.IsQuiet (0 ms)',
  '[ RUN      ] Object.Fails',
  'object_test.cc:7: Failure',
  '[  FAILED  ] Object.Fails (3 ms)',
];

test('names the failed tests of the engine, and shows nothing of those that passed in silence', () => {
  const { shown, named } = engineFailures([...engine, '[  FAILED  ] Object.Fails'].join('\n'), 'exit code 1');
  assert.equal(named, 'Object.Fails');
  assert.doesNotMatch(shown, /IsQuiet|Running/);
  assert.match(shown, /^\[ RUN {6}\] Object\.Fails\nobject_test\.cc:7: Failure\n/);
});

test('names the test of the engine in which the process died', () => {
  const { named } = engineFailures([...engine, '[ RUN      ] Object.Dies'].join('\n'), 'It died of SIGSEGV.');
  assert.equal(named, 'Object.Fails, Object.Dies (it did not end)');
});

test('names the test of the engine in which a sanitizer noticed something', () => {
  const output = [
    ...engine.slice(0, 5),
    '[ RUN      ] Object.Races',
    'WARNING: ThreadSanitizer: data race (pid=1)',
    '[       OK ] Object.Races (0 ms)',
  ];
  const { shown, named } = engineFailures(output.join('\n'), 'It ended with exit code 66.');
  assert.equal(named, 'Object.Races');
  assert.match(shown, /Object\.Races\nWARNING: ThreadSanitizer/);
  assert.match(shown, /exit code 66\.$/);
});

test.run();
