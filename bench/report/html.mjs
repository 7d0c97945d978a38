/** The report for people: one HTML file that needs nothing else. */

import { GROUPS } from '../suite/catalog.mjs';
import { barChart, latencyChart, ratioChart, stackedChart } from './charts.mjs';
import { EXPECTED_SHARE, shown, verdict } from './targets.mjs';
import { escaped, percent, quantileOf, time } from './text.mjs';
import { groupView, latencyLines, levelsView, nativeView, peersView, plainGroups, ycsbView } from './views.mjs';

const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2430; --faint: #5d6b7a; --rule: #dde3ea; --good: #1a7f4b; --bad: #b3372c;
  --c0: #1f6fb5; --c1: #e08a1e; --c2: #3a9d6e; --c3: #a14fa3; --c4: #7a8794; --c5: #c8553d; --c6: #4cb4c4; --c7: #8c6d31; }
@media (prefers-color-scheme: dark) { :root { --ground: #12171d; --ink: #e4e9ee; --faint: #9aa7b4; --rule: #2b3540; --good: #5cc98f; --bad: #f0867a;
  --c0: #5aa9e6; --c1: #f0a94b; --c2: #63c795; --c3: #cf8bd0; --c4: #9aa7b4; --c5: #e98a73; --c6: #7fd3df; --c7: #c2a468; } }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 940px; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.7rem; } h2 { margin: 2.6rem 0 .2rem; font-size: 1.2rem; } h3 { margin: 1.4rem 0 .3rem; font-size: 1rem; }
p { margin: .2rem 0 .8rem; color: var(--faint); } p.lead { color: var(--ink); }
nav { margin: 1rem 0; columns: 3; } a { color: var(--c0); text-decoration: none; } nav a { display: block; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { color: var(--faint); font-weight: 600; } td.n, th.n { text-align: right; } td small { color: var(--faint); display: block; }
.yes { color: var(--good); font-weight: 700; } .no { color: var(--bad); font-weight: 700; }
.scroll { overflow-x: auto; } svg { display: block; max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.value { fill: var(--faint); font-variant-numeric: tabular-nums; } svg text.inside { fill: var(--ground); font-weight: 600; }
.whisker { stroke: var(--ink); stroke-width: 1; fill: none; } .grid { stroke: var(--rule); } .reference { stroke: var(--bad); stroke-dasharray: 4 3; }
.line { fill: none; stroke-width: 2; } .legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .4rem 0; font-size: 13px; color: var(--faint); }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
${Array.from({ length: 8 }, (_, i) => `.f${i} { fill: var(--c${i}); } .s${i} { stroke: var(--c${i}); } .b${i} { background: var(--c${i}); }`).join('\n')}
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--c0); }
`;

function table(head, rows, numeric = []) {
  const align = (i) => (numeric.includes(i) ? ' class="n"' : '');
  const headers = head.map((cell, i) => `<th${align(i)}>${cell}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell, i) => `<td${align(i)}>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${headers}</tr></thead><tbody>\n${body}</tbody></table></div>`;
}

const section = (id, title, about, content) =>
  content ? `<section id="${id}"><h2>${escaped(title)}</h2><p>${escaped(about)}</p>${content}</section>` : '';

function targetsSection(targets) {
  const rows = targets.map((target) => {
    const { text, how, value, goal, atMost, unit, plain, share } = target;
    const word = verdict(target);
    const limit = plain === undefined ? '' : shown(plain, unit);
    const enough = share === undefined ? '' : ` class="${share >= EXPECTED_SHARE ? 'yes' : 'no'}"`;
    return [
      `${escaped(text)}<small>${escaped(how)}</small>`,
      `<span class="${word === 'yes' ? 'yes' : word === 'no' ? 'no' : ''}">${word}</span>`,
      escaped(shown(value, unit)),
      escaped(`${atMost ? '≤' : '≥'} ${shown(goal, unit)}`),
      escaped(limit),
      share === undefined ? '' : `<span${enough}>${percent(share)}</span>`,
    ];
  });
  return table(['target', 'reached', 'here', 'wanted', 'plain C++', 'share of it'], rows, [2, 3, 4, 5]);
}

function latencyTable(lines) {
  const shares = [0.5, 0.9, 0.99, 0.999, 1];
  const rows = lines.map(({ label, count, quantiles }) => [
    escaped(label),
    count.toLocaleString('en'),
    ...shares.map((share) => {
      const ms = quantileOf(quantiles, share);
      return ms === undefined ? '' : time(ms);
    }),
  ]);
  const head = ['', 'operations', ...shares.map((share) => (share === 1 ? 'longest' : `P${share * 100}`))];
  return table(head, rows, [1, 2, 3, 4, 5, 6]);
}

function latencyPart(result, group) {
  const lines = latencyLines(result, group);
  if (lines.length === 0) return '';
  const chart = lines.length <= 8 ? latencyChart({ title: `latencies: ${GROUPS[group].title}`, lines }) : '';
  return `<h3>Latencies</h3>${chart}${latencyTable(lines)}`;
}

function groupSections(result) {
  return plainGroups(result).map((group) => {
    const { title, about } = GROUPS[group];
    return section(
      group,
      title,
      about,
      `${barChart({ title, ...groupView(result, group) })}${latencyPart(result, group)}`,
    );
  });
}

