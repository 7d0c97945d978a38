// npm run bench:tiers -- reads: reads of a database whose colder part lies on a slower disk.
//
//   --records <n>   2,000,000 by default
//   --seconds <n>   of each measurement, after as long for the caches to fill; 15 by default
//   --threads <n>   that read at once; 8 by default
//   --batch <n>     keys to a call: 1, which is get, by default; more are one getMany
//   --dir <folder>  where the databases are made and kept; a temporary one, removed afterwards, by default
//   --svg <file>    also draws a chart
//
// Workload, memory and the simulated disks: bench/native/tier_reads.cc. Each measurement runs in a process of its own.
// Prints Markdown tables.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildProgram } from '../commit/native.mjs';

/** What is compared: name, setup, disk. The first of each disk group is what the others are measured against. */
const SETUPS = [
  ['all hot', 'hot', 'none'],
  ['all hot, empty tiers below', 'empty', 'none'],
  ['90% in warm, same disk', 'tiers', 'none'],
  ['90% in warm, SATA', 'tiers', 'sata'],
  ['all on SATA', 'slow', 'sata'],
  ['RocksDB alone, cf_paths, SATA', 'paths', 'sata'],
  ['90% in cold, hard disk', 'tiers', 'hdd'],
  ['all on hard disk', 'slow', 'hdd'],
  ['RocksDB alone, cf_paths, hard disk', 'paths', 'hdd'],
];

const COLOURS = { none: '#4c9f70', sata: '#3b7dd8', hdd: '#c0603b' };

function count(number) {
  return Math.round(number).toLocaleString('en-US');
}

function duration(micros) {
  return micros < 1000 ? `${micros.toFixed(1)} µs` : `${(micros / 1000).toFixed(1)} ms`;
}

function percent(share) {
  return `${(share * 100).toFixed(1)}%`;
}

function table(results) {
  const all = results[0].readsPerSecond;
  const lines = results.map(({ name, ...result }) => {
    const tiered = result.setup === 'tiers';
    return [
      name,
      count(result.readsPerSecond),
      percent(result.readsPerSecond / all),
      duration(result.p50Micros),
      duration(result.p99Micros),
      result.setup === 'paths' ? '-' : percent(result.hotCacheShare),
      tiered ? percent(result.hotTierShare) : '-',
      percent(1 - result.slowDiskReadsShare),
    ];
  });
  const head = ['', 'reads a second', 'of all hot', 'P50', 'P99', 'hot cache', 'hot tier', 'no read of the slow disk'];
  const rows = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...lines];
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Reads a second, on a scale of powers of ten: from a hard disk to memory it is a factor of thousands. */
function chart(results) {
  const [width, label, height] = [820, 260, 30];
  const least = Math.floor(Math.log10(Math.min(...results.map(({ readsPerSecond }) => readsPerSecond))));
  const most = Math.log10(Math.max(...results.map(({ readsPerSecond }) => readsPerSecond)));
  const across = (value) => ((Math.log10(value) - least) / (most - least)) * (width - label - 150);
  const bars = results.map(({ name, disk, readsPerSecond, p99Micros }, i) => {
    const y = 8 + i * height;
    const length = across(readsPerSecond);
    return (
      `<text x="${label - 10}" y="${y + 15}" text-anchor="end">${name}</text>` +
      `<rect x="${label}" y="${y}" width="${length.toFixed(1)}" height="20" rx="2" fill="${COLOURS[disk]}"/>` +
      `<text x="${(label + length + 8).toFixed(1)}" y="${y + 15}">${count(readsPerSecond)}/s, P99 ${duration(p99Micros)}</text>`
    );
  });
  const tall = 16 + results.length * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${tall}" role="img">
<title>Reads a second on a logarithmic scale, and the 99th percentile of their latency</title>
<style>text { font: 13px sans-serif; fill: #555 } @media (prefers-color-scheme: dark) { text { fill: #bbb } }</style>
${bars.join('\n')}
</svg>
`;
}

export function measureReads(args) {
  const { values } = parseArgs({
    args,
    options: {
      records: { type: 'string', default: '2000000' },
      seconds: { type: 'string', default: '15' },
      threads: { type: 'string', default: '8' },
      batch: { type: 'string', default: '1' },
      dir: { type: 'string' },
      svg: { type: 'string' },
    },
  });
  const { records, seconds, threads, batch } = values;
  const program = buildProgram('tier_reads');
  const dir = values.dir ?? mkdtempSync(path.join(os.tmpdir(), 'thermocline-tier-reads-'));
  const run = (...given) => {
    const out = execFileSync(program, given, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    return JSON.parse(out);
  };
  try {
    const data = path.join(dir, records);
    if (!existsSync(path.join(data, 'paths'))) run('prepare', data, records);
    const results = SETUPS.map(([name, setup, disk]) => ({
      name,
      ...run('read', data, setup, disk, records, seconds, threads, batch),
    }));
    console.log(
      `${count(Number(records))} records, ${threads} threads, ${batch} keys to a call, ${os.cpus().length} processors\n`,
    );
    console.log(table(results));
    if (values.svg) writeFileSync(values.svg, chart(results));
    const { alone, migrating } = run('migrate', data, records, seconds);
    const line = (name, result) =>
      `| ${[name, count(result.operationsPerSecond), duration(result.readP50Micros), duration(result.readP99Micros), duration(result.writeP99Micros)].join(' | ')} |`;
    console.log(
      '\n| one thread, one write in ten | operations a second | P50 of reads | P99 of reads | P99 of writes |',
    );
    console.log('| --- | ---: | ---: | ---: | ---: |');
    console.log(line('alone', alone));
    console.log(line(`while ${migrating.movedMegabytesPerSecond} MB a second move`, migrating));
    console.log(
      `\nP99 of reads ${(migrating.readP99Micros / alone.readP99Micros).toFixed(2)}x, of writes ${(migrating.writeP99Micros / alone.writeP99Micros).toFixed(2)}x`,
    );
  } finally {
    if (values.dir === undefined) rmSync(dir, { recursive: true, force: true });
  }
}
