// What db.changes() gives: which commits, in which order, from where, and when it says that it cannot.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { backups, type Change, open, restore, ThermoclineError } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('changes: feed');
const space = new Workspace();
test.after(() => space.clean());

const code = (expected: string) => (error: unknown) => error instanceof ThermoclineError && error.code === expected;

async function take<V>(feed: { next(): Promise<Change<string, V> | undefined> }, count: number) {
  const changes: Change<string, V>[] = [];
  while (changes.length < count) changes.push((await feed.next()) as Change<string, V>);
  return changes;
}

test('every commit is one change with its operations in the order of the call', async () => {
  const db = await space.open({ changes: true });
  const feed = db.changes({ since: 0 });
  const before = Date.now();
  await db.put('a', '1');
  await db.batch([
    { type: 'put', key: 'b', value: '2' },
    { type: 'del', key: 'a' },
    { type: 'put', key: 'b', value: '3' },
    { type: 'put', key: 'ttl', value: 'x', ttl: 60_000 },
  ]);
  await db.deleteRange({ gte: 'a', lt: 'c' });
  const [put, batch, range] = await take(feed, 3);
  assert.deepEqual(put?.operations, [{ type: 'put', shard: (await db.shards.of('a')).id, key: 'a', value: '1' }]);
  const last = batch?.operations.at(-1);
  assert.ok(last?.type === 'put' && (last.expires as number) >= before + 60_000);
  assert.deepEqual(batch?.operations.slice(0, 3), [
    { type: 'put', shard: (await db.shards.of('b')).id, key: 'b', value: '2' },
    { type: 'delete', shard: (await db.shards.of('a')).id, key: 'a' },
    { type: 'put', shard: (await db.shards.of('b')).id, key: 'b', value: '3' },
  ]);
  assert.deepEqual(range?.operations, [{ type: 'deleteRange', gte: Buffer.from('a'), lt: Buffer.from('c') }]);
  assert.ok((put?.sequence as number) < (batch?.sequence as number));
  assert.ok((batch?.id as number) < (range?.id as number));
  assert.equal(feed.sequence, range?.sequence);
  await db.close();
});

test('shards that are restored from a snapshot are a gap for everybody who has not come further', async () => {
  const location = space.folder();
  const folder = `${space.folder()}-shards`;
  const db = await space.open({ changes: true }, location);
  await db.put('a', 'before');
  await db.shards.snapshot(
    (await db.shards.list()).map(({ id }) => id),
    folder,
  );
  const behind = db.changes({ since: 0 });
  const waiting = db.changes();
  await db.put('a', 'after');
  const [{ sequence }] = (await take(waiting, 1)) as [Change<string, string>];
  const next = assert.rejects(() => waiting.next(), code('ERR_GAP'));
  const log = await db.topics.from(db.changes(), { topic: 'log' });
  await db.shards.restore(folder);
  assert.equal(await db.get('a'), 'before');
  await next;
  await assert.rejects(() => waiting.next(), code('ERR_GAP'), 'and stays one');
  await assert.rejects(() => behind.next(), code('ERR_GAP'));
  await assert.rejects(log.done, code('ERR_GAP'));
  const feed = db.changes();
  await db.put('b', '1');
  const [change] = (await take(feed, 1)) as [Change<string, string>];
  assert.equal(change.operations[0]?.type === 'put' && change.operations[0].key, 'b');
  await db.close();

  const again = await space.open({}, location);
  for (const since of [0, sequence]) {
    await assert.rejects(() => again.changes({ since }).next(), code('ERR_GAP'), `since ${since}`);
  }
  await again.put('c', '1');
  const [last] = (await take(again.changes({ since: change.sequence }), 1)) as [Change<string, string>];
  assert.equal(last.operations[0]?.type === 'put' && last.operations[0].key, 'c');
  await again.close();
});

