// The live page: shows what the server sends every second. It only ever reads.

import { makeCharts } from './charts.js';
import * as format from './format.js';
import { drawSlots } from './heat-map.js';

const KEPT_POINTS = 300;
const element = (id) => document.getElementById(id);

let points = [];
const showPoints = makeCharts();

const events = new EventSource('/events');
events.addEventListener('open', () => connection('live', 'live'));
events.addEventListener('error', () => connection('lost', 'connection lost'));
events.addEventListener('history', ({ data }) => {
  const history = JSON.parse(data);
  points = history.points;
  const name = history.location.split('/').at(-1);
  element('location').textContent = name;
  element('location').title = history.location;
  document.title = `${name} – Thermocline`;
});
events.addEventListener('frame', ({ data }) => {
  const { point, stats, alerts, over } = JSON.parse(data);
  if (points.at(-1)?.at !== point.at) points.push(point);
  points = points.slice(-KEPT_POINTS);
  showPoints(points);
  showAlerts(alerts, over);
  showTiles(point, stats);
  showTables(stats);
  drawSlots(element('slots'), element('slots-legend'), stats.perShard);
});

function connection(state, text) {
  element('connection').className = state;
  element('connection').textContent = text;
}

function showTiles(point, { writes, stalls }) {
  const tiles = {
    reads: `${format.count(point.reads)}/s`,
    writes: `${format.count(point.writes)}/s`,
    'write-p99': format.seconds(point.writeP99),
    hits: format.share(point.hotCacheHits),
    waiting: format.bytes(writes.inFlightBytes),
    stall: stalls.running === 0 ? 'no' : format.seconds(stalls.ageSeconds),
  };
  for (const [name, text] of Object.entries(tiles)) setText(element(`tile-${name}`), text);
}

function showAlerts(active, over) {
  fill(element('alerts-active'), 'li', active, (item, alert) => {
    item.className = alert.severity;
    const { name, subject, severity, value, threshold, unit, cause } = alert;
    const title = document.createElement('strong');
    title.textContent = `${severity}: ${format.words(name)}, ${format.words(subject)}`;
    const measured = ` ${format.inUnit(value, unit)}, bound ${format.inUnit(threshold, unit)}. `;
    item.replaceChildren(title, `${measured}${cause[0].toUpperCase()}${cause.slice(1)}.`);
  });
  element('alerts-none').hidden = active.length > 0;
  element('alerts-over').hidden = over.length === 0;
  setText(element('alerts-over-count'), `(${over.length})`);
  fill(element('alerts-over-list'), 'li', over, (item, { name, subject, since, cause }) => {
    const began = new Date(since).toLocaleTimeString();
    setText(item, `${began} ${format.words(name)}, ${format.words(subject)}: ${cause}`);
  });
}

function showTables({ operations, memory, writes, stalls, tiers, migration, perShard }) {
  rows('operations', Object.entries(operations), ([name, totals]) => [
    format.words(name),
    format.count(totals.operations),
    format.count(totals.records),
    format.bytes(totals.bytes),
  ]);
  rows(
    'memory',
    [
      ['hot cache', memory.hotCacheBytes, memory.hotCacheCapacityBytes],
      ['block cache', memory.blockCacheBytes, memory.blockCacheCapacityBytes],
      ['memtables', memory.memtableBytes, memory.memtableBudgetBytes],
      ['transactions', memory.transactionBytes, memory.transactionBudgetBytes],
      ['waiting writes', writes.inFlightBytes, writes.inFlightLimitBytes],
    ],
    ([name, used, budget]) => [name, format.bytes(used), format.bytes(budget)],
  );
  rows('stalls', Object.entries(stalls.byCause), ([cause, { count, seconds }]) => [
    format.words(cause),
    format.count(count),
    format.seconds(seconds),
  ]);
  rows('tiers', tiers, (tier) => [
    tier.tier,
    format.bytes(tier.tableBytes),
    format.count(tier.files),
    `${tier.compressionRatio.toFixed(2)}×`,
    tier.capacityBytes === 0 ? '–' : format.share(tier.tableBytes / tier.capacityBytes),
    tier.diskCapacityBytes === 0 ? '–' : format.share(tier.diskUsedBytes / tier.diskCapacityBytes),
    tiers.length === 1 ? '–' : format.count(tier.reads),
    format.bytes(tier.movedInBytes),
    format.bytes(tier.movedOutBytes),
    `${format.count(tier.compactions.count)}, ${format.seconds(tier.compactions.seconds)}`,
  ]);
  rows('shards', perShard, (shard) => [
    String(shard.id),
    shard.slots.map(([first, last]) => `${first}–${last}`).join(' '),
    format.count(shard.keys),
    format.bytes(shard.tableBytes),
    format.count(shard.readsPerSecond),
    format.count(shard.writesPerSecond),
  ]);
  element('trouble').hidden = migration.trouble === undefined;
  setText(element('trouble'), migration.trouble ? `Nothing moves: ${migration.trouble}.` : '');
}

/** A table's body: a row for each item, the first cell its header. */
function rows(id, items, cells) {
  fill(element(id).tBodies[0], 'tr', items, (row, item) => {
    const texts = cells(item);
    if (row.children.length !== texts.length) {
      row.replaceChildren(...texts.map((_, i) => document.createElement(i === 0 ? 'th' : 'td')));
      row.firstChild.scope = 'row';
    }
    for (const [i, text] of texts.entries()) setText(row.children[i], text);
  });
}

/** As many children as items, each made to show its item; those that stay are kept, so that nothing jumps. */
function fill(parent, tag, items, show) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  while (parent.children.length < items.length) parent.append(document.createElement(tag));
  for (const [i, item] of items.entries()) show(parent.children[i], item);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
