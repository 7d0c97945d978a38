import { statSync } from 'node:fs';
import { type Database, type OpenOptions, open } from '../index.ts';
import { CliError, codeOf } from './errors.ts';

/** A database as the commands that read it see it: keys and values are bytes, whatever they hold. */
export type BytesDatabase = Database<Buffer, Buffer>;

/** A database as the commands that write text see it. */
export type TextDatabase = Database<string, string>;

/** Opens an existing database for reading bytes, runs `use`, and closes it whatever happens. */
export function reading<T>(location: string, use: (db: BytesDatabase) => Promise<T>): Promise<T> {
  return writing(location, { readOnly: true, createIfMissing: false }, use);
}

/** Opens a database for reading and writing bytes, runs `use`, and closes it whatever happens. */
export async function writing<T>(
  location: string,
  options: OpenOptions,
  use: (db: BytesDatabase) => Promise<T>,
): Promise<T> {
  const db = await openWith(location, options, (all) => {
    return open(location, { ...all, keyEncoding: 'buffer', valueEncoding: 'buffer' });
  });
  try {
    return await use(db);
  } finally {
    await db.close();
  }
}

/** Opens a database with text keys and text values; the caller closes it. */
export function openText(location: string, options: OpenOptions): Promise<TextDatabase> {
  return openWith(location, options, (all) => open(location, { ...all, keyEncoding: 'utf8', valueEncoding: 'utf8' }));
}

/** Opens, and says what to do where the engine cannot know it. */
async function openWith<D>(
  location: string,
  options: OpenOptions,
  openIt: (options: OpenOptions) => Promise<D>,
): Promise<D> {
  if (statSync(location, { throwIfNoEntry: false })?.isFile()) {
    const message = `${location} is a file, and a database is a folder; the database is the first argument`;
    throw new CliError(message, { code: 'ERR_INVALID_ARGUMENT' });
  }
  try {
    return await openIt(options);
  } catch (error) {
    if (codeOf(error) === 'ERR_INVALID_ARGUMENT' && options.durability === undefined) {
      // A database without a log opens only for those who say so, and who types `get` cannot know.
      return openIt({ ...options, durability: 'none', createIfMissing: false }).catch(() => Promise.reject(error));
    }
    if (codeOf(error) !== 'ERR_NOT_FOUND') throw error;
    const message = `there is no database at ${location}; 'thermocline load' and 'thermocline put' create one`;
    throw new CliError(message, { code: 'ERR_NOT_FOUND', cause: error });
  }
}
