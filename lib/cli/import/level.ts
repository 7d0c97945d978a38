import { CliError } from '../errors.ts';
import { loadPeer } from './peer.ts';
import type { Records, Source } from './source.ts';

/** What is used of an abstract-level database, of version 1 (@nxtedition/rocksdb) and 3 (classic-level) alike. */
interface LevelDatabase {
  open(options: object): Promise<void>;
  iterator(options: object): { nextv(count: number): Promise<Records>; close(): Promise<void> };
  close(): Promise<void>;
}
type LevelClass = new (location: string, options: object) => LevelDatabase;

const chunk = 500;

/** Opens a LevelDB database with classic-level. */
export async function openClassicLevel(location: string): Promise<Source> {
  const { ClassicLevel } = await loadPeer<{ ClassicLevel: LevelClass }>('classic-level');
  return openLevel(ClassicLevel, location);
}

/** Opens a RocksDB database, whoever made it, with @nxtedition/rocksdb. */
export async function openRocksdb(location: string): Promise<Source> {
  const { RocksLevel } = await loadPeer<{ RocksLevel: LevelClass }>('@nxtedition/rocksdb');
  return openLevel(RocksLevel, location);
}

async function openLevel(Level: LevelClass, location: string): Promise<Source> {
  const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', createIfMissing: false };
  const level = new Level(location, options);
  try {
    await level.open(options);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(`cannot open ${location}: ${reason}`, { cause: error });
  }
  return {
    count: undefined,
    async *records(from) {
      const iterator = level.iterator(from === undefined ? {} : { gte: from });
      try {
        for (;;) {
          const records = await iterator.nextv(chunk);
          if (records.length === 0) return;
          yield records;
        }
      } finally {
        await iterator.close();
      }
    },
    close: () => level.close(),
  };
}
