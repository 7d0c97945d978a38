// db.changes() while shards are split, merged, frozen and thawed: what follows the feed learns of every record once, and of
// nothing else.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Change } from '../lib/index.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('changes: resharding');
const space = new Workspace();
test.after(() => space.clean());

interface Feed {
  readonly sequence: number;
  next(): Promise<Change<string, string> | undefined>;
}

/** What the feed gives up to the put of `key`, as a map of what every key is now, and how many changes that were. */
async function follow(feed: Feed, model: Map<string, string>, key: string): Promise<number> {
  for (let count = 1; ; count++) {
    const change = (await feed.next()) as Change<string, string>;
    for (const operation of change.operations) {
      if (operation.type === 'put') model.set(operation.key, operation.value);
      else if (operation.type === 'delete') model.delete(operation.key);
      else assert.fail(`a range delete was never called: ${JSON.stringify(operation)}`);
      if (operation.type === 'put' && operation.key === key) return count;
    }
  }
}

async function contents(db: TextDatabase): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const [key, value] of db.iterator()) found.set(key, value);
  return found;
}

/** Writes, one after the other, until it is stopped; says how many writes there were. */
function writer(db: TextDatabase): { stop(): Promise<number> } {
  let stopped = false;
  const run = async () => {
    let writes = 0;
    for (; !stopped; writes++) {
      if (writes % 7 === 3) await db.delete(`user/${writes % 50}`);
      else await db.put(`user/${writes % 50}`, `write ${writes}`);
    }
    return writes;
  };
  const writes = run();
  return {
    stop: () => {
      stopped = true;
      return writes;
    },
  };
}

test('a split and a merge are no changes, and the feed goes on across them', async () => {
  const location = space.folder();
  const db = await space.open({ changes: true, shards: 2 }, location);
  await db.putMany(Array.from({ length: 500 }, (_, i): [string, string] => [`user/${i}`, `value ${i}`]));
  const model = await contents(db);
  const live = db.changes();
  const writing = writer(db);
  const [, added] = await db.shards.split(0);
  await db.shards.split(1);
  await db.shards.merge(0, added as number);
  const writes = await writing.stop();
  await db.put('end', '1');
  assert.equal(await follow(live, model, 'end'), writes + 1, 'every write is one change, and nothing else is');
  assert.deepEqual(model, await contents(db));

  // Who comes later reads the same from the log, also from where it had come to before the shards changed.
  const late = new Map<string, string>();
  const all = db.changes({ since: 0 });
  await follow(all, late, 'end');
  assert.deepEqual(late, model);
  await db.shards.split(0);
  await db.put('after', '1');
  assert.equal(await follow(all, late, 'after'), 1);
  const { sequence } = live;
  await db.close();

  const again = await space.open({}, location);
  await again.put('reopened', '1');
  const resumed = again.changes({ since: sequence });
  assert.equal(await follow(resumed, model, 'reopened'), 2, 'what came behind the split, and what came now');
  assert.deepEqual(model, await contents(again));
  await again.close();
});

test('operations name the shard that owned the key when they were written, or owns it now', async () => {
  const db = await space.open({ changes: true, shards: 1 });
  const feed = db.changes();
  await db.put('user/1', 'before');
  await db.shards.split(0, { at: db.shards.slotOf('user/1') });
  await db.put('user/1', 'after');
  const owner = (await db.shards.of('user/1')).id;
  assert.equal(owner, 1);
  for (const value of ['before', 'after']) {
    const change = (await feed.next()) as Change<string, string>;
    const [put] = change.operations;
    assert.ok(put?.type === 'put');
    assert.deepEqual([put.key, put.value], ['user/1', value]);
    assert.ok(value === 'after' ? put.shard === owner : put.shard === 0 || put.shard === owner, String(put.shard));
  }
  await db.close();
});

test('a freeze and a thaw are no gap, nor is a write that thaws', async () => {
  const location = space.folder();
  const db = await space.open({ changes: true, shards: 2 }, location);
  await db.putMany(Array.from({ length: 200 }, (_, i): [string, string] => [`user/${i}`, `value ${i}`]));
  const model = await contents(db);
  const waiting = db.changes();
  const [frozen, other] = ['user/0', 'user/1', 'user/2', 'user/3', 'user/4', 'user/5'].reduce(
    (found: [string?, string?], key) => {
      found[db.shards.slotOf(key) < 8192 ? 0 : 1] ??= key;
      return found;
    },
    [],
  ) as [string, string];
  await db.shards.freeze(0);
  await db.put(other, 'while it is frozen');
  await db.shards.thaw(0);
  await db.put(frozen, 'thawed');
  assert.equal(await follow(waiting, model, frozen), 2);
  await db.shards.freeze(0);
  await db.put(frozen, 'the write that thaws');
  assert.equal((await db.shards.get(0)).state, 'live');
  assert.equal(await follow(waiting, model, frozen), 1);
  assert.deepEqual(model, await contents(db));
  const { sequence } = waiting;
  await db.shards.freeze(0);
  await db.close();

  const again = await space.open({}, location);
  await again.shards.thaw(0);
  await again.put('end', '1');
  assert.equal(await follow(again.changes({ since: sequence }), model, 'end'), 1, 'and none for who comes back later');
  assert.deepEqual(model, await contents(again));
  await again.close();
});

test.run();
