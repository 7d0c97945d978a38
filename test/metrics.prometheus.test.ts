// metrics() and register(): what Prometheus is told, held against stats().

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Counter, Registry } from 'prom-client';
import { suite } from 'uvu';
import { rejects, throws } from './helpers/expect.ts';
import { hasProgram } from './helpers/programs-found.ts';
import { parseMetrics } from './helpers/prometheus-text.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('metrics: Prometheus');
const space = new Workspace();
test.after(() => space.clean());

async function busy(options = {}) {
  const db = await space.open({ memory: { hotCache: '8MB' }, shards: 2, ...options });
  await db.putMany(Array.from({ length: 500 }, (_, i) => [`key${i}`, 'value']));
  for (let i = 0; i < 5; i++) await db.put(`key${i}`, 'new', { durability: 'fsync' });
  await db.batch([{ type: 'put', key: 'a', value: '1' }]);
  await db.getMany(['key1', 'absent']);
  for (let i = 0; i < 640; i++) db.getSync('key1');
  await db.iterator({ limit: 10 }).nextMany(10);
  await db.flush();
  return db;
}

test('counters and gauges say what stats() says', async () => {
  const db = await busy({ tiers: { cold: {} } });
  await db.tiers.migrate({ from: 'hot', to: 'cold', filter: (key) => key === 'key7' });
  // Compactions go on by themselves: both are asked in a moment in which none ends.
  const files = () => JSON.stringify(db.stats().tiers.map(({ tableBytes, files }) => [tableBytes, files]));
  let [before, metrics] = [files(), parseMetrics(await db.metrics())];
  while (files() !== before) [before, metrics] = [files(), parseMetrics(await db.metrics())];
  const stats = db.stats();
  const value = (series: string) => metrics.value(`thermocline_${series}`);
  for (const [name, totals] of Object.entries(stats.operations)) {
    const operation = name === 'getMany' ? 'get_many' : name === 'deleteRange' ? 'delete_range' : name;
    assert.equal(value(`operations_total{operation="${operation}"}`), totals.operations);
    assert.equal(value(`operation_records_total{operation="${operation}"}`), totals.records);
    assert.equal(value(`operation_bytes_total{operation="${operation}"}`), totals.bytes);
  }
  assert.equal(value('operations_total{operation="put"}'), 505);
  assert.equal(value('operations_total{operation="get"}'), 640);
  assert.equal(value('hot_cache_requests_total{result="hit"}'), stats.hotCache.hits);
  assert.equal(value('hot_cache_requests_total{result="miss"}'), stats.hotCache.misses);
  assert.equal(value('fsync_duration_seconds_count'), stats.writes.fsyncs);
  assert.equal(value('commits_total'), 506);
  assert.equal(value('write_groups_total'), stats.writes.groups);
  assert.equal(value('memory_limit_bytes{owner="hot_cache"}'), 8 << 20);
  assert.equal(value('memory_limit_bytes{owner="memtables"}'), stats.memory.memtableBudgetBytes);
  assert.equal(value('tier_table_bytes{tier="hot"}'), stats.tiers[0]?.tableBytes);
  assert.equal(value('tier_files{tier="cold"}'), stats.tiers[1]?.files);
  assert.equal(value('tier_moved_records_total{direction="in",tier="cold"}'), 1);
  assert.equal(value('tier_moved_records_total{direction="out",tier="hot"}'), 1);
  assert.equal(value('shard_writes_total{shard="0"}') + value('shard_writes_total{shard="1"}'), 506);
  assert.equal(value('threads{class="commit"}'), 1);
  assert.equal(value('write_stall_age_seconds'), 0);
  assert.equal(value('migration_trouble'), 0);
  assert.ok(metrics.series.every(({ labels }) => labels.database === db.location.split('/').at(-1)));
  await db.close();
  await rejects(() => db.metrics(), 'ERR_CLOSED');
});

