/** One line of Prometheus's text format. */
export interface Series {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Reads the text format. Lines that are none fail. */
export function parseMetrics(text: string): { series: Series[]; value: (series: string) => number } {
  const series: Series[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a line of Prometheus: ${line}`);
    const [, name = '', inside = '', value = ''] = match;
    const labels = Object.fromEntries(
      [...inside.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [
        label as string,
        text as string,
      ]),
    );
    series.push({ name, labels, value: Number(value) });
  }
  /** The value of the one series with these labels, `database` aside. */
  const value = (wanted: string) => {
    const [name, rest = ''] = wanted.split('{');
    const labels = [...rest.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, label, text]) => [label, text]);
    const found = series.filter((one) => {
      return one.name === name && labels.every(([label, text]) => one.labels[label as string] === text);
    });
    if (found.length !== 1) throw new Error(`${found.length} series are ${wanted}`);
    return found[0]?.value as number;
  };
  return { series, value };
}
