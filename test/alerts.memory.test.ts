import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { AlertRules } from '../lib/alerts/rules.ts';
import { type Alert, open, type Stats } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('alerts: memory');
const space = new Workspace();
test.after(() => space.clean());

/** On a busy machine others may be raised as well. */
const MEMORY_ALONE = {
  writeP99Seconds: false,
  fsyncP99Seconds: false,
  diskShare: false,
  diskCriticalShare: false,
  stallSeconds: false,
} as const;

/** Real statistics, with other numbers in places. */
async function statistics(): Promise<(change: (stats: Stats) => void) => Stats> {
  const db = await open(space.folder());
  const stats = db.stats();
  await db.close();
  return (change) => {
    const changed = structuredClone(stats);
    change(changed);
    return changed;
  };
}

test('an idle database gives no alert', async () => {
  const stats = await statistics();
  assert.deepEqual(new AlertRules().check(stats(() => {})), []);
});

test('each owner of memory has its own alert, with what was measured and the bound', async () => {
  const stats = await statistics();
  const cases: [string, number, (stats: Stats) => void][] = [
    ['memtables', 1000, (s) => Object.assign(s.memory, { memtableBytes: 1001, memtableBudgetBytes: 1000 })],
    ['blockCache', 800, (s) => Object.assign(s.memory, { blockCachePinnedBytes: 1001, blockCacheCapacityBytes: 1000 })],
    ['transactions', 800, (s) => Object.assign(s.memory, { transactionBytes: 1001, transactionBudgetBytes: 1000 })],
    ['writes', 800, (s) => Object.assign(s.writes, { inFlightBytes: 1001, inFlightLimitBytes: 1000 })],
  ];
  for (const [subject, threshold, change] of cases) {
    const rules = new AlertRules();
    const [alert, ...others] = rules.check(stats(change));
    assert.deepEqual(others, []);
    assert.equal(alert?.name, 'memory');
    assert.equal(alert?.subject, subject);
    assert.equal(alert?.active, true);
    assert.equal(alert?.value, 1001);
    assert.equal(alert?.threshold, threshold);
    assert.equal(alert?.unit, 'bytes');
    assert.deepEqual(rules.check(stats(change)), [], 'told once');
  }
});

test('an alert is over only well below its bound', async () => {
  const stats = await statistics();
  const rules = new AlertRules();
  const at = (bytes: number) =>
    rules.check(stats((s) => Object.assign(s.memory, { memtableBytes: bytes, memtableBudgetBytes: 1000 })));
  assert.deepEqual(at(1000), []);
  assert.equal(at(1001)[0]?.active, true);
  assert.deepEqual(at(900), []);
  assert.deepEqual(at(1100), []);
  assert.deepEqual(at(800), []);
  assert.equal(at(799)[0]?.active, false);
  assert.deepEqual(at(900), []);
});

test('iterators that hold the block cache raise an alert, and closing them ends it', async () => {
  const db = await open(space.folder(), {
    shards: 1,
    memory: { blockCache: '1MB', hotCache: 0 },
    alerts: MEMORY_ALONE,
  });
  const key = (i: number) => String(i).padStart(6, '0');
  await db.putMany(Array.from({ length: 2000 }, (_, i): [string, Buffer] => [key(i), Buffer.alloc(2000, i)]));
  await db.flush();
  const alerts: Alert[] = [];
  db.on('alert', (alert) => alerts.push(alert));
  // Each stands in a block of its own, a long way from its end.
  const iterators = Array.from({ length: 400 }, (_, i) => db.iterator({ gte: key(i * 4) }));
  for (const iterator of iterators) await iterator.next();
  while (alerts.length < 1) await sleep(20);
  assert.equal(alerts[0]?.subject, 'blockCache');
  assert.equal(alerts[0]?.active, true);
  for (const iterator of iterators) await iterator.close();
  while (alerts.length < 2) await sleep(20);
  assert.equal(alerts[1]?.subject, 'blockCache');
  assert.equal(alerts[1]?.active, false);
  await db.close();
});

test('whoever listens later is told what is the matter then, also after all listeners were removed', async () => {
  const db = await open(space.folder(), {
    shards: 1,
    memory: { blockCache: '1MB', hotCache: 0 },
    alerts: MEMORY_ALONE,
  });
  const key = (i: number) => String(i).padStart(6, '0');
  await db.putMany(Array.from({ length: 2000 }, (_, i): [string, Buffer] => [key(i), Buffer.alloc(2000, i)]));
  await db.flush();
  const iterators = Array.from({ length: 400 }, (_, i) => db.iterator({ gte: key(i * 4) }));
  for (const iterator of iterators) await iterator.next();
  for (let round = 0; round < 2; round++) {
    let alert: Alert | undefined;
    db.once('alert', (told) => {
      alert = told;
    });
    while (alert === undefined) await sleep(20);
    assert.equal(alert.subject, 'blockCache');
    assert.equal(alert.active, true);
    db.removeAllListeners();
  }
  await db.close();
});

test.run();
