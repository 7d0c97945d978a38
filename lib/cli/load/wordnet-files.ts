import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CliError, fileError } from '../errors.ts';
import type { Reader } from './blocks.ts';
import { lineReader } from './lines.ts';
import { dataRow, indexRow, senseRow } from './wordnet.ts';

const posFile = /^(data|index)\.(noun|verb|adj|adv)$/;

/** The reader for WordNet's database files; a file's name says what is in it. */
export function wordnetReader(): Reader {
  const readers = { data: lineReader(dataRow), index: lineReader(indexRow), sense: lineReader(senseRow) };
  return (file, chunks) => readers[kindOf(file)](file, chunks);
}

function kindOf(file: string): 'data' | 'index' | 'sense' {
  const name = basename(file);
  if (name === 'index.sense') return 'sense';
  const kind = posFile.exec(name)?.[1];
  if (kind === 'data' || kind === 'index') return kind;
  throw new CliError(`${file} is no WordNet file; they are called data.noun, index.verb and so on, and index.sense`);
}

/**
 * The WordNet files among the names given; a folder stands for those inside it.
 *
 * @throws CliError when a file is something else, or a folder holds none
 */
export function wordnetFiles(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (!isFolder(name)) {
      kindOf(name);
      return [name];
    }
    const files = readdirSync(name).filter((file) => file === 'index.sense' || posFile.test(file));
    if (files.length === 0)
      throw new CliError(`${name} holds no WordNet files (data.noun, index.noun, index.sense...)`);
    return files.sort().map((file) => join(name, file));
  });
}

function isFolder(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch (error) {
    throw fileError(name, error);
  }
}
