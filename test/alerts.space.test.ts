import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { SpaceAlerts } from '../lib/alerts.ts';

const test = suite('alerts: space');

const full = (tier: 'hot' | 'warm' | 'cold', freeBytes = 5) => ({
  tier,
  cause: `the ${tier} tier is full`,
  freeBytes,
  reserveBytes: tier === 'hot' ? 100 : 0,
});

test('a tier that becomes full is told once, and once when it has room again', () => {
  const alerts = new SpaceAlerts();
  assert.deepEqual(alerts.check([]), []);
  const [alert, ...others] = alerts.check([full('cold')]);
  assert.deepEqual(others, []);
  assert.deepEqual(alert, {
    name: 'space',
    subject: 'cold',
    active: true,
    value: 5,
    threshold: 0,
    unit: 'bytes',
    cause: 'the cold tier is full',
  });
  assert.deepEqual(alerts.check([full('cold', 4)]), []);
  const [over] = alerts.check([]);
  assert.deepEqual([over?.subject, over?.active, over?.value], ['cold', false, 4]);
  assert.deepEqual(alerts.check([]), []);
});

test('tiers are told apart', () => {
  const alerts = new SpaceAlerts();
  assert.deepEqual(
    alerts.check([full('cold'), full('hot')]).map(({ subject, threshold }) => [subject, threshold]),
    [
      ['cold', 0],
      ['hot', 100],
    ],
  );
  assert.deepEqual(
    alerts.check([full('hot'), full('warm')]).map(({ subject, active }) => [subject, active]),
    [
      ['cold', false],
      ['warm', true],
    ],
  );
});

test.run();