function levelsSection(result) {
  const view = levelsView(result);
  const absent = result.figures['levels/absent/withoutDiskShare'];
  const text = absent
    ? `<p class="lead">Absent keys: ${(absent.median * 100).toFixed(2)}% of the lookups needed no block from the disk.</p>`
    : '';
  const { title, about } = GROUPS.levels;
  return section('levels', title, about, `${text}${stackedChart({ title, ...view })}`);
}

function nativeSection(result) {
  const { ratios, ...view } = nativeView(result);
  if (view.rows.length === 0) return '';
  const { title, about } = GROUPS.native;
  const lines = latencyLines(result, 'native');
  const latencies = lines.length ? `<h3>Latencies</h3>${latencyTable(lines)}` : '';
  const content = `${barChart({ title, ...view })}<h3>Engine / plain C++</h3>${ratioChart({ title: 'engine / plain C++', rows: ratios })}${latencies}`;
  return section('native', title, about, content);
}

function peersSection(result) {
  const { ratios, ...view } = peersView(result);
  if (view.rows.length === 0) return '';
  const { title, about } = GROUPS.peers;
  const used = Object.entries(result.adapters).map(([, { package: name, version, uses, durability }]) => [
    escaped(`${name ?? 'thermocline'} ${version}`),
    escaped(uses),
    escaped(durability),
  ]);
  const content = `${barChart({ title, ...view })}<h3>Thermocline / best peer</h3>${ratioChart({ title: 'Thermocline / best peer', rows: ratios })}
<details><summary>How each store is used</summary>${table(['store', 'calls and options', 'durability'], used)}</details>`;
  return section('peers', title, about, content);
}

function ycsbSection(result) {
  const view = ycsbView(result);
  if (view.rows.length === 0) return '';
  const { title, about } = GROUPS.ycsb;
  const own = latencyLines(result, 'ycsb').filter((_, i, all) => all.length < 20 || i < 14);
  return section(
    'ycsb',
    title,
    about,
    `${barChart({ title, ...view })}<details><summary>Latencies</summary>${latencyTable(own)}</details>`,
  );
}

function allFigures({ figures }) {
  const rows = Object.entries(figures).map(([name, { median, min, max, noise, rounds }]) => [
    escaped(name),
    median.toPrecision(5),
    min === max ? '' : `${min.toPrecision(4)} – ${max.toPrecision(4)}`,
    percent(noise),
    String(rounds),
  ]);
  return `<details><summary>Every figure</summary>${table(['figure', 'median', 'rounds, min – max', 'noise', 'rounds'], rows, [1, 2, 3, 4])}</details>`;
}

function about(result) {
  const { machine, versions, options, minutes } = result;
  const { cpu, cores, memoryBytes, system, node, fileSystem, loadAverage, commit, date } = machine;
  const busy =
    loadAverage > 0.5
      ? ` <span class="no">Busy machine: load average ${loadAverage.toFixed(1)} at the start.</span>`
      : '';
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const rows = [
    ['measured', `${escaped(date)}, commit ${escaped(commit)}, ${minutes.toFixed(1)} minutes.${busy}`],
    ['machine', escaped(`${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB memory, ${fileSystem}`)],
    ['system', escaped(`${system}, node ${node}`)],
    ['versions', escaped(peers.join(', '))],
    [
      'options',
      escaped(
        `${options.quick ? 'quick run; ' : ''}${options.records.toLocaleString('en')} records of 16-byte keys and 100-byte values, ` +
          `half of them compressible, unless a group says otherwise; ${options.seconds} s for each figure; ${options.rounds} ` +
          `${options.rounds === 1 ? 'round' : 'rounds'}, each trial a fresh process. Default options of open() unless named.`,
      ),
    ],
  ];
  return table(
    ['', ''],
    rows.map(([name, value]) => [`<b>${name}</b>`, value]),
  );
}

/** @param {any} result of bench/run.mjs @returns {string} */
export function html(result) {
  const sections = [
    ...groupSections(result),
    levelsSection(result),
    nativeSection(result),
    peersSection(result),
    ycsbSection(result),
  ].filter(Boolean);
  const links = sections.map((text) => {
    const [, id, title] = /<section id="([^"]+)"><h2>([^<]+)/.exec(text);
    return `<a href="#${id}">${title}</a>`;
  });
  const failures = result.failures.length
    ? `<h2>Failed trials</h2><ul class="no">${result.failures.map((failure) => `<li>${escaped(failure)}</li>`).join('')}</ul>`
    : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Thermocline ${escaped(result.versions.thermocline)}: benchmarks</title><style>${STYLE}</style></head><body>
<h1>Thermocline ${escaped(result.versions.thermocline)}: benchmarks</h1>
<p>Bars are medians, whiskers the smallest and the largest round, ± the noise that a repetition must exceed to mean something.</p>
${about(result)}
<section id="targets"><h2>Targets</h2>
<p>Stated for servers with NVMe disks and their number of cores. Beside them what plain C++ RocksDB with the same options does on this machine: at least ${percent(EXPECTED_SHARE)} of it is expected.</p>
${targetsSection(result.targets)}</section>
${failures}
<nav>${links.join('')}</nav>
${sections.join('\n')}
<section id="all"><h2>Everything</h2>${allFigures(result)}</section>
</body></html>
`;
}
