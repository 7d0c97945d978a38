/** What the project promised itself of its writes, each promise as a figure that a run can check. */

/**
 * @typedef {{ text: string, value: number | undefined, goal: number, atMost?: boolean, unit: string }} Target
 * @typedef {import('../peers/statistics.mjs').Summary} Summary measured thing, figure
 */

/** Concurrent writers of the durable comparison. */
export const OUTSTANDING = 1000;
export const LARGE_BATCH = 100_000;

export const PEERS = ['lmdb', 'classic-level'];
const ratio = (a, b) => (a !== undefined && b !== undefined ? a / b : undefined);

/** @param {Summary} summary @returns {Target[]} */
export function targetsOf(summary) {
  const of = (thing, figure = 'perSecond') => summary[thing]?.[figure]?.median;
  const durable = of(`writers thermocline fsync ${OUTSTANDING}`);
  const peers = PEERS.flatMap((peer) => of(`writers ${peer} fsync ${OUTSTANDING}`) ?? []);
  const batch = of(`batches thermocline wal ${LARGE_BATCH}`, 'p50');
  return [
    {
      text: `durable puts, ${OUTSTANDING.toLocaleString('en')} outstanding / C++ with one sync per write`,
      value: ratio(durable, of('plain 1')),
      goal: 40,
      unit: 'x',
    },
    {
      text: `durable puts, ${OUTSTANDING.toLocaleString('en')} outstanding / best peer`,
      value: ratio(durable, peers.length ? Math.max(...peers) : undefined),
      goal: 1.2,
      unit: 'x',
    },
    { text: 'wal puts beside a durable writer / alone', value: of('beside 1', 'kept'), goal: 0.75, unit: 'x' },
    { text: 'P99 of a wal put under half load', value: of('paced', 'p99'), goal: 2, atMost: true, unit: ' ms' },
    {
      text: `${LARGE_BATCH.toLocaleString('en')} records in one batch`,
      value: batch === undefined ? undefined : batch / 1000,
      goal: 0.2,
      atMost: true,
      unit: ' s',
    },
    {
      text: 'write and sync calls of durable batches / one each per batch',
      value: of('calls 256', 'share'),
      goal: 0.5,
      atMost: true,
      unit: 'x',
    },
  ];
}

/** @param {Target} target @returns {'reached' | 'missed' | 'not measured'} */
export function verdict({ value, goal, atMost }) {
  if (value === undefined) return 'not measured';
  return (atMost ? value <= goal : value >= goal) ? 'reached' : 'missed';
}
