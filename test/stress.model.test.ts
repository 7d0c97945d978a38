// What a stress test may find in a database, decided without one.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { Journal, JournalReader } from '../lib/cli/stress/journal.ts';
import {
  boundsOf,
  type Found,
  judge,
  judgeGroups,
  Model,
  nextDeletion,
  nextValue,
  settled,
  versionOf,
} from '../lib/cli/stress/model.ts';
import { crc32, Keys, makeValue, parseValue } from '../lib/cli/stress/record.ts';
import { loadState, saveState } from '../lib/cli/stress/state.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('stress: model');
const space = new Workspace();
test.after(() => space.clean());

test('CRC-32 is the one of zlib', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  assert.equal(crc32(Buffer.alloc(0)), 0);
});

test('a value says whose it is, and any byte changed shows', () => {
  for (const key of [0, 7, 99_999]) {
    const value = makeValue(key, 12, 60);
    assert.deepEqual(parseValue(value), { key, version: 12 });
    assert.deepEqual(makeValue(key, 12, 60), value);
    for (let at = 0; at < value.length; at++) {
      const changed = Buffer.from(value);
      changed[at] = (changed[at] as number) ^ 0x10;
      assert.ok('damage' in parseValue(changed), `byte ${at}`);
    }
    for (let length = 0; length < value.length; length++) assert.ok('damage' in parseValue(value.subarray(0, length)));
  }
  assert.deepEqual(versionOf(8, makeValue(7, 2, 10)), { problem: 'has the value of key number 7' });
});

test('names and numbers of keys go both ways, in one order', () => {
  const keys = new Keys(3, 3001);
  assert.equal(keys.count, 3000);
  const names = Array.from({ length: keys.count }, (_, key) => keys.name(key));
  assert.deepEqual([...names].sort(), names);
  for (const key of [0, 999, 1000, 2999]) assert.equal(keys.number(keys.name(key)), key);
  for (const name of ['w003/000000000', 'w000/000001000', 'w', 'account/000'])
    assert.equal(keys.number(name), undefined);
});

test('versions grow: even ones are values, odd ones deletions', () => {
  assert.deepEqual([0, 1, 2, 3].map(nextValue), [2, 2, 4, 4]);
  assert.deepEqual([0, 1, 2, 3].map(nextDeletion), [1, 3, 3, 5]);
});

test('a read is possible between what was acknowledged and what was announced', () => {
  const bounds = { least: 4, most: 8, deleted: 3 };
  const possible = (found: Found, changed = {}) => judge(found, { ...bounds, ...changed }) === undefined;
  assert.ok([4, 6, 8].every((version) => possible(version)));
  assert.ok(!possible(2), 'an older version');
  assert.ok(!possible(10), 'one never written');
  assert.ok(!possible(5), 'the value of a deletion');
  assert.ok(!possible('absent'), 'lost, although a later write is under way');
  assert.ok(possible('absent', { deleted: 5 }), 'a deletion is under way');
  assert.ok(possible('absent', { least: 3 }));
  assert.ok(possible('absent', { least: 0, deleted: 0 }), 'never written');
});

/** A model in which key k has version 2 acknowledged, and then these groups are in flight. */
function inFlight(...groups: number[][]): Model {
  const model = new Model(6);
  const all = { id: 1000, ordered: true, entries: [0, 2, 1, 2, 2, 2, 3, 2, 4, 2, 5, 2] };
  model.announce(all);
  model.acknowledge(1000);
  for (const [id, entries] of groups.entries()) model.announce({ id, ordered: true, entries });
  return model;
}

test('a batch is there as a whole or not at all', () => {
  const model = inFlight([0, 4, 1, 4, 2, 3]);
  assert.deepEqual(judgeGroups(model, [2, 2, 2, 2, 2, 2]), []);
  assert.deepEqual(judgeGroups(model, [4, 4, 'absent', 2, 2, 2]), []);
  assert.match(judgeGroups(model, [4, 2, 2, 2, 2, 2])[0] ?? '', /torn: it wrote key number 0 and not 1/);
  assert.match(judgeGroups(model, [2, 2, 'absent', 2, 2, 2])[0] ?? '', /torn: it wrote key number 2 and not 0/);
});

test('a batch that a later one has overwritten in part is not torn', () => {
  const model = inFlight([0, 4, 1, 4], [0, 6]);
  assert.deepEqual(judgeGroups(model, [6, 4, 2, 2, 2, 2]), []);
  assert.match(judgeGroups(model, [6, 2, 2, 2, 2, 2])[0] ?? '', /torn/);
});

test('no write without those before it, except transactions', () => {
  const model = inFlight([0, 4], [1, 4], [2, 4]);
  assert.deepEqual(judgeGroups(model, [4, 4, 2, 2, 2, 2]), []);
  assert.match(judgeGroups(model, [4, 2, 4, 2, 2, 2])[0] ?? '', /key number 2 .* after one to 1, which is lost/);
  model.announce({ id: 9, ordered: false, entries: [3, 4] });
  assert.deepEqual(judgeGroups(model, [4, 2, 2, 4, 2, 2]), []);
});

test('what a check found is where the next load begins', () => {
  const model = inFlight([0, 4, 1, 3], [2, 4]);
  const found: Found[] = [4, 'absent', 2, 2, 2, 2];
  const versions = Uint32Array.from(found, (is, key) => settled(model, key, is));
  assert.deepEqual([...versions], [4, 3, 2, 2, 2, 2]);
  model.settle(versions);
  assert.equal(model.inFlight.size, 0);
  for (const [key, is] of found.entries()) assert.equal(judge(is, boundsOf(model, key)), undefined);
  assert.notEqual(judge('absent', boundsOf(model, 2)), undefined);
  assert.notEqual(judge(2, boundsOf(model, 0)), undefined);
});

test('the journal tells another process the same, whatever the pieces it arrives in', () => {
  const file = path.join(space.root, 'journal');
  const fd = openSync(file, 'w');
  const journal = new Journal(fd);
  const groups = [1, 2, 3].map((id) => ({ id, ordered: id !== 2, entries: [0, 2 * id, id, 2] }));
  for (const group of groups) journal.announce(group);
  journal.acknowledge(1);
  journal.withdraw(2);
  journal.flush();
  closeSync(fd);
  const bytes = readFileSync(file);
  for (const piece of [1, 3, 7, bytes.length]) {
    const model = new Model(4);
    const reader = new JournalReader(model);
    for (let at = 0; at < bytes.length; at += piece) reader.feed(bytes.subarray(at, at + piece));
    assert.deepEqual([...model.acknowledged], [2, 2, 0, 0], `pieces of ${piece}`);
    assert.deepEqual([...model.announced], [6, 2, 2, 2]);
    assert.deepEqual([...model.inFlight.values()], [groups[2]]);
  }
  const cut = new Model(4);
  new JournalReader(cut).feed(bytes.subarray(0, 40));
  assert.equal(cut.inFlight.size, 1, 'a frame that its writer could not finish is left out');
});

test('the state file gives back the model, and a damaged one is refused', () => {
  const file = path.join(space.root, 'db.stress');
  const model = inFlight([0, 4, 1, 3]);
  const shape = { workers: 2, records: 6, valueSize: 10, accounts: 2000 };
  saveState(file, shape, model);
  const loaded = loadState(file);
  assert.deepEqual(loaded.shape, shape);
  for (const array of ['acknowledged', 'announced', 'deleted'] as const) {
    assert.deepEqual([...loaded.model[array]], [...model[array]]);
  }
  assert.deepEqual([...loaded.model.inFlight.values()], [...model.inFlight.values()]);
});

test.run();
