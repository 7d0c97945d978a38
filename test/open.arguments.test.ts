// Arguments of open and destroy: refused before a folder is touched, by a message that names the option.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { suite } from 'uvu';
import { destroy, type OpenOptions, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('open: arguments');
const space = new Workspace();
test.after(() => space.clean());

const location = space.folder();

async function refuses(options: unknown, message: RegExp): Promise<void> {
  await rejects(() => open(location, options as OpenOptions), 'ERR_INVALID_ARGUMENT', message);
  assert.equal(existsSync(location), false, 'a refused open created something');
}

test('the location is the path of a folder', async () => {
  for (const wrong of [undefined, null, '', 5, {}, [], Buffer.from('path'), new URL('file:///tmp'), Symbol('path')]) {
    await rejects(() => open(wrong as string), 'ERR_INVALID_ARGUMENT', /location/);
    await rejects(() => destroy(wrong as string), 'ERR_INVALID_ARGUMENT', /location/);
  }
  await rejects(() => open(`${location}\0x`), 'ERR_INVALID_ARGUMENT', /NUL/);
  await rejects(() => destroy(`${location}\0x`), 'ERR_INVALID_ARGUMENT', /NUL/);
});

test('the options are an object', async () => {
  for (const options of [null, 5, 'readOnly', true, [], () => {}]) await refuses(options, /options of open/);
});

test('unknown names are refused by name, at every depth', async () => {
  await refuses({ creatIfMissing: true }, /'creatIfMissing'.*known are.*createIfMissing/);
  await refuses({ shards: 4, cacheSize: 1 }, /'cacheSize'/);
  await refuses({ memory: { cache: 1 } }, /'cache' of memory.*hotCache/);
  await refuses({ threads: { reads: 1 } }, /'reads' of threads/);
  await refuses({ group: { size: 1 } }, /'size' of group/);
  await refuses({ CreateIfMissing: undefined }, /'CreateIfMissing'/);
});

test('flags are true or false', async () => {
  for (const name of ['createIfMissing', 'errorIfExists', 'readOnly']) {
    for (const value of ['true', 0, 1, null, {}]) await refuses({ [name]: value }, new RegExp(name));
  }
});

test('shards are a whole number from 1 to 256', async () => {
  for (const shards of [0, -1, 257, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '4', null, 4n]) {
    await refuses({ shards }, /shards must be a whole number from 1 to 256/);
  }
});

test('threads are whole numbers from 1 to 256', async () => {
  for (const name of ['read', 'background']) {
    for (const value of [0, -1, 257, 2.5, '2', null]) {
      await refuses({ threads: { [name]: value } }, new RegExp(`threads.${name}`));
    }
  }
  for (const threads of [null, 4, 'all', []]) await refuses({ threads }, /threads/);
});

test('sizes are numbers of bytes or text with a unit', async () => {
  for (const name of ['hotCache', 'blockCache', 'writeBuffer']) {
    for (const value of [
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      '',
      'MB',
      '12 XB',
      '-5MB',
      '1e3',
      '1,5MB',
      null,
      {},
      true,
      5n,
    ]) {
      await refuses({ memory: { [name]: value } }, new RegExp(`memory.${name}`));
    }
  }
  for (const memory of [null, 4, '64MB', []]) await refuses({ memory }, /memory/);
});

test('sizes that the machine cannot mean are refused, not taken', async () => {
  await refuses({ memory: { writeBuffer: 1 } }, /writeBuffer must be at least 1MB/);
  await refuses({ memory: { writeBuffer: '1023KB' } }, /writeBuffer must be at least 1MB/);
});

test('durability and preset are one of their names', async () => {
  for (const durability of ['WAL', 'sync', '', 5, null, true]) await refuses({ durability }, /durability/);
  for (const preset of ['fast', 'Balanced', '', 5, null]) await refuses({ preset }, /preset must be one of balanced/);
});

test('readOnly and errorIfExists are decided before anything is created', async () => {
  await rejects(() => open(location, { readOnly: true }), 'ERR_NOT_FOUND');
  await rejects(() => open(location, { createIfMissing: false }), 'ERR_NOT_FOUND');
  assert.equal(existsSync(location), false);
});

test('undefined members mean the default, as if they were absent', async () => {
  const names = ['createIfMissing', 'errorIfExists', 'readOnly', 'shards', 'durability', 'preset', 'memory', 'threads'];
  const options = Object.fromEntries([...names, 'keyEncoding', 'valueEncoding'].map((name) => [name, undefined]));
  const db = space.adopt(await open(space.folder(), options));
  assert.equal(db.stats().shards, 4);
  await db.put('k', Buffer.from('v'));
  assert.deepEqual(await db.get('k'), Buffer.from('v'));
  const nested = { memory: { hotCache: undefined }, threads: { read: undefined } } as never;
  assert.equal((await open(space.folder(), nested).then(space.adopt.bind(space))).status, 'open');
});

test.run();
