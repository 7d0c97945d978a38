// createReadStream and createWriteStream in pipelines: copying, backpressure, and every way to end early.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable, Transform, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { settle } from './helpers/pipeline/waiting.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('streams: pipeline');
const space = new Workspace();
test.after(() => space.clean());

type Entry = [string, string];
const key = (i: number) => `k${String(i).padStart(6, '0')}`;
const entry = (i: number): Entry => [key(i), `value ${i}`];
const entries = (count: number): Entry[] => Array.from({ length: count }, (_, i) => entry(i));

async function filled(count: number): Promise<TextDatabase> {
  const db = await space.open({ shards: 3 });
  await db.putMany(entries(count));
  return db;
}

async function collect(stream: Readable): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** The database still serves, and nothing keeps it from closing. */
async function servesAndCloses(db: TextDatabase): Promise<void> {
  await db.put('still', 'there');
  assert.equal(await db.get('still'), 'there');
  await db.close();
}

test('a pipeline from one database through a transform into another copies every record in order', async () => {
  const from = await filled(10_000);
  const to = await space.open();
  const seen: string[] = [];
  const upper = new Transform({
    objectMode: true,
    transform([k, v]: Entry, _encoding, callback) {
      seen.push(k);
      callback(null, [k, v.toUpperCase()]);
    },
  });
  await pipeline(from.createReadStream(), upper, to.createWriteStream());
  assert.deepEqual(seen, entries(10_000).map(([k]) => k)); // biome-ignore format: one line
  const expected = entries(10_000).map(([k, v]) => [k, v.toUpperCase()]);
  assert.deepEqual(await to.iterator().nextMany(20_000), expected);
});

test('a read stream takes the options of iterators', async () => {
  const db = await filled(1000);
  const snapshot = await db.snapshot();
  await db.deleteRange({ lt: key(500) });
  const all = entries(1000);
  assert.deepEqual(await collect(db.createReadStream()), all.slice(500));
  assert.deepEqual(await collect(db.createReadStream({ snapshot })), all);
  assert.deepEqual(await collect(db.createReadStream({ reverse: true, limit: 3 })), all.slice(997).reverse());
  assert.deepEqual(await collect(db.createReadStream({ gt: key(600), lte: key(602) })), all.slice(601, 603));
  assert.deepEqual(await collect(db.createReadStream({ prefix: 'k0009', limit: 400 })), all.slice(900));
  assert.deepEqual(await collect(db.createReadStream({ limit: 0 })), []);
  assert.deepEqual(await collect(db.createReadStream({ prefix: 'nothing' })), []);
  await snapshot.close();
});

test('a read stream shows the moment at which it was made', async () => {
  const db = await filled(2000);
  const stream = db.createReadStream();
  await db.deleteRange({});
  await db.put('new', 'v');
  assert.deepEqual(await collect(stream), entries(2000));
});

test('a read stream reads no further ahead than its buffer', async () => {
  const db = await filled(20_000);
  const before = db.stats().operations.scan.records;
  const stream = db.createReadStream();
  await once(stream, 'readable');
  for (let i = 0; i < 20; i++) await settle();
  assert.ok(stream.readableLength > 0 && stream.readableLength <= 512, `${stream.readableLength} records wait`);
  const read = db.stats().operations.scan.records - before;
  assert.ok(read < 20_000, 'all of it was read, and nobody has taken anything');
  assert.equal((await collect(stream)).length, 20_000);
});

test('a slow consumer gets everything, and a stream left early lets go of its iterator', async () => {
  const db = await filled(3000);
  const got: Entry[] = [];
  const slow = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(item: Entry, _encoding, callback) {
      got.push(item);
      setImmediate(callback);
    },
  });
  await pipeline(db.createReadStream(), slow);
  assert.deepEqual(got, entries(3000));
  const left = db.createReadStream();
  for await (const _ of left) break;
  assert.equal(left.destroyed, true);
  await servesAndCloses(db);
});

test('destroying a read stream ends it at any moment, with the error that was given', async () => {
  const db = await filled(3000);
  const untouched = db.createReadStream();
  untouched.destroy();
  await once(untouched, 'close');
  const failing = db.createReadStream();
  failing.once('data', () => failing.destroy(new Error('enough')));
  await assert.rejects(finished(failing), /enough/);
  const atOnce = db.createReadStream();
  atOnce.read(0); // a read is under way
  atOnce.destroy();
  await once(atOnce, 'close');
  await servesAndCloses(db);
});

test('a record that cannot be decoded fails the stream and the pipeline with its error', async () => {
  const location = space.folder();
  const text = await space.open({}, location);
  await text.putMany([
    ['a', '1'],
    ['b', 'no JSON'],
    ['c', '2'],
  ]);
  const json = space.adopt(await open(location, { valueEncoding: 'json' }));
  await rejects(collect(json.createReadStream()), 'ERR_CORRUPTION');
  const sink = new Writable({ objectMode: true, write: (_item, _encoding, callback) => callback() });
  const source = json.createReadStream();
  await rejects(pipeline(source, sink), 'ERR_CORRUPTION');
  assert.equal(source.destroyed && sink.destroyed, true);
  await json.close();
});

test('a write stream has written everything when it finishes, as durably as asked for', async () => {
  for (const durability of [undefined, 'wal', 'fsync'] as const) {
    const db = await space.open();
    const stream = db.createWriteStream(durability === undefined ? undefined : { durability });
    await pipeline(Readable.from(entries(5000)), stream);
    assert.deepEqual(await db.iterator().nextMany(10_000), entries(5000));
    const { fsyncs } = db.stats().writes;
    assert.equal(fsyncs > 0, durability === 'fsync', `${fsyncs} syncs`);
  }
});