test('nothing is left out or sorted while the database keeps changes', async () => {
  const db = await space.open({ changes: true });
  const feed = db.changes();
  // One group: written before the first is awaited.
  await Promise.all([db.put('n', '1'), db.put('n', '2'), db.put('n', '3')]);
  const operations = Array.from({ length: 40 }, (_, i) => ({
    type: 'put' as const,
    key: `k${(i * 17) % 20}`,
    value: String(i),
  }));
  await db.batch(operations);
  const changes = await take(feed, 4);
  assert.deepEqual(
    changes.slice(0, 3).map(({ operations: [put] }) => put?.type === 'put' && put.value),
    ['1', '2', '3'],
  );
  assert.deepEqual(
    changes[3]?.operations.map((each) => each.type === 'put' && [each.key, each.value]),
    operations.map(({ key, value }) => [key, value]),
  );
  assert.equal(await db.get('k0'), '20', 'the last write of a batch wins');
  await db.close();
});

test('a range delete without an end covers what colder tiers hold too', async () => {
  const db = await space.open({ changes: true, tiers: { cold: {} } });
  for (const key of ['a', 'k5', 'k9']) await db.put(key, '');
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  await db.put('k5', ''); // the last key of the hot tier
  const feed = db.changes();
  await db.deleteRange({ gte: 'k' });
  await db.deleteRange({ gte: 'b', lt: 'k' }); // the hot tier holds nothing there
  const changes = await take(feed, 2);
  assert.deepEqual(
    changes.map(({ operations }) => operations),
    [
      [{ type: 'deleteRange', gte: Buffer.from('k') }],
      [{ type: 'deleteRange', gte: Buffer.from('b'), lt: Buffer.from('k') }],
    ],
  );
  await db.close();
});

test('a range delete without an end covers what was there, as one operation', async () => {
  const db = await space.open({ changes: true });
  await db.batch(Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `k${i}`, value: '' })));
  const feed = db.changes();
  await db.deleteRange({ gte: 'k' });
  await db.deleteRange({ gte: 'zzz' }); // nothing is there
  const changes = await take(feed, 2);
  const [operation, ...others] = changes[0]?.operations ?? [];
  assert.equal(others.length, 0);
  assert.ok(operation?.type === 'deleteRange');
  assert.deepEqual(operation.gte, Buffer.from('k'));
  assert.ok(operation.lt && operation.lt.compare(Buffer.from('k9')) > 0);
  assert.equal(changes[1]?.operations[0]?.type, 'deleteRange');
  await db.close();
});

test('a feed goes on behind any of its changes, across flushes and reopenings, with nothing twice', async () => {
  const location = space.folder();
  let since = 0;
  const seen: string[] = [];
  for (let life = 0; life < 4; life++) {
    const db = await space.open(life === 0 ? { changes: true } : {}, location);
    for (let i = 0; i < 10; i++) {
      await db.put(`${life}/${i}`, '');
      if (i % 4 === 3) await db.flush();
    }
    const feed = db.changes({ since });
    // Some are left for the next life.
    for (const change of await take(feed, life === 3 ? 40 - seen.length : 7)) {
      for (const operation of change.operations) if (operation.type === 'put') seen.push(operation.key);
      since = change.sequence;
    }
    await db.close();
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 40 }, (_, n) => `${Math.floor(n / 10)}/${n % 10}`),
  );
});

test('next waits for a commit and does not wake for what the database writes for itself', async () => {
  const db = await space.open({ changes: true });
  const topic = await db.topics.create('t');
  const feed = db.changes();
  const pending = feed.next();
  let answered = false;
  pending.then(() => {
    answered = true;
  });
  await topic.append({ value: 'x' });
  const consumer = topic.consumer({ group: 'g' });
  await consumer.next();
  await consumer.commit(); // a record of the meta family
  await db.flush();
  await delay(50);
  assert.equal(answered, false);
  await db.put('k', 'v');
  assert.equal((await pending)?.operations.length, 1);
  await db.close();
});

