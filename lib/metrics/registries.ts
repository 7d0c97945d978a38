import type { Registry } from 'prom-client';
import { invalid } from '../error.ts';
import { Collector, type MetricsSource } from './prometheus.ts';

/** Several databases may share a registry; each is told apart by its label `database`. */
const collectors = new WeakMap<Registry, Collector>();

/**
 * Adds a database's metrics to a registry of prom-client.
 *
 * @internal
 * @throws ERR_INVALID_ARGUMENT if it is no registry, or has a database of that name
 */
export function addTo(registry: Registry, source: MetricsSource): () => void {
  // By what it does: the program's prom-client may be another copy than ours.
  if (typeof registry?.registerMetric !== 'function') throw invalid('register takes a registry of prom-client');
  const collector = collectors.get(registry) ?? new Collector(registry);
  collectors.set(registry, collector);
  if (collector.has(source.name)) {
    throw invalid(`the registry has a database named '${source.name}': give another name, { name: '...' }`);
  }
  collector.add(source);
  return () => collector.remove(source);
}

/** @internal The text of one database's metrics alone. */
export async function metricsText(source: MetricsSource): Promise<string> {
  // Only now: most programs never ask.
  const { Registry } = await import('prom-client');
  const registry = new Registry();
  addTo(registry, source);
  return registry.metrics();
}
