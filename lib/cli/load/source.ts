import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import { usageError } from '../errors.ts';
import type { Reader } from './blocks.ts';
import { csvReader } from './csv.ts';
import { jsonLinesReader } from './jsonl.ts';
import { type KeyTemplate, keyColumn, parseKeyTemplate } from './template.ts';
import { wordnetReader } from './wordnet-files.ts';

/** What kind of files records are read from. */
export type Format = 'csv' | 'tsv' | 'jsonl' | 'wordnet';

/** How files become records, as commander hands it over. */
export interface SourceFlags {
  format?: Format;
  key?: string;
  keyTemplate?: string;
  value: string;
  columns?: string;
}

const formatsByEnding: Record<string, Format> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

/** Adds the options that say how files become records. */
export function addSourceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--format <format>', 'format of the files, otherwise told by their names: .csv, .tsv, .jsonl').choices(
        ['csv', 'tsv', 'jsonl', 'wordnet'],
      ),
    )
    .option('--key <column>', 'the column (JSON: the field) that is the key')
    .option('--key-template <text>', "the key made of columns, such as 'user/{id}'; {{ and }} are braces")
    .option('--value <what>', "'json' for the whole row, or a column that is the value", 'json')
    .option('--columns <names>', 'names of the columns, separated by commas, for a file without a header row');
}

/** The format that the names tell. @throws CliError (usage) if they tell none, or several */
export function formatOf(names: readonly string[]): Format {
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

/** @throws CliError (usage) if the flags do not fit the format */
export function readerFor(format: Format, flags: SourceFlags): Reader {
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

function keyFrom({ key, keyTemplate }: SourceFlags): KeyTemplate {
  if (key !== undefined && keyTemplate !== undefined) throw usageError('give --key or --key-template, not both');
  if (key !== undefined) return keyColumn(key);
  if (keyTemplate !== undefined) return parseKeyTemplate(keyTemplate);
  throw usageError("say what the key is made of: --key <column>, or --key-template such as 'user/{id}'");
}
