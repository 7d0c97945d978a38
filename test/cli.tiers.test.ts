// thermocline tiers: what it prints, for programs and as JSON.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { open, type TiersReport } from '../lib/index.ts';
import { lines, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: tiers');
const place = new Workplace();
test.after(() => place.remove());

test('tiers prints a figure a line, and the report as one JSON object', async () => {
  const location = place.path('tiered.db');
  const db = await open(location, { tiers: { cold: { costPerTB: 12 } }, valueEncoding: 'utf8' });
  await db.putMany(Array.from({ length: 500 }, (_, i) => [`key${i}`, 'a value like all the others']));
  await db.tiers.migrate({ from: 'hot', to: 'cold' });
  assert.equal(await db.get('key7'), 'a value like all the others');
  assert.equal(await db.get('missing'), undefined);
  await db.flush();
  await db.compact();
  await db.close();
  const report = JSON.parse(await succeed(['tiers', location, '--json'])) as TiersReport;
  assert.deepEqual(
    report.tiers.map(({ tier, records }) => [tier, records]),
    [
      ['hot', 0],
      ['cold', 500],
    ],
  );
  assert.ok((report.tiers[1]?.compressionRatio ?? 0) > 2);
  const figures = new Map(
    lines(await succeed(['tiers', location])).map((line) => line.split('\t') as [string, string]),
  );
  assert.equal(figures.get('cold.records'), '500');
  assert.equal(figures.get('cold.bytes'), String(report.tiers[1]?.bytes));
  assert.equal(figures.get('cost.perMonth'), String(report.cost.perMonth));
  assert.equal(figures.get('hot.markers'), '0');
  // What triggered is known though the database was closed meanwhile.
  assert.equal(report.moves.migrate.records, 500);
  assert.equal(figures.get('moves.migrate.records'), '500');
  assert.equal(figures.get('moves.migrate.last'), String(report.moves.migrate.last));
  assert.equal(figures.get('lifetime.tiers.cold.movedIn.records'), '500');
  assert.equal(figures.get('lifetime.tiers.cold.hits'), '1');
  assert.equal(figures.get('lifetime.tiers.cold.hitShare'), String(1 / 2));
  assert.equal(figures.get('lifetime.absent'), '1');
  assert.ok(report.lifetime.writeAmplification > 0 && report.writeAmplification === 0);
  assert.equal(figures.get('moves.age.records'), '0');
  assert.equal(figures.get('moves.age.last'), '');
});

test('tiers of a database that does not exist says so', async () => {
  const { code, stderr } = await thermocline(['tiers', place.path('nothing.db')]);
  assert.equal(code, 1);
  assert.match(stderr, /ERR_NOT_FOUND/);
});

test.run();
