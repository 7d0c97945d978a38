// The benchmark suite's own arithmetic and its reports, and one small run of the suite itself.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { Workspace } from './helpers/workspace.ts';

const folder = fileURLToPath(new URL('../bench/', import.meta.url));
// Plain JavaScript without declarations.
const bench = (file: string) => import(new URL(`../bench/${file}`, import.meta.url).href);
const { summaryOf } = await bench('report/summary.mjs');
const { compare } = await bench('report/comparison.mjs');
const { productTargets, targetLines, verdict } = await bench('report/targets.mjs');
const { escaped, percent, short, time } = await bench('report/text.mjs');
const { html } = await bench('report/html.mjs');
const { markdown } = await bench('report/markdown.mjs');
const { Histogram } = await bench('commit/histogram.mjs');
const { sampled } = await bench('suite/measure.mjs');

const test = suite('benchmarks: reports');
const place = new Workspace();
test.after(() => place.clean());

const machine = {
  cpu: 'A <CPU>',
  cores: 2,
  memoryBytes: 2 ** 34,
  system: 'Linux',
  fileSystem: 'ext4',
  node: 'v20.0.0',
  loadAverage: 0,
  commit: 'abc',
  date: '2026-01-02T03:04:05.000Z',
};

interface Figure {
  median: number;
  min: number;
  max: number;
  noise: number;
  rounds: number;
}

/** A run with these medians, each with noise of 2%. */
function runOf(medians: Record<string, number>, noise = 0.02) {
  const figures = Object.entries(medians).map(([name, median]) => [
    name,
    { median, min: median * (1 - noise), max: median * (1 + noise), noise, rounds: 3 },
  ]);
  const names = new Set(Object.keys(medians).map((name) => name.split('/').slice(0, -1).join('/')));
  return {
    format: 1,
    machine,
    versions: { thermocline: '0.1.0' },
    adapters: {},
    options: { quick: false, records: 1000, seconds: 1, rounds: 3 },
    entries: [...names].map((name) => ({ name, group: name.split('/')[0], title: name })),
    figures: Object.fromEntries(figures) as Record<string, Figure>,
    latencies: {} as Record<string, unknown>,
    failures: [] as string[],
    minutes: 1,
  };
}

/** All rounds of this figure were the same. */
function quiet(run: ReturnType<typeof runOf>, name: string): void {
  run.figures[name] = { median: run.figures[name]?.median ?? 0, min: 0, max: 0, noise: 0, rounds: 3 };
}

test('a figure is the median of its rounds, with the noise they show', () => {
  const three = summaryOf([100, 130, 110], [0.01, 0.01, 0.01]);
  assert.equal(three.median, 110);
  assert.deepEqual([three.min, three.max, three.rounds], [100, 130, 3]);
  assert.ok(three.noise > 15 / 110, 'more than half of the range of so few');
  assert.ok(summaryOf([100], [0.01]).noise >= 0.2, 'one round: processes differ more than samples');
  assert.equal(summaryOf([100], [0.5]).noise, 0.5);
  assert.equal(summaryOf([100, 100], [0.2, 0.1]).noise, 0.2);
});

test('two runs are compared within the noise of both and the drift of the machine', () => {
  const a = runOf({ 'reads/random/get': 1000, 'writes/random/put': 1000, 'control/memory': 100 });
  const same = compare(a, runOf({ 'reads/random/get': 1060, 'writes/random/put': 950, 'control/memory': 100 }));
  assert.deepEqual(
    same.rows.map(({ verdict: word }: { verdict: string }) => word),
    ['same', 'same'],
  );
  const changed = compare(a, runOf({ 'reads/random/get': 700, 'writes/random/put': 1300, 'control/memory': 100 }));
  assert.deepEqual(
    changed.rows.map(({ verdict: word }: { verdict: string }) => word),
    ['slower', 'faster'],
  );
  const slowMachine = compare(a, runOf({ 'reads/random/get': 700, 'writes/random/put': 700, 'control/memory': 70 }));
  assert.ok(slowMachine.drift > 0.3);
  assert.ok(slowMachine.rows.every(({ verdict: word }: { verdict: string }) => word === 'same'));
});

