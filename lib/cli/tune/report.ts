import type { OpenOptions } from '../../index.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount } from '../text.ts';
import type { SampleInfo } from './sample.ts';
import type { Goal } from './score.ts';
import type { Figures } from './trial.ts';
import type { StageResult, TuneResult } from './tuner.ts';

const head = ['', 'write/s', 'get/s', 'getMany/s', 'scan/s', 'tables', 'ratio', 'score', ''];

/** `1.42 times` or so. */
function times(factor: number): string {
  return `${factor.toFixed(2)} times`;
}

function row(name: string, figures: Figures, sample: SampleInfo, score: number, mark: string, terminal: boolean) {
  const rate = (n: number) => (terminal ? (n === 0 ? '' : formatCount(n)) : String(Math.round(n)));
  return [
    name,
    rate(figures.write),
    rate(figures.get),
    rate(figures.getMany),
    rate(figures.scan),
    terminal ? formatBytes(figures.diskBytes) : String(figures.diskBytes),
    (sample.bytes / figures.diskBytes).toFixed(2),
    score.toFixed(3),
    mark,
  ];
}

/** What every stage measured, and the last rounds. */
export function tuneTables(result: TuneResult, sample: SampleInfo, terminal: boolean): string {
  const tables = result.stages.map(({ stage, answers, chosen, before }) => {
    const rows = [before, ...answers].map((answer) => {
      const name = answer === before ? 'as before' : answer.candidate.name;
      return row(name, answer.figures, sample, answer.score, answer === chosen ? 'chosen' : '', terminal);
    });
    return { title: stage.what, rows };
  });
  const last = [
    row('defaults', result.defaults, sample, 1, result.recommended ? '' : 'recommended', terminal),
    row('chosen', result.candidateFigures, sample, result.gain, result.recommended ? 'recommended' : '', terminal),
  ];
  tables.push({ title: 'defaults against what was chosen, medians', rows: last });
  const right = [1, 2, 3, 4, 5, 6, 7];
  return tables
    .map(({ title, rows }) => {
      if (!terminal) return formatTabs(rows.map((cells) => [title, ...cells]));
      return `\n${title}\n${formatTable({ head, rows, right }, true)}`;
    })
    .join('');
}

/** A line for each choice, and for the outcome. */
export function explain(result: TuneResult, goal: Goal, sample: SampleInfo): string[] {
  const lines = result.stages.map((stage) => explainStage(stage, sample));
  const percent = ((result.gain - 1) * 100).toFixed(1);
  const noise = (result.noise * 100).toFixed(0);
  const figure = `measured ${percent}% better in the goal '${goal}' than the defaults (rounds differ by ${noise}% either way)`;
  if (result.recommended) lines.push(`All of it together ${figure}.`);
  else if (result.candidate.name === 'defaults')
    lines.push('No choice was better than the defaults: they are recommended.');
  else lines.push(`All of it together ${figure}: too little, so the defaults are recommended.`);
  return lines;
}

function explainStage({ stage, answers, chosen, before }: StageResult, sample: SampleInfo): string {
  const others = answers.filter((answer) => answer !== chosen);
  const best = others.reduce((a, b) => (b.score > a.score ? b : a), others[0] ?? chosen);
  const runnerUp = `the next best, ${best.candidate.name}, ${best.score.toFixed(2)} in one try`;
  if (chosen === before) return `${stage.what}: as it was; nothing was more than 3% better (${runnerUp}).`;
  const { figures } = chosen;
  const changes = [
    `write ${times(figures.write / before.figures.write)}`,
    ...(stage.writesOnly
      ? []
      : [
          `get ${times(figures.get / before.figures.get)}`,
          `getMany ${times(figures.getMany / before.figures.getMany)}`,
          `scan ${times(figures.scan / before.figures.scan)}`,
        ]),
    `tables ${times(figures.diskBytes / before.figures.diskBytes)} (ratio ${(sample.bytes / figures.diskBytes).toFixed(2)})`,
  ];
  return `${stage.what}: ${chosen.candidate.name}, because ${changes.join(', ')} of what was there before; score ${chosen.score.toFixed(2)}, ${runnerUp}.`;
}

/** The options file: what `open({ config })` takes, and why. */
export function optionsFile(result: TuneResult, lines: readonly string[], where: string): string {
  const { options, batch } = result.candidate;
  const recommended: OpenOptions = result.recommended ? options : { preset: 'balanced' };
  const advice = result.recommended ? [`Write in batches of about ${batch} records.`] : [];
  return `${JSON.stringify({ $comment: [where, ...lines, ...advice], ...recommended }, undefined, 2)}\n`;
}
