import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Block } from '../lib/cli/load/blocks.ts';
import { type CsvOptions, csvReader } from '../lib/cli/load/csv.ts';
import { keyColumn } from '../lib/cli/load/template.ts';

const test = suite('load: CSV and TSV');

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Reads a text in pieces of the given size, and writes down rows and rejects in the order of the file. */
async function read(text: string | Buffer, options: Partial<CsvOptions> = {}, size = 1 << 16): Promise<string[]> {
  const reader = csvReader({ format: 'csv', key: keyColumn('id'), valueColumn: 'v', columns: undefined, ...options });
  const bytes = Buffer.from(text);
  const found: string[] = [];
  let covered = 0;
  for await (const block of reader('f.csv', pieces(bytes, size))) {
    covered += block.bytes;
    found.push(...inOrder(block));
  }
  assert.equal(covered, bytes.length, 'the blocks cover the file');
  return found;
}

function inOrder({ rows, rejects }: Block): string[] {
  const found: string[] = [];
  for (let i = 0; i <= rows.length; i++) {
    for (const { after, line, reason } of rejects) if (after === i) found.push(`line ${line}: ${reason}`);
    const row = rows[i];
    if (row !== undefined) found.push(`${row.key}=${row.value}`);
  }
  return found;
}

test('quoted fields keep commas, quotation marks and line breaks', async () => {
  const text = 'id,v\n1,plain\n2,"a, b"\n3,"say ""hi"""\n4,"two\nlines"\n5,\n';
  assert.deepEqual(await read(text), ['1=plain', '2=a, b', '3=say "hi"', '4=two\nlines', '5=']);
});

test('the last row needs no line break, and CR LF works as LF does', async () => {
  assert.deepEqual(await read('id,v\r\n1,a\r\n2,b'), ['1=a', '2=b']);
});

test('a byte order mark is not part of the first column', async () => {
  assert.deepEqual(await read('\ufeffid,v\n1,a\n'), ['1=a']);
});

test('the whole row becomes a JSON object in the order of the columns', async () => {
  const found = await read('id,"na""me",__proto__\n1,x,y\n', { valueColumn: undefined });
  assert.deepEqual(found, ['1={"id":"1","na\\"me":"x","__proto__":"y"}']);
});

test('columns can be named for a file without a header row', async () => {
  assert.deepEqual(await read('1,a\n2,b\n', { columns: ['id', 'v'] }), ['1=a', '2=b']);
});

test('rows with too few or too many fields are malformed, and the others load', async () => {
  const found = await read('id,v\n1,a\n2\n3,c,d\n4,e\n');
  assert.deepEqual(found, [
    '1=a',
    'line 3: the row has 1 fields, and there are 2 columns',
    'line 4: the row has 3 fields, and there are 2 columns',
    '4=e',
  ]);
});

test('empty lines are passed over and counted in line numbers', async () => {
  assert.deepEqual(await read('id,v\n\n\r\n1,a\n\n2\n'), [
    '1=a',
    'line 6: the row has 1 fields, and there are 2 columns',
  ]);
});

test('line numbers count the line breaks inside quotes once', async () => {
  const found = await read('id,v\n1,"a\r\nb\r\nc"\n2,"x\ny"\n3\n');
  assert.deepEqual(found, ['1=a\r\nb\r\nc', '2=x\ny', 'line 7: the row has 1 fields, and there are 2 columns']);
});

test('a quotation mark that is never closed costs its own line alone', async () => {
  const found = await read('id,v\n1,a\n2,"open\n3,c\n4,d\n');
  assert.deepEqual(found, ['1=a', 'line 3: a quotation mark is opened and never closed', '3=c', '4=d']);
});

test('text after a closing quotation mark costs its own line alone', async () => {
  const found = await read('id,v\n1,"a"b\n2,b\n3,c"d"\n4,"x"\n');
  assert.deepEqual(found, [
    'line 2: a closing quotation mark is followed by more text',
    '2=b',
    'line 4: a quotation mark stands inside a field that is not quoted',
    '4=x',
  ]);
});

test('a row that opens a quotation mark which a later row closes is dropped at its first line', async () => {
  const found = await read('id,v\n1,"a\n2,"b"\n3,c\n');
  assert.deepEqual(found, ['line 2: a closing quotation mark is followed by more text', '2=b', '3=c']);
});

test('bytes that are not UTF-8 make their own row malformed', async () => {
  const text = Buffer.concat([Buffer.from('id,v\n1,a\n2,'), Buffer.from([0xff, 0xfe]), Buffer.from('\n3,\ufffd\n')]);
  assert.deepEqual(await read(text), ['1=a', 'line 3: the row is not UTF-8', '3=\ufffd']);
});

test('the result does not depend on where the pieces of the file are cut', async () => {
  const text = '\ufeffid,v\r\n1,"a ""b"" c"\r\n2,"x\r\ny"\r\n\r\n3\r\n4,"d"e\r\n5,ü😀\r\n6,"open\r\n7,z';
  const whole = await read(text);
  assert.deepEqual(whole, [
    '1=a "b" c',
    '2=x\r\ny',
    'line 6: the row has 1 fields, and there are 2 columns',
    'line 7: a closing quotation mark is followed by more text',
    '5=ü😀',
    'line 9: a quotation mark is opened and never closed',
    '7=z',
  ]);
  for (let size = 1; size < 40; size++) assert.deepEqual(await read(text, {}, size), whole, `pieces of ${size} bytes`);
});

test('TSV has no quoting', async () => {
  const found = await read('id\tv\n1\t"a\n2\tb, c\n', { format: 'tsv' });
  assert.deepEqual(found, ['1="a', '2=b, c']);
});

test('a column that is not there is a usage error that names those that are', async () => {
  await assert.rejects(read('key,v\n1,a\n'), {
    message: "f.csv has no column 'id'; its columns are key, v",
    exitCode: 2,
  });
  await assert.rejects(read('id,w\n1,a\n'), { message: "f.csv has no column 'v'; its columns are id, w", exitCode: 2 });
});

test('two columns of one name, an empty file and an unreadable header row are errors', async () => {
  await assert.rejects(read('id,v,v\n1,a,b\n'), /two columns are called 'v'/);
  await assert.rejects(read(''), /f.csv is empty/);
  await assert.rejects(read('id,"v\n1,a\n'), /f.csv:1: cannot read the header row/);
});

test.run();
