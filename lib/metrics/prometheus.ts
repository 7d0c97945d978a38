import type { Metric, Registry } from 'prom-client';
import type { Stats } from '../stats.ts';
import { type Bucketed, FAMILIES, type Family } from './families.ts';

/** @internal Upper bounds of the histograms' buckets in seconds: from a microsecond to ten seconds. */
export const BUCKET_BOUNDS: readonly number[] = [-6, -5, -4, -3, -2, -1, 0]
  .flatMap((power) => [1, 2.5, 5].map((mantissa) => Number(`${mantissa}e${power}`)))
  .concat(10);

/** @internal The same in nanoseconds, as the engine counts. */
export const BUCKET_NANOS: readonly number[] = BUCKET_BOUNDS.map((seconds) => Math.round(seconds * 1e9));

/** @internal A database as its metrics see it. */
export interface MetricsSource {
  /** Value of the label `database`. */
  name: string;
  /** With buckets; undefined once closed. */
  stats: () => Stats | undefined;
}

type Value = { labels: Record<string, string | number>; value: number; metricName?: string };

/**
 * The metrics of the databases that share a registry. Each metric is registered once, and asks every database when it is
 * asked itself; all that one scrape asks for comes from one moment of each database.
 */
export class Collector {
  readonly #sources = new Map<MetricsSource, Stats | undefined>();
  #fresh = false;

  constructor(registry: Registry) {
    for (const family of FAMILIES) registry.registerMetric(metricOf(family, () => this.#stats()));
  }

  add(source: MetricsSource): void {
    this.#sources.set(source, undefined);
  }

  remove(source: MetricsSource): void {
    this.#sources.delete(source);
  }

  has(name: string): boolean {
    return [...this.#sources.keys()].some((source) => source.name === name);
  }

  #stats(): [name: string, stats: Stats][] {
    if (!this.#fresh) {
      for (const source of this.#sources.keys()) {
        const stats = source.stats();
        if (stats === undefined) this.#sources.delete(source);
        else this.#sources.set(source, stats);
      }
      // A registry asks all of its metrics in one turn.
      this.#fresh = true;
      process.nextTick(() => {
        this.#fresh = false;
      });
    }
    return [...this.#sources].flatMap(([{ name }, stats]) => (stats === undefined ? [] : [[name, stats]]));
  }
}

function metricOf(family: Family, databases: () => [name: string, stats: Stats][]): Metric {
  const values = (): Value[] => databases().flatMap(([database, stats]) => valuesOf(family, database, stats));
  const name = `thermocline_${family.name}`;
  const { help, type } = family;
  // prom-client's own metrics count by themselves and cannot be given counts. What a registry asks of one is a name, get()
  // and reset(), which is without effect here: the engine's counters cannot be reset.
  const get = async () => ({ name, help, type, aggregator: 'sum', values: values() });
  return { name, get, reset() {} } as unknown as Metric;
}

function valuesOf(family: Family, database: string, stats: Stats): Value[] {
  if (family.type !== 'histogram') {
    return family.samples(stats).map(([labels, value]) => ({ labels: { ...labels, database }, value }));
  }
  return family.samples(stats).flatMap(([labels, latency]) => {
    return histogramValues(`thermocline_${family.name}`, { ...labels, database }, latency);
  });
}

function histogramValues(name: string, labels: Record<string, string>, { buckets, count, sum }: Bucketed): Value[] {
  const bucket = (le: number | string, value: number) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value,
  });
  return [
    ...BUCKET_BOUNDS.map((bound, i) => bucket(bound, buckets[i] ?? 0)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
