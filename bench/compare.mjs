/**
 * npm run bench:compare -- a.json b.json: what is slower or faster in the second run of bench/run.mjs than in the first,
 * beyond what chance explains.
 *
 * The bound of each figure is the noise of both runs (what their rounds or samples differ by), and what the machine
 * itself did differently in between (bench/suite/control.mjs). Exit code 1 if anything is slower beyond it.
 */

import { readFileSync } from 'node:fs';
import { compare } from './report/comparison.mjs';
import { short } from './report/text.mjs';

const [first, second, ...rest] = process.argv.slice(2);
if (first === undefined || second === undefined || rest.length > 0) {
  process.stderr.write('usage: npm run bench:compare -- first.json second.json\n');
  process.exit(2);
}
const read = (file) => {
  try {
    const run = JSON.parse(readFileSync(file, 'utf8'));
    if (run.format !== 1) throw new Error('not a report of npm run bench');
    return run;
  } catch (error) {
    process.stderr.write(`${file}: ${error.message}\n`);
    return process.exit(2);
  }
};
const [a, b] = [read(first), read(second)];
const { rows, drift, onlyFirst, onlySecond, warnings } = compare(a, b);

const percent = (share) => `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)}%`;
const cells = [
  ['figure', first, second, 'change', 'bound', ''],
  ...rows.map(({ name, from, to, change, bound, verdict }) => [
    name,
    short(from),
    short(to),
    percent(change),
    `±${(bound * 100).toFixed(1)}%`,
    verdict === 'same' ? '' : verdict,
  ]),
];
const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
for (const row of cells) {
  process.stdout.write(
    `${row
      .map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd()}\n`,
  );
}
for (const warning of warnings) process.stdout.write(`\nNOTE: ${warning}\n`);
const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
process.stdout.write(`\nthe machine itself changed by up to ${(drift * 100).toFixed(1)}%
${count('slower')} slower, ${count('faster')} faster, ${count('same')} within their bounds\n`);
for (const [names, file] of [
  [onlyFirst, first],
  [onlySecond, second],
]) {
  if (names.length > 0) process.stdout.write(`only in ${file}: ${names.length} figures\n`);
}
process.exit(count('slower') > 0 ? 1 : 0);
