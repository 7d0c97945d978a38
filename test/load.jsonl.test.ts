import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { maxRowBytes } from '../lib/cli/load/blocks.ts';
import { jsonLinesReader } from '../lib/cli/load/jsonl.ts';
import { keyColumn, parseKeyTemplate } from '../lib/cli/load/template.ts';

const test = suite('load: JSON Lines');

async function read(text: string | Buffer, valueField?: string, size = 1 << 16): Promise<string[]> {
  const bytes = Buffer.from(text);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const found: string[] = [];
  for await (const { rows, rejects } of jsonLinesReader(keyColumn('id'), valueField)('f.jsonl', pieces())) {
    found.push(...rows.map(({ key, value }) => `${key}=${value}`));
    found.push(...rejects.map(({ line, reason }) => `line ${line}: ${reason}`));
  }
  return found;
}

test('the value is the line as it is written', async () => {
  assert.deepEqual(await read('{"id":1, "x": 1.0}\n{"id":"ü"}\r\n'), ['1={"id":1, "x": 1.0}', 'ü={"id":"ü"}']);
});

test('a field can be the value: text as it stands, anything else as JSON', async () => {
  const found = await read('{"id":1,"v":"a b"}\n{"id":2,"v":{"x":[1]}}\n{"id":3,"v":null}\n{"id":4}\n', 'v');
  assert.deepEqual(found, ['1=a b', '2={"x":[1]}', '3=null', "line 4: there is no 'v', and it is the value"]);
});

test('malformed lines are told by their number, and the others load', async () => {
  const found = await read('{"id":1}\n{"id":\n\n[1]\nnull\n7\n{"x":1}\n{"id":2}\n');
  assert.deepEqual(found.slice(0, 2), ['1={"id":1}', '2={"id":2}']);
  assert.match(found[2] as string, /^line 2: not JSON: /);
  assert.deepEqual(found.slice(3), [
    'line 4: a row is an object such as {"id":1}, and this is a list',
    'line 5: a row is an object such as {"id":1}, and this is null',
    'line 6: a row is an object such as {"id":1}, and this is a number',
    "line 7: there is no 'id', and it is part of the key",
  ]);
});

test('fields that every object inherits are not fields of a row', async () => {
  const reader = jsonLinesReader(parseKeyTemplate('{constructor}'), undefined);
  async function* piece() {
    yield Buffer.from('{"id":1}\n');
  }
  for await (const { rows, rejects } of reader('f', piece())) {
    assert.deepEqual([rows.length, rejects[0]?.reason], [0, "there is no 'constructor', and it is part of the key"]);
  }
});

test('half a surrogate pair is refused in keys and in text values', async () => {
  assert.deepEqual(await read('{"id":"\\ud800"}\n'), [
    'line 1: the key holds half a surrogate pair, which is not text',
  ]);
  assert.deepEqual(await read('{"id":1,"v":"\\udc00"}\n', 'v'), [
    'line 1: the value holds half a surrogate pair, which is not text',
  ]);
});

test('a line that is not UTF-8 is malformed, and its neighbours are not', async () => {
  const damaged = Buffer.from('{"id":1}\n{"id":"?"}\n{"id":3}\n');
  damaged[damaged.indexOf('?')] = 0xff;
  assert.deepEqual(await read(damaged), ['1={"id":1}', '3={"id":3}', 'line 2: the line is not UTF-8']);
});

test('the result does not depend on where the pieces of the file are cut', async () => {
  const text = '\ufeff{"id":"ü😀"}\r\n\n{"id":2}\n{"id":3}';
  for (let size = 1; size <= text.length; size++) {
    const found = await read(text, undefined, size);
    assert.deepEqual(found, ['ü😀={"id":"ü😀"}', '2={"id":2}', '3={"id":3}'], `pieces of ${size} bytes`);
  }
});

test('a line beyond the limit is malformed and is not kept in memory', async () => {
  const piece = Buffer.alloc(1 << 20, 'x');
  const count = maxRowBytes / piece.length + 2;
  async function* pieces() {
    yield Buffer.from('{"id":1}\n');
    for (let i = 0; i < count; i++) yield piece;
    yield Buffer.from('x\n{"id":3}\n');
  }
  const keys: string[] = [];
  const rejected: string[] = [];
  for await (const { rows, rejects } of jsonLinesReader(keyColumn('id'), undefined)('f', pieces())) {
    keys.push(...rows.map(({ key }) => key));
    rejected.push(...rejects.map(({ line, reason }) => `${line}: ${reason}`));
  }
  assert.deepEqual([keys, rejected], [['1', '3'], [`2: the line is longer than ${maxRowBytes} bytes`]]);
});

test.run();
