import { readdirSync, statSync } from 'node:fs';
import { CliError, usageError } from '../errors.ts';

/** The stores whose databases can be imported. */
export const kinds = ['lmdb', 'classic-level', 'rocksdb'] as const;
export type Kind = (typeof kinds)[number];

/**
 * Tells by its files which store made a database.
 *
 * @throws CliError if there is nothing, or nothing that is known
 */
export function kindOf(source: string): Kind {
  const found = statSync(source, { throwIfNoEntry: false });
  if (found === undefined) throw new CliError(`there is nothing at ${source}`, { code: 'ERR_NOT_FOUND' });
  // lmdb keeps a database in a single file too.
  const kind = found.isFile() ? 'lmdb' : kindOfFiles(readdirSync(source));
  if (kind === undefined) {
    throw usageError(`the files of ${source} do not tell which store made them; say --from ${kinds.join(', ')}`);
  }
  return kind;
}

/** @param names of the files in the folder */
export function kindOfFiles(names: readonly string[]): Kind | undefined {
  if (names.includes('data.mdb')) return 'lmdb';
  if (!names.includes('CURRENT')) return undefined;
  // Both descend from one design; these two files RocksDB alone writes.
  return names.some((name) => name === 'IDENTITY' || name.startsWith('OPTIONS-')) ? 'rocksdb' : 'classic-level';
}
