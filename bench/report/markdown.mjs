/** A short table for a README. */

import { shown, verdict } from './targets.mjs';
import { short, times } from './text.mjs';
import { peersView } from './views.mjs';

/** @param {any} result of bench/run.mjs @returns {string} */
export function markdown(result) {
  const { machine, options } = result;
  const { cpu, cores, memoryBytes, fileSystem, node, commit, date } = machine;
  const lines = [
    `Measured ${date.slice(0, 10)} at ${commit} on ${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB of memory, ` +
      `${fileSystem}, node ${node}; ${options.records.toLocaleString('en')} records, ` +
      `${options.rounds === 1 ? 'one round' : `medians of ${options.rounds} rounds`}.`,
    '',
    '| target | reached | here | wanted | plain C++ | share of it |',
    '| --- | --- | --- | --- | --- | --- |',
    ...result.targets.map((target) => {
      const { text, value, goal, atMost, unit, plain, share } = target;
      const limit = plain === undefined ? '' : shown(plain, unit);
      const wanted = `${atMost ? 'at most' : 'at least'} ${shown(goal, unit)}`;
      return `| ${text} | ${verdict(target)} | ${shown(value, unit)} | ${wanted} | ${limit} | ${share === undefined ? '' : `${Math.round(share * 100)}%`} |`;
    }),
  ];
  const { rows, ratios } = peersView(result);
  if (ratios.length > 0) {
    lines.push('', '| records/s | Thermocline | against the best peer |', '| --- | --- | --- |');
    const by = new Map(rows.map(({ label, bars }) => [label, bars[0]?.value]));
    for (const { label, ratio } of ratios) lines.push(`| ${label} | ${short(by.get(label))} | ${times(ratio)} |`);
  }
  return `${lines.join('\n')}\n`;
}
