// open({ config }): an options file, and what is given beside it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { type OpenOptions, open } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('open: options file');
const space = new Workspace();
test.after(() => space.clean());

let files = 0;
function file(content: unknown): string {
  const name = path.join(space.root, `options-${files++}.json`);
  writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content));
  return name;
}

async function memoryOf(options: OpenOptions) {
  const db = space.adopt(await open(space.folder(), options));
  const { shards, memory } = db.stats();
  await db.close();
  return { shards, hotCache: memory.hotCacheCapacityBytes, blockCache: memory.blockCacheCapacityBytes };
}

const MB = 2 ** 20;

test('the options of the file count, and $comment is for people', async () => {
  const config = file({ $comment: ['made for a test'], shards: 3, memory: { hotCache: '8MB', blockCache: '16MB' } });
  assert.deepEqual(await memoryOf({ config }), { shards: 3, hotCache: 8 * MB, blockCache: 16 * MB });
});

test('what is given to open wins, member by member', async () => {
  const config = file({ shards: 3, memory: { hotCache: '8MB', blockCache: '16MB' } });
  const given = { config, shards: 5, memory: { hotCache: '4MB', blockCache: undefined } } as unknown as OpenOptions;
  assert.deepEqual(await memoryOf(given), { shards: 5, hotCache: 4 * MB, blockCache: 16 * MB });
  assert.deepEqual(await memoryOf({ config, preset: 'low-memory' }), {
    shards: 3,
    hotCache: 4 * MB,
    blockCache: 8 * MB,
  });
});

test('durability from the file is the default of writes', async () => {
  const db = space.adopt(await open(space.folder(), { config: file({ durability: 'none' }) }));
  await rejects(db.put('k', Buffer.from('v'), { durability: 'fsync' }), 'ERR_INVALID_ARGUMENT');
  await db.put('k', Buffer.from('v'));
});

test('a file that is not right is refused by its name, and nothing is created', async () => {
  const refuses = async (config: unknown, message: RegExp) => {
    await rejects(() => open(space.folder(), { config } as OpenOptions), 'ERR_INVALID_ARGUMENT', message);
  };
  await refuses(5, /config must be the path/);
  await refuses('', /config must be the path/);
  await refuses(path.join(space.root, 'nowhere.json'), /nowhere\.json cannot be read/);
  await refuses(file('{"shards": 4,}'), /options-\d+\.json is no JSON/);
  await refuses(file('[1]'), /must hold one object/);
  await refuses(file({ shard: 4 }), /options-\d+\.json: unknown option 'shard'/);
  await refuses(file({ shards: 'four' }), /options-\d+\.json: shards must be/);
  await refuses(file({ compression: { level: 'lz4' } }), /options-\d+\.json: unknown option 'level' of compression/);
  for (const name of ['config', 'keyEncoding', 'valueEncoding', 'readOnly', 'createIfMissing', 'errorIfExists']) {
    await refuses(file({ [name]: true }), new RegExp(`cannot set ${name}`));
  }
});

test.run();
