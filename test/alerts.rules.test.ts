// Each rule but memory's: where its alert begins, that it flickers not around its bound, where it is over, and that
// `false` turns it off.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type AlertOptions, alertBounds } from '../lib/alerts/options.ts';
import { AlertRules } from '../lib/alerts/rules.ts';
import type { Stats } from '../lib/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('alerts: rules');
const space = new Workspace();
test.after(() => space.clean());

/** What is looked at on a busy or nearly full machine too. */
const ALL_OFF: AlertOptions = {
  writeP99Seconds: false,
  fsyncP99Seconds: false,
  memoryShare: false,
  diskShare: false,
  diskCriticalShare: false,
  stallSeconds: false,
  cacheHitShare: false,
  migrationSeconds: false,
};

interface Rule {
  /** The option that bounds it, and a bound. */
  option: keyof AlertOptions;
  bound: number;
  name: string;
  subject: string;
  severity: string;
  unit: string;
  /** Sets what is measured. */
  set: (stats: Stats, value: number) => void;
  /** Not yet, begun, still within the distance, over. */
  values: [quiet: number, begun: number, still: number, over: number];
}

const hot = (stats: Stats) => stats.tiers[0] as Stats['tiers'][number];
const RULES: Rule[] = [
  {
    ...{ option: 'writeP99Seconds', bound: 0.05, name: 'writeLatency', subject: 'writes' },
    ...{ severity: 'warning', unit: 'seconds', values: [0.05, 0.051, 0.045, 0.039] },
    set: (stats, value) => {
      stats.rates['10s'].latencySeconds.batch.p99 = value;
    },
  },
  {
    ...{ option: 'fsyncP99Seconds', bound: 0.1, name: 'fsyncLatency', subject: 'log' },
    ...{ severity: 'warning', unit: 'seconds', values: [0.1, 0.2, 0.09, 0.07] },
    set: (stats, value) => {
      stats.rates['10s'].latencySeconds.fsync.p99 = value;
    },
  },
  {
    ...{ option: 'diskShare', bound: 0.85, name: 'disk', subject: 'hot' },
    ...{ severity: 'warning', unit: 'share', values: [0.85, 0.86, 0.83, 0.81] },
    set: (stats, value) => Object.assign(hot(stats), { diskCapacityBytes: 1000, diskUsedBytes: 1000 * value }),
  },
  {
    ...{ option: 'diskCriticalShare', bound: 0.9, name: 'tier', subject: 'hot' },
    ...{ severity: 'critical', unit: 'share', values: [0.9, 0.91, 0.88, 0.86] },
    set: (stats, value) =>
      Object.assign(hot(stats), { diskCapacityBytes: 0, capacityBytes: 1000, tableBytes: 1000 * value }),
  },
  {
    ...{ option: 'stallSeconds', bound: 1, name: 'stall', subject: 'writes' },
    ...{ severity: 'critical', unit: 'seconds', values: [1, 1.1, 0.9, 0] },
    set: (stats, value) => Object.assign(stats.stalls, { ageSeconds: value, cause: 'memtables' }),
  },
  {
    ...{ option: 'cacheHitShare', bound: 0.1, name: 'cacheHitShare', subject: 'hotCache' },
    ...{ severity: 'warning', unit: 'share', values: [0.1, 0.09, 0.12, 0.13] },
    set: (stats, value) => {
      const minute = stats.rates['60s'];
      Object.assign(minute, { seconds: 60, hotCacheHitShare: value });
      minute.operationsPerSecond.get = 1000;
    },
  },
];

async function statistics(): Promise<Stats> {
  const db = await space.open();
  const stats = db.stats();
  await db.close();
  return stats;
}

for (const { option, bound, name, subject, severity, unit, set, values } of RULES) {
  test(`${name}, bounded by ${option}`, async () => {
    const idle = await statistics();
    const rules = new AlertRules(alertBounds({ ...ALL_OFF, [option]: bound }));
    const silent = new AlertRules(alertBounds(ALL_OFF));
    const told = values.map((value) => {
      const stats = structuredClone(idle);
      set(stats, value);
      assert.deepEqual(silent.check(stats), []);
      return rules.check(stats).map((alert) => [alert.name, alert.subject, alert.severity, alert.unit, alert.active]);
    });
    assert.deepEqual(told, [[], [[name, subject, severity, unit, true]], [], [[name, subject, severity, unit, false]]]);
    assert.deepEqual(rules.active, []);
  });
}

test('migration that stands still is told after its time, with the reason, and is over at once when it goes on', async () => {
  const idle = await statistics();
  const rules = new AlertRules(alertBounds({ ...ALL_OFF, migrationSeconds: 60 }));
  const stuck = structuredClone(idle);
  stuck.migration.trouble = 'the cold tier is full';
  assert.deepEqual(rules.check(stuck, 1_000_000), []);
  assert.deepEqual(rules.check(stuck, 1_059_000), []);
  const [alert, ...others] = rules.check(stuck, 1_061_000);
  assert.deepEqual(others, []);
  assert.equal(alert?.name, 'migration');
  assert.match(alert?.cause ?? '', /the cold tier is full/);
  assert.equal(alert?.since.getTime(), 1_061_000);
  assert.deepEqual(
    rules.check(idle, 1_062_000).map(({ name, active }) => [name, active]),
    [['migration', false]],
  );
});

test('a share of hits says nothing while there are few reads', async () => {
  const stats = await statistics();
  const rules = new AlertRules(alertBounds({ ...ALL_OFF, cacheHitShare: 0.5 }));
  Object.assign(stats.rates['60s'], { seconds: 60, hotCacheHitShare: 0 });
  stats.rates['60s'].operationsPerSecond.get = 16;
  assert.deepEqual(rules.check(stats), []);
  stats.rates['60s'].operationsPerSecond.get = 17;
  assert.equal(rules.check(stats).length, 1);
});

test.run();
