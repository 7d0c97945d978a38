import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { flatten } from '../lib/cli/commands/stats.ts';
import { CliError, describeError, exitCodeOf, fileError, usageError } from '../lib/cli/errors.ts';
import { formatTable, formatTabs } from '../lib/cli/table.ts';
import {
  formatBytes,
  formatCount,
  formatRate,
  formatSeconds,
  plural,
  printable,
  wholeSeconds,
} from '../lib/cli/text.ts';

const test = suite('command line: text');

test('text is printed as it stands, quotation marks and backslashes included', () => {
  assert.equal(printable(Buffer.from('{"a":"\\n ü 😀"}')), '{"a":"\\n ü 😀"}');
  assert.equal(printable(Buffer.alloc(0)), '');
});

test('text with control characters is escaped, so that a record stays on one line', () => {
  assert.equal(printable(Buffer.from('a\tb\nc\rd\\e\x1b[0m')), 'a\\tb\\nc\\rd\\\\e\\x1b[0m');
  assert.equal(printable(Buffer.from('ü\n😀')), 'ü\\n😀');
  assert.equal(printable(Buffer.from('\u0085')), '\\xc2\\x85');
});

test('bytes that are not UTF-8 are escaped one by one', () => {
  assert.equal(printable(Buffer.from([0x41, 0xff, 0x00, 0x5c, 0x7e, 0x7f, 0x0a])), 'A\\xff\\x00\\\\~\\x7f\\n');
  assert.equal(printable(Buffer.concat([Buffer.from('ü'), Buffer.from([0x80])])), '\\xc3\\xbc\\x80');
});

test('figures come in units that fit', () => {
  assert.deepEqual([0, 999, 480493].map(formatCount), ['0', '999', '480,493']);
  assert.deepEqual([0, 999, 1000, 35_401_159].map(formatBytes), ['0 bytes', '999 bytes', '1.0 kB', '35.4 MB']);
  const times = [0.000085, 0.0032, 0.25, 1.44, 59.94, 125].map(formatSeconds);
  assert.deepEqual(times, ['85 µs', '3.2 ms', '250 ms', '1.4 s', '59.9 s', '2 min 5 s']);
  assert.deepEqual([0, 0.2, 59.5, 125].map(wholeSeconds), ['0 s', '1 s', '1 min 0 s', '2 min 5 s']);
  assert.equal(formatRate(1000, 0.5), '2,000/s');
  assert.deepEqual([plural(1, 'row'), plural(2000, 'row')], ['1 row', '2,000 rows']);
});

test('a table has borders on a terminal, aligned columns without, and tabs for a program', () => {
  const content = {
    head: ['what', 'n'],
    rows: [
      ['a', '1'],
      ['bcd', '100'],
    ],
    right: [1],
  };
  const bordered = formatTable(content, true);
  assert.match(bordered, /┌─+┬─+┐/);
  assert.match(bordered, /│ bcd +│ 100 │/);
  assert.ok(!bordered.includes('\x1b'), 'no colours');
  assert.equal(formatTable(content, false), ' what    n\n a       1\n bcd   100\n');
  assert.equal(formatTabs(content.rows), 'a\t1\nbcd\t100\n');
});

test('nested figures are named by their path', () => {
  assert.deepEqual(flatten({ a: 1, b: { c: 'x', d: [2, null] } }), [
    ['a', '1'],
    ['b.c', 'x'],
    ['b.d.0', '2'],
    ['b.d.1', 'null'],
  ]);
});

test('an error is one line with its code, and tells nothing of the stack', () => {
  const error = Object.assign(new Error('first\n  second'), { code: 'ERR_IO' });
  assert.equal(describeError(error), 'thermocline: first; second (ERR_IO)');
  assert.equal(describeError(new CliError('nothing there')), 'thermocline: nothing there');
  assert.equal(describeError('text'), 'thermocline: text');
});

test('THERMOCLINE_DEBUG adds the stack and the cause', () => {
  process.env.THERMOCLINE_DEBUG = '1';
  try {
    const text = describeError(new CliError('outer', { cause: new Error('inner') }));
    assert.match(text, /^thermocline: outer\n.*outer\n\s+at .*/s);
    assert.match(text, /caused by Error: inner\n\s+at /);
  } finally {
    delete process.env.THERMOCLINE_DEBUG;
  }
});

test('exit codes are 1 for failures and 2 for commands typed wrongly', () => {
  assert.deepEqual([new Error('x'), new CliError('x'), usageError('x')].map(exitCodeOf), [1, 1, 2]);
});

test('a file that cannot be read is named, with the reason', () => {
  const error = fileError('a.csv', Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }));
  assert.equal(describeError(error), 'thermocline: cannot read a.csv: there is no such file (ENOENT)');
  assert.equal(fileError('a', new Error('odd')).message, 'cannot read a: odd');
});

test.run();