test('a figure whose rounds agree by chance has the noise of its group', () => {
  const medians = { 'scans/a/keys': 1000, 'scans/b/keys': 1000, 'scans/c/keys': 1000, 'reads/a/get': 1000 };
  const [a, b] = [runOf(medians, 0.15), runOf({ ...medians, 'scans/a/keys': 800, 'reads/a/get': 800 }, 0.15)];
  for (const run of [a, b]) for (const name of ['scans/a/keys', 'reads/a/get']) quiet(run, name);
  const verdicts = compare(a, b).rows.map(({ name, verdict: word }: { name: string; verdict: string }) => [name, word]);
  assert.deepEqual(verdicts, [
    ['scans/a/keys', 'same'],
    ['scans/b/keys', 'same'],
    ['scans/c/keys', 'same'],
    ['reads/a/get', 'slower'],
  ]);
});

test('a comparison names what is missing, and runs that are not alike', () => {
  const a = runOf({ 'reads/random/get': 1000, 'reads/absent/get': 1000 });
  const b = runOf({ 'reads/random/get': 1000, 'ycsb/thermocline/a/operations': 10 });
  b.machine = { ...machine, cores: 64 };
  b.options = { ...b.options, quick: true };
  const { onlyFirst, onlySecond, warnings } = compare(a, b);
  assert.deepEqual([onlyFirst, onlySecond], [['reads/absent/get'], ['ycsb/thermocline/a/operations']]);
  assert.match(warnings.join('\n'), /different machines: cores 2, then 64\n.*different work: quick false, then true/);
});

test('fewer disk reads are better', () => {
  const a = runOf({ 'levels/zipfian 1%/diskShare': 0.5 });
  const rows = compare(a, runOf({ 'levels/zipfian 1%/diskShare': 0.2 })).rows;
  assert.equal(rows[0].verdict, 'faster');
});

test('every target has its line, with yes or no, its figure, and its share of plain C++', () => {
  const run = runOf({
    'reads/random/getMany': 600_000,
    'writes/random/put': 200_000,
    'batches/1000/batch': 900_000,
    'batches/100000/batch': 1_000_000,
    'native/plain/multiget/all/perSecond': 300_000,
    'native/plain/write/batch:100000/perSecond': 500_000,
    'levels/absent/withoutDiskShare': 0.95,
  });
  run.latencies['mixed/80/read, half load'] = [{ count: 10, quantiles: [[0.5, 1], [0.99, 1.5]] }]; // biome-ignore format: one line
  run.latencies['mixed/80/write, half load'] = [{ count: 10, quantiles: [[0.5, 1], [0.99, 2.5]] }]; // biome-ignore format: one line
  const targets = productTargets(run);
  const of = (text: string) => {
    const found = targets.find((target: { text: string }) => target.text === text);
    return [verdict(found), found.value, found.share];
  };
  assert.deepEqual(of('random read'), ['yes', 600_000, 2]);
  assert.deepEqual(of('random write'), ['no', 200_000, undefined]);
  assert.deepEqual(of('batch write'), ['yes', 1_000_000, undefined]);
  assert.deepEqual(of('100,000 records in one batch'), ['yes', 100, 2], 'half of the time is twice as good');
  assert.deepEqual(of('P99 in the mixed load, from when due'), ['no', 2.5, undefined], 'the worse of reads and writes');
  assert.deepEqual(of('absent keys answered without a disk read'), ['yes', 95, undefined]);
  assert.deepEqual(of('scan'), ['not measured', undefined, undefined]);
  const lines = targetLines(targets).trimEnd().split('\n');
  assert.equal(lines.length, targets.length);
  assert.match(lines[0] ?? '', /^random read +yes +600K ops\/s +>= 500K ops\/s +plain C\+\+ 300K ops\/s, share 200%$/);
});

