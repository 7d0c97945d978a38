// npm run fixture: test/fixtures/format-<version>/, a small database of the format that the code writes now, with all that
// a database can hold. Made once for each released format version and never again: test/open.formats.test.ts opens every
// one of them with the code as it is.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Failure, inRoot, main } from './common.mjs';
import { setup } from './setup.mjs';

/** native/engine/tier/meta.h */
const FORMAT = 1;
const YEAR_2100 = Date.UTC(2100, 0, 1);

/**
 * Fills a new database.
 * @returns {Promise<object>} what it holds, as the test expects it
 */
async function fill({ open, tuples }, location) {
  const options = { shards: 2, changes: true, tiers: { warm: {}, cold: {} }, valueEncoding: 'utf8' };
  const db = await open(location, options);
  const number = (i) => String(i).padStart(3, '0');

  // Records in tables of all three tiers, some of them only in a colder one, some shadowed or deleted there since.
  await db.batch(
    Array.from({ length: 300 }, (_, i) => ({ type: 'put', key: `record/${number(i)}`, value: `value ${i}` })),
  );
  await db.flush();
  await db.tiers.migrate({ from: 'hot', to: 'warm', filter: (key) => key < 'record/200' });
  await db.tiers.migrate({ from: 'warm', to: 'cold', filter: (key) => key < 'record/100' });
  await db.put('record/000', 'written again above the cold one');
  await db.delete('record/001');
  await db.deleteRange({ gte: 'record/010', lt: 'record/020' });
  await db.put('record/150', 'written again above the warm one');
  await db.shards.split(0);

  await db.put('', 'the empty key');
  await db.put('empty', '');
  await db.put('{tag}/1', 'slot of tag');
  await db.put('æøå', 'UTF-8');
  await db.put('large', 'x'.repeat(20_000));
  await db.put('expires/2100', 'later', { ttl: YEAR_2100 - Date.now() });
  await db.put('expires/long ago', 'gone', { ttl: 1 });
  const tuple = await open(location, { keyEncoding: tuples(), valueEncoding: 'utf8' });
  await tuple.put(['tuple', -1.5, true, [null, 10n]], 'a tuple');
  await tuple.close();

  const topic = await db.topics.create('events', { partitions: 2, compression: 'zstd', valueEncoding: 'json' });
  for (let i = 0; i < 20; i++) await topic.append({ key: `k${i}`, value: { i } }, { partition: i % 2 });
  const consumer = topic.consumer({ group: 'readers' });
  const batch = await consumer.next();
  await consumer.commit();
  const committed = Object.fromEntries(await consumer.committed());
  await consumer.close();
  await db.batch([{ type: 'put', key: 'with a message', value: '1' }], {
    messages: [{ topic, partition: 0, key: 'outbox', value: { i: 20 } }],
  });
  if (batch === undefined) throw new Failure('The consumer was given nothing.');

  const raw = await open(location, { keyEncoding: 'buffer', valueEncoding: 'utf8' });
  const records = (await raw.iterator().nextMany(10_000)).map(([key, value]) => [
    key.toString('hex'),
    value.length > 1000 ? { length: value.length } : value,
  ]);
  await raw.close();
  const shards = (await db.shards.list()).map(({ id, slots }) => ({ id, slots }));
  await db.close();
  return { records, tuple: 'a tuple', shards, messages: 21, committed };
}

await main(import.meta.url, async () => {
  const folder = inRoot('test/fixtures', `format-${FORMAT}`);
  if (existsSync(folder)) {
    throw new Failure(`${folder} is there: a fixture is made once. A new format version takes a new one.`);
  }
  await setup();
  const made = mkdtempSync(path.join(tmpdir(), 'fixture-'));
  try {
    const expected = await fill(await import('../dist/esm/index.js'), path.join(made, 'db'));
    // What RocksDB tells people, and what it does not read again; both name this machine's folders.
    for (const name of readdirSync(made, { recursive: true })) {
      if (/(^|\/)(LOG(\.old.*)?|OPTIONS-\d+)$/.test(name)) rmSync(path.join(made, name));
    }
    mkdirSync(folder, { recursive: true });
    cpSync(path.join(made, 'db'), path.join(folder, 'db'), { recursive: true });
    writeFileSync(path.join(folder, 'expected.json'), `${JSON.stringify(expected, null, 1)}\n`);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  console.log(`Made ${folder}`);
});