test('moving records between tiers gives no changes, and deletes of moved records do', async () => {
  const db = await space.open({ changes: true, tiers: { cold: {} } });
  await db.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: `k${i}`, value: 'v' })));
  const feed = db.changes({ since: 0 });
  assert.equal((await feed.next())?.operations.length, 100);
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  assert.equal(await db.get('k7'), 'v');
  await db.delete('k7');
  await db.deleteRange({ gte: 'k8', lt: 'k9' });
  const changes = await take(feed, 2);
  assert.deepEqual(changes[0]?.operations, [{ type: 'delete', shard: (await db.shards.of('k7')).id, key: 'k7' }]);
  assert.equal(changes[1]?.operations.length, 1);
  assert.equal(changes[1]?.operations[0]?.type, 'deleteRange');
  await db.close();
});

test('when the log is gone the feed says so, and a later place is still served', async () => {
  const location = space.folder();
  const db = await space.open({ changes: { ms: 1 } }, location);
  await db.put('lost', '');
  const early = db.changes({ since: 0 });
  assert.equal((await early.next())?.operations.length, 1);
  const { sequence } = early;
  // Kept logs are looked at when a flush has made another obsolete, once a second.
  for (let round = 0; ; round++) {
    assert.ok(round < 40, 'the log is never deleted');
    await delay(500);
    await db.put(`k${round}`, '');
    await db.flush();
    const feed = db.changes({ since: 0 });
    try {
      await feed.next();
    } catch (error) {
      assert.ok(code('ERR_GAP')(error), String(error));
      assert.match((error as Error).message, /behind sequence 0/);
      break;
    } finally {
      await feed.close();
    }
  }
  const feed = db.changes();
  await db.put('after', '');
  assert.equal((await feed.next())?.operations.length, 1);
  assert.ok(feed.sequence > sequence);
  await db.close();
});

test('a reader at the end meets no gap, however often the database was opened and flushed since', async () => {
  const location = space.folder();
  const first = await space.open({ changes: { ms: 1 } }, location);
  await first.put('k', '1');
  const feed = first.changes({ since: 0 });
  await feed.next();
  const { sequence } = feed;
  await first.close();
  for (let i = 0; i < 3; i++) {
    const db = await space.open({}, location);
    await db.flush();
    await delay(1100);
    await db.flush();
    await db.close();
  }
  const db = await space.open({}, location);
  await db.put('k', '2');
  const later = db.changes({ since: sequence });
  const change = await later.next();
  assert.ok(change?.operations[0]?.type === 'put' && change.operations[0].value === '2');
  await db.close();
});

test('a place that the database has not reached is a gap: it is another, or an older state', async () => {
  const location = space.folder();
  const db = await space.open({ changes: true }, location);
  await db.put('a', '');
  const folder = space.folder('backups');
  await db.backup(folder);
  const feed = db.changes();
  for (let i = 0; i < 100; i++) await db.put(`k${i}`, '');
  await take(feed, 100);
  await db.close();
  assert.equal((await backups(folder)).length, 1);
  const restored = space.folder();
  await restore(folder, restored);
  const older = await space.open({ changes: true }, restored);
  await assert.rejects(older.changes({ since: feed.sequence }).next(), code('ERR_GAP'));
  await older.close();
});

test('the feed stays on until it is turned off by name, and a time without it is a gap', async () => {
  const location = space.folder();
  const first = await space.open({ changes: true }, location);
  await first.put('1', '');
  await first.close();
  const second = await space.open({}, location);
  const feed = second.changes({ since: 0 });
  await feed.next();
  await second.close();
  const without = await space.open({ changes: false }, location);
  assert.throws(() => without.changes(), code('ERR_INVALID_ARGUMENT'));
  await without.put('2', '');
  await without.close();
  const again = await space.open({ changes: true }, location);
  await again.put('3', '');
  await assert.rejects(again.changes({ since: feed.sequence }).next(), code('ERR_GAP'));
  await again.close();
});