test('histograms are cumulative, end with all there is, and have the percentiles of stats() in the right bucket', async () => {
  const db = await busy();
  const metrics = parseMetrics(await db.metrics());
  const { latencySeconds } = db.stats();
  const histograms = metrics.series.filter(({ name }) => name.endsWith('_bucket'));
  const families = new Map<string, typeof histograms>();
  for (const one of histograms) {
    const { le: _, ...labels } = one.labels;
    const key = `${one.name} ${JSON.stringify(labels)}`;
    families.set(key, [...(families.get(key) ?? []), one]);
  }
  assert.equal(families.size, 5 + 3 + 2 * 5);
  for (const [key, buckets] of families) {
    const bounds = buckets.map(({ labels }) => Number(labels.le?.replace('+Inf', 'Infinity')));
    assert.deepEqual(
      bounds,
      [...bounds].sort((a, b) => a - b),
      key,
    );
    for (let i = 1; i < buckets.length; i++) assert.ok((buckets[i]?.value ?? 0) >= (buckets[i - 1]?.value ?? 0), key);
    const { le: _, ...labels } = buckets[0]?.labels ?? {};
    const count = metrics.series.find(
      ({ name, labels: others }) =>
        name === buckets[0]?.name.replace('_bucket', '_count') && JSON.stringify(others) === JSON.stringify(labels),
    );
    assert.equal(buckets.at(-1)?.value, count?.value, key);
  }
  const puts = histograms.filter(({ name, labels }) => {
    return name === 'thermocline_operation_duration_seconds_bucket' && labels.operation === 'put';
  });
  const { count, p50, p99 } = latencySeconds.put;
  for (const [percentile, share] of [
    [p50, 0.5],
    [p99, 0.99],
  ] as const) {
    const bucket = puts.find(({ value }) => value >= Math.ceil(share * count));
    const le = Number(bucket?.labels.le?.replace('+Inf', 'Infinity'));
    assert.ok(percentile <= le * 1.02, `${percentile} lies in the bucket up to ${le}`);
  }
  await db.close();
});

test('databases share a registry with each other and with the metrics of the program', async () => {
  const registry = new Registry();
  const own = new Counter({ name: 'my_requests_total', help: 'Of the program.', registers: [registry] });
  own.inc(3);
  const first = await space.open({}, space.folder('orders'));
  const second = await space.open({}, space.folder('users'));
  first.register(registry, { name: 'orders' });
  second.register(registry, { name: 'users' });
  throws(() => second.register(registry, { name: 'orders' }), 'ERR_INVALID_ARGUMENT', /orders/);
  await first.put('a', '1');
  await second.putMany([
    ['a', '1'],
    ['b', '2'],
  ]);
  const puts = async (database: string) =>
    parseMetrics(await registry.metrics()).series.find(
      ({ name, labels }) =>
        name === 'thermocline_operations_total' && labels.operation === 'put' && labels.database === database,
    )?.value;
  assert.equal(await puts('orders'), 1);
  assert.equal(await puts('users'), 2);
  assert.equal(parseMetrics(await registry.metrics()).value('my_requests_total'), 3);
  await first.close();
  assert.equal(await puts('orders'), undefined);
  assert.equal(await puts('users'), 2);
  const third = await space.open();
  third.register(registry, { name: 'orders' });
  assert.equal(await puts('orders'), 0);
  throws(() => third.register({} as never), 'ERR_INVALID_ARGUMENT');
  throws(() => third.register(registry, { label: 'x' } as never), 'ERR_INVALID_ARGUMENT', /label/);
});

const promtool = hasProgram('promtool');
(promtool ? test : test.skip)(
  'promtool (skipped where it is not installed) finds nothing to say about names and types',
  async () => {
    const db = await busy({ tiers: { warm: {}, cold: {} } });
    const output = execFileSync('promtool', ['check', 'metrics'], { input: await db.metrics(), encoding: 'utf8' });
    assert.equal(output, '');
    await db.close();
  },
);

test.run();
