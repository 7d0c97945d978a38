import { existsSync } from 'node:fs';
import { inspect } from 'node:util';
import { CliError } from '../errors.ts';
import { loadPeer } from './peer.ts';
import type { Records, Source, SourceOptions } from './source.ts';

/** What is used of a database of the lmdb package. */
interface LmdbDatabase {
  openDB(options: object): LmdbDatabase | undefined;
  getStats(): { entryCount?: number };
  getRange(options: object): Iterable<{ key: unknown; value: unknown }>;
  close(): Promise<void>;
}

const chunk = 500;

/** Opens an LMDB database with the lmdb package, read-only. @throws CliError */
export async function openLmdb(location: string, { name, decode = false }: SourceOptions): Promise<Source> {
  if (!existsSync(location)) throw new CliError(`there is nothing at ${location}`, { code: 'ERR_NOT_FOUND' });
  const lmdb = await loadPeer<{ open(options: object): LmdbDatabase }>('lmdb');
  const encodings = decode ? {} : { keyEncoding: 'binary', encoding: 'binary' };
  let root: LmdbDatabase;
  let db: LmdbDatabase | undefined;
  try {
    root = lmdb.open({ path: location, readOnly: true, ...encodings });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`cannot open ${location}: ${reason}`, { cause: error });
  }
  try {
    db = name === undefined ? root : root.openDB({ name, ...encodings });
  } catch {
    db = undefined; // as where it is missing
  }
  if (db === undefined) {
    await root.close();
    throw new CliError(`there is no database named ${name} in ${location}`, { code: 'ERR_NOT_FOUND' });
  }
  const source = db;
  return {
    count: source.getStats().entryCount,
    async *records(from) {
      let records: Records = [];
      for (const { key, value } of source.getRange(from === undefined ? {} : { start: from })) {
        records.push(decode ? [keyBytes(key), valueBytes(key, value)] : [key as Buffer, value as Buffer]);
        if (records.length < chunk) continue;
        yield records;
        records = [];
      }
      if (records.length > 0) yield records;
    },
    close: () => root.close(),
  };
}

/** Text as UTF-8, bytes as they are; what else the lmdb package takes for a key has no place in a database of text keys. */
function keyBytes(key: unknown): Buffer {
  if (typeof key === 'string') return Buffer.from(key);
  if (key instanceof Uint8Array) return Buffer.from(key);
  throw new CliError(`the key ${inspect(key)} is not text; import without --decode to copy keys as they are stored`);
}

function valueBytes(key: unknown, value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A bigint, or a cycle.
  }
  if (text === undefined) {
    throw new CliError(`the value of ${inspect(key)} is nothing that JSON can hold; import without --decode`);
  }
  return Buffer.from(text);
}
