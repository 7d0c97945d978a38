import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { CliError } from '../lib/cli/errors.ts';
import { RowError } from '../lib/cli/load/blocks.ts';
import { keyColumn, parseKeyTemplate, wellFormed } from '../lib/cli/load/template.ts';

const test = suite('load: key templates');

function render(template: string, row: Record<string, unknown>): string {
  return parseKeyTemplate(template).render((name) => row[name]);
}

test('text and columns are put together in order', () => {
  assert.equal(render('user/{id}', { id: 42 }), 'user/42');
  assert.equal(render('{a}{b}', { a: 'x', b: true }), 'xtrue');
  assert.equal(render('{country}/{city}!', { country: 'NO', city: 'Tromsø' }), 'NO/Tromsø!');
  assert.deepEqual(parseKeyTemplate('{country}/{city}').columns, ['country', 'city']);
});

test('double braces stand for braces, so that a key can hold a hash tag', () => {
  assert.equal(render('user/{{{id}}}/name', { id: '7' }), 'user/{7}/name');
  assert.equal(render('{{}}{id}', { id: '7' }), '{}7');
});

test('braces that do not match are refused as a usage error', () => {
  for (const template of ['user/{id', 'user/id}', '{}', '{a{b}}', '{id}}']) {
    assert.throws(
      () => parseKeyTemplate(template),
      (error) => error instanceof CliError && error.exitCode === 2,
      template,
    );
  }
});

test('a template without a column is refused, since all rows would share one key', () => {
  assert.throws(() => parseKeyTemplate('user'), /names no column/);
});

test('a missing or empty column makes the row malformed', () => {
  assert.throws(() => render('{id}', {}), new RowError("there is no 'id', and it is part of the key"));
  assert.throws(() => render('{id}', { id: null }), /there is no 'id'/);
  assert.throws(() => render('x{id}', { id: '' }), /column 'id' is empty/);
});

test('objects and lists are no keys', () => {
  assert.throws(() => render('{id}', { id: {} }), /'id' is an object/);
  assert.throws(() => render('{id}', { id: [1] }), /'id' is a list/);
});

test('numbers that JSON has rounded are refused, and exact ones are not', () => {
  assert.throws(() => render('{id}', JSON.parse('{"id":9007199254740993}')), /too large to be exact/);
  assert.equal(render('{id}', { id: Number.MAX_SAFE_INTEGER }), '9007199254740991');
  assert.equal(render('{id}', { id: 1.5 }), '1.5');
});

test('half a surrogate pair is refused in keys', () => {
  assert.throws(() => keyColumn('id').render(() => 'a\ud800'), /half a surrogate pair/);
  assert.equal(
    keyColumn('id').render(() => 'a😀'),
    'a😀',
  );
  assert.equal(wellFormed('😀', 'the value'), '😀');
});

test.run();