test('of several records with one key the last one stays', async () => {
  const db = await space.open();
  const stream = db.createWriteStream();
  for (let i = 0; i < 3000; i++) stream.write([`k${i % 3}`, `${i}`]);
  stream.end();
  await finished(stream);
  assert.deepEqual(await db.values().nextMany(10), ['2997', '2998', '2999']);
});

test('write() tells when to wait, and what waits in the engine stays bounded', async () => {
  const db = await space.open({ memory: { hotCache: 0, writeBuffer: '4MB' } });
  const stream = db.createWriteStream();
  let waits = 0;
  let most = 0;
  for (let i = 0; i < 30_000; i++) {
    if (stream.write([key(i), 'x'.repeat(1000)])) continue;
    waits++;
    assert.ok(stream.writableLength <= 4096 + 1, `${stream.writableLength} records wait in the stream`);
    most = Math.max(most, db.stats().writes.inFlightBytes);
    await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
  assert.ok(waits >= 5, `${waits} waits`);
  assert.ok(most <= 4 * 66 * 1024, `${most} bytes were in flight`);
  assert.equal((await db.keys().nextMany(40_000)).length, 30_000);
});

test('streams obey a small maxInFlight', async () => {
  const db = await space.open({ maxInFlight: '256KB', memory: { hotCache: 0 } });
  await pipeline(Readable.from(entries(20_000)), db.createWriteStream());
  assert.equal((await db.keys().nextMany(40_000)).length, 20_000);
  assert.equal(db.stats().writes.backpressureRejections, 0);
});

test('a source that fails destroys the write stream; what was written stays', async () => {
  const db = await space.open();
  const failing = async function* (): AsyncGenerator<Entry> {
    yield* entries(100);
    await settle();
    throw new Error('the source broke');
  };
  const stream = db.createWriteStream();
  await assert.rejects(pipeline(Readable.from(failing()), stream), /the source broke/);
  assert.equal(stream.destroyed, true);
  for (const [k, v] of await db.iterator().nextMany(1000)) assert.equal(v, entries(100).find(([e]) => e === k)?.[1]);
  await servesAndCloses(db);
});

test('a record that is none fails the pipeline and destroys its source', async () => {
  for (const bad of ['text', 7, {}, ['k'], ['k', 7], [7, 'v'], ['k', 'v', 'w'], ['\ud800', 'v']]) {
    const db = await space.open();
    const source = Readable.from([entry(1), entry(2), bad, entry(3)]);
    await rejects(pipeline(source, db.createWriteStream()), 'ERR_INVALID_ARGUMENT');
    assert.equal(source.destroyed, true);
    assert.equal(await db.get(key(3)), undefined);
    await servesAndCloses(db);
  }
});

test('aborting a pipeline ends both sides', async () => {
  const db = await filled(5000);
  const to = await space.open();
  const controller = new AbortController();
  const source = db.createReadStream();
  const sink = to.createWriteStream();
  let passed = 0;
  const watch = new Transform({
    objectMode: true,
    transform(item, _encoding, callback) {
      if (++passed === 500) controller.abort();
      callback(null, item);
    },
  });
  await assert.rejects(pipeline(source, watch, sink, { signal: controller.signal }), { name: 'AbortError' });
  assert.equal(source.destroyed && sink.destroyed, true);
  assert.ok(passed < 5000);
  await servesAndCloses(db);
  await servesAndCloses(to);
});

test('the signal of a write stream fails it with ERR_ABORTED', async () => {
  const db = await space.open();
  const controller = new AbortController();
  const stream = db.createWriteStream({ signal: controller.signal });
  const endless = async function* (): AsyncGenerator<Entry> {
    for (let i = 0; ; i++) {
      if (i === 10_000) controller.abort();
      yield entry(i % 100);
    }
  };
  await rejects(pipeline(Readable.from(endless()), stream), 'ERR_ABORTED');
  assert.equal(stream.destroyed, true);
  throws(() => db.createWriteStream({ signal: controller.signal }), 'ERR_ABORTED');
  await servesAndCloses(db);
});

test('closing the database fails its streams with ERR_CLOSED', async () => {
  const db = await filled(5000);
  const reading = db.createReadStream();
  reading.read(0);
  const writing = db.createWriteStream();
  const ends = [rejects(collect(reading), 'ERR_CLOSED')];
  await db.close();
  writing.write(entry(1));
  ends.push(rejects(finished(writing), 'ERR_CLOSED'));
  await Promise.all(ends);
  throws(() => db.createReadStream(), 'ERR_CLOSED');
  throws(() => db.createWriteStream(), 'ERR_CLOSED');
});

test('options that are wrong throw where the stream is made', async () => {
  const db = await space.open();
  for (const options of [{ form: 'a' }, { limit: -2 }, { reverse: 1 }, { snapshot: {} }, 'k', { gte: 7 }]) {
    throws(() => db.createReadStream(options as never), 'ERR_INVALID_ARGUMENT');
  }
  for (const options of [{ bogus: 1 }, { durability: 'none' }, { signal: {} }, 'wal', { ttl: 5 }]) {
    throws(() => db.createWriteStream(options as never), 'ERR_INVALID_ARGUMENT');
  }
});

test('many streams at once over one database do not disturb each other', async () => {
  const db = await filled(2000);
  const copies = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const relabel = new Transform({
        objectMode: true,
        transform([k, v]: Entry, _encoding, callback) {
          callback(null, [`copy ${i}/${k}`, v]);
        },
      });
      await pipeline(db.createReadStream({ prefix: 'k' }), relabel, db.createWriteStream());
      return db.values({ prefix: `copy ${i}/` }).nextMany(5000);
    }),
  );
  for (const copy of copies) assert.deepEqual(copy, entries(2000).map(([, v]) => v)); // biome-ignore format: one line
});

test.run();
