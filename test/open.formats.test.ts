// Databases of every released format version, as the code of then left them, opened with the code of now.
// test/fixtures/format-*: made by `npm run fixture`.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { open, tuples } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

interface Expected {
  /** In key order, the key in hexadecimal; of long values the length. */
  records: [key: string, value: string | { length: number }][];
  /** The value of the tuple ['tuple', -1.5, true, [null, 10n]]. */
  tuple: string;
  shards: { id: number; slots: [number, number][] }[];
  /** Of the topic `events`, numbered in `i`, over its two partitions. */
  messages: number;
  /** Offsets of the group `readers` by partition. */
  committed: Record<string, number>;
}

const fixtures = path.join(import.meta.dirname, 'fixtures');
const test = suite('open: formats');
const space = new Workspace();
test.after(() => space.clean());

const versions = readdirSync(fixtures).filter((name) => name.startsWith('format-'));
test('there is a database of format 1', () => assert.ok(versions.includes('format-1')));

for (const version of versions) {
  const { records, tuple, shards, messages, committed }: Expected = JSON.parse(
    readFileSync(path.join(fixtures, version, 'expected.json'), 'utf8'),
  );
  const copy = (): string => {
    const location = space.folder(version);
    cpSync(path.join(fixtures, version, 'db'), location, { recursive: true });
    return location;
  };
  const opened = async (location: string, options: { readOnly?: boolean } = {}) =>
    space.adopt(
      await open(location, { ...options, createIfMissing: false, keyEncoding: 'buffer', valueEncoding: 'utf8' }),
    );
  const hex = (key: string) => Buffer.from(key).toString('hex');
  const shown = ([key, value]: [Buffer, string]) => [
    key.toString('hex'),
    value.length > 1000 ? { length: value.length } : value,
  ];

  test(`a database of ${version} opens read-only with every record in its place`, async () => {
    const db = await opened(copy(), { readOnly: true });
    assert.deepEqual((await db.iterator().nextMany(10_000)).map(shown), records);
    assert.deepEqual(
      await db
        .getMany(records.map(([key]) => Buffer.from(key, 'hex')))
        .then((values) => values.map((value) => value?.length)),
      records.map(([, value]) => value.length),
    );
    assert.equal(await db.get(Buffer.from('expires/long ago')), undefined);
    assert.equal(await db.get(Buffer.from('record/001')), undefined);
    assert.deepEqual(await db.verify().then(({ problems }) => problems), []);
    await db.close();
  });

  test(`a database of ${version} is written to, moved between tiers and opened again`, async () => {
    const location = copy();
    const db = await opened(location);
    assert.deepEqual(
      (await db.shards.list()).map(({ id, slots }) => ({ id, slots })),
      shards,
    );
    await db.put(Buffer.from('new'), 'record');
    await db.delete(Buffer.from('record/150'));
    await db.tiers.migrate({ from: 'cold', to: 'hot' });
    await db.compact();
    await db.close();
    const again = await opened(location);
    const expected = [...records.filter(([key]) => key !== hex('record/150')), [hex('new'), 'record']];
    expected.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    assert.deepEqual((await again.iterator().nextMany(10_000)).map(shown), expected);
    await again.close();
  });

  test(`tuples and topics of ${version} are read`, async () => {
    const location = copy();
    const byTuple = await open(location, { keyEncoding: tuples(), valueEncoding: 'utf8' });
    assert.equal(await byTuple.get(['tuple', -1.5, true, [null, 10n]]), tuple);
    await byTuple.close();
    const db = space.adopt(await open(location));
    const topic = await db.topics.open('events', { valueEncoding: 'json' });
    const found: number[] = [];
    for (let partition = 0; partition < topic.partitions; partition++) {
      const batch = await topic.read({ partition, offset: 0 });
      for (const { value } of batch) found.push((value as { i: number }).i);
    }
    assert.deepEqual(
      found.sort((a, b) => a - b),
      Array.from({ length: messages }, (_, i) => i),
    );
    const consumer = topic.consumer({ group: 'readers' });
    assert.deepEqual(Object.fromEntries(await consumer.committed()), committed);
    await consumer.close();
    await db.close();
  });
}

test.run();