test('figures are short and keep their zeros', () => {
  assert.deepEqual([0, 7, 45.678, 999, 1000, 123_456, 9_876_543, 2e9].map(short), ['0.00', '7.00', '46', '999', '1.00K', '123K', '9.88M', '2.00G']); // biome-ignore format: one line
  assert.deepEqual([0.0005, 0.1, 0.3, 1, 2.5, 100, 900, 2000].map(time), ['0.5 µs', '100 µs', '300 µs', '1 ms', '2.5 ms', '100 ms', '900 ms', '2 s']); // biome-ignore format: one line
  assert.deepEqual([0.005, 0.5, 1].map(percent), ['0.5%', '50%', '100%']);
  assert.equal(escaped('a<b> & "c"'), 'a&lt;b&gt; &amp; &quot;c&quot;');
});

test('a histogram tells quantiles within its buckets', () => {
  const histogram = new Histogram();
  for (let i = 1; i <= 1000; i++) histogram.record(i / 100);
  const { count, quantiles } = histogram.distribution();
  assert.equal(count, 1000);
  for (const [share, ms] of quantiles as [number, number][]) {
    const exact = Math.ceil(1000 * share) / 100;
    assert.ok(Math.abs(ms / exact - 1) < 0.035, `P${share * 100}: ${ms}, not ${exact}`);
  }
});

test('a measured rate is that of the work, and a failure of the work is one of the measurement', async () => {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
  const { value, samples } = await sampled(10, 0.2, pause);
  assert.ok(value > 100 && value <= 2010, `ten in at least 5 ms: ${value}/s`);
  assert.ok(samples >= 5);
  let calls = 0;
  const failing = async () => {
    if (++calls > 5) throw new Error('broken store');
    await pause();
  };
  await assert.rejects(sampled(1, 0.2, failing), /broken store/);
});

test('the report needs no other file, escapes what it shows, and names failures', () => {
  const run = runOf({ 'reads/random/getMany': 600_000, 'peers/thermocline/load/load': 2, 'peers/lmdb/load/load': 1 });
  run.failures.push('round 1: <broken>');
  const complete = { ...run, targets: productTargets(run) };
  const page: string = html(complete);
  assert.doesNotMatch(page, /<script|<link|src=|url\(|https?:/);
  assert.match(page, /A &lt;CPU&gt;/);
  assert.match(page, /round 1: &lt;broken&gt;/);
  assert.match(page, /600K\/s ±2%/);
  assert.match(page, /2\.00x/, 'twice the best peer');
  assert.match(markdown(complete), /\| random read \| yes \| 600K ops\/s \| at least 500K ops\/s \|/);
});

test('the suite runs, writes its three reports, and a run compared with itself has not changed', () => {
  const out = path.join(place.root, 'report');
  const size = ['--records', '2000', '--seconds', '0.02', '--rounds', '2', '--only', 'writes,scans,mixed'];
  const args = [path.join(folder, 'run.mjs'), ...size, '--dir', place.root, '--out', out];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^random write +(yes|no) /m);
  const result = JSON.parse(readFileSync(`${out}.json`, 'utf8'));
  assert.equal(result.figures['writes/random/put'].rounds, 2);
  assert.ok(result.figures['scans/1024/nextMany'].median > 0);
  assert.equal(result.latencies['mixed/80/read, half load'].length, 2);
  assert.match(readFileSync(`${out}.html`, 'utf8'), /^<!doctype html>/);
  assert.match(readFileSync(`${out}.md`, 'utf8'), /^\| random write \|/m);

  const compareFiles = (...files: string[]) => {
    return spawnSync(process.execPath, [path.join(folder, 'compare.mjs'), ...files], { encoding: 'utf8' });
  };
  const same = compareFiles(`${out}.json`, `${out}.json`);
  assert.equal(same.status, 0, same.stderr);
  assert.match(same.stdout, /\n0 slower, 0 faster, \d+ within their bounds\n/);
  const slower = structuredClone(result);
  slower.figures['writes/random/put'].median /= 100;
  writeFileSync(`${out}-slower.json`, JSON.stringify(slower));
  const regressed = compareFiles(`${out}.json`, `${out}-slower.json`);
  assert.equal(regressed.status, 1);
  assert.match(regressed.stdout, /^writes\/random\/put .* slower$/m);
  assert.equal(compareFiles(`${out}.json`).status, 2);
  assert.equal(compareFiles(`${out}.json`, `${out}.md`).status, 2);
});

test.run();