test('closing the feed or the database ends it, and a signal ends it with an error', async () => {
  const db = await space.open({ changes: true });
  const closed = db.changes();
  const pending = closed.next();
  await closed.close();
  assert.equal(await pending, undefined);
  assert.equal(await closed.next(), undefined);

  const controller = new AbortController();
  const given = db.changes({ signal: controller.signal });
  const waiting = given.next();
  controller.abort();
  await assert.rejects(waiting, code('ERR_ABORTED'));
  assert.throws(() => db.changes({ signal: controller.signal }), code('ERR_ABORTED'));

  let rounds = 0;
  const looped = (async () => {
    for await (const _ of db.changes()) rounds++;
  })();
  await db.put('k', 'v');
  await db.close();
  await looped;
  assert.ok(rounds <= 1);
});

test('several feeds are independent of each other', async () => {
  const db = await space.open({ changes: true });
  const feeds = [db.changes(), db.changes({ durable: true }), db.changes({ since: 0 })];
  for (let i = 0; i < 20; i++) await db.put(`k${i}`, '');
  for (const feed of feeds) {
    const changes = await take(feed, 20);
    assert.deepEqual(
      changes.map(({ operations: [put] }) => put?.type === 'put' && put.key),
      Array.from({ length: 20 }, (_, i) => `k${i}`),
    );
  }
  await db.close();
});

test('a change larger than what crosses at once is whole', async () => {
  const db = await space.open({ changes: true });
  const feed = db.changes();
  const values = Array.from({ length: 30 }, (_, i) => String(i).repeat(20_000));
  await db.batch(values.map((value, i) => ({ type: 'put', key: `k${i}`, value })));
  await db.put('next', '');
  const [large, small] = await take(feed, 2);
  assert.deepEqual(
    large?.operations.map((each) => each.type === 'put' && each.value),
    values,
  );
  assert.equal(small?.operations.length, 1);
  await db.close();
});

test('binary keys and JSON values come as they went', async () => {
  const location = space.folder();
  const db = space.adopt(await open(location, { keyEncoding: 'buffer', valueEncoding: 'json', changes: true }));
  const feed = db.changes();
  await db.put(Buffer.from([0, 255]), { a: [1] });
  assert.deepEqual((await feed.nextMany())[0]?.operations, [
    {
      type: 'put',
      shard: (await db.shards.of(Buffer.from([0, 255]))).id,
      key: Buffer.from([0, 255]),
      value: { a: [1] },
    },
  ]);
  await db.close();
});

test('databases that cannot have a feed, and options that cannot be, are refused', async () => {
  const plain = await space.open();
  assert.throws(() => plain.changes(), code('ERR_INVALID_ARGUMENT'));
  await plain.close();
  assert.throws(() => plain.changes(), code('ERR_CLOSED'));
  await assert.rejects(open(space.folder(), { durability: 'none', changes: true }), code('ERR_INVALID_ARGUMENT'));
  const location = space.folder();
  const none = await space.open({ durability: 'none' }, location);
  await none.close();
  await assert.rejects(open(location, { changes: true }), code('ERR_INVALID_ARGUMENT'));
  for (const changes of [1, 'yes', { bytes: 5 }, { ms: 0 }, { megabytes: 1 }, []]) {
    await assert.rejects(open(space.folder(), { changes: changes as never }), code('ERR_INVALID_ARGUMENT'));
  }
  const kept = space.folder();
  const db = await space.open({ changes: true }, kept);
  for (const options of [{ since: -1 }, { since: 1.5 }, { durable: 1 }, { from: 1 }, { signal: {} }]) {
    assert.throws(() => db.changes(options as never), code('ERR_INVALID_ARGUMENT'), JSON.stringify(options));
  }
  await assert.rejects(open(kept, { changes: false }), code('ERR_INVALID_ARGUMENT'));
  await db.close();
  const readOnly = await space.open({ readOnly: true }, kept);
  assert.throws(() => readOnly.changes(), code('ERR_READ_ONLY'));
  await readOnly.close();
});

test.run();
