// RocksDB databases as another program writes them, and raw records under ours, by a RocksDB package for Node.

import { createRequire } from 'node:module';

interface Column {
  readonly column: unique symbol;
}
interface RocksLevel {
  readonly columns: Record<string, Column>;
  open(): Promise<void>;
  put(key: Buffer, value: Buffer): Promise<void>;
  get(key: Buffer): Promise<Buffer>;
  getMany(keys: Buffer[], options: { column: Column }): Promise<(Buffer | undefined)[]>;
  batch(operations: { type: 'put' | 'del'; key: Buffer; value?: Buffer; column?: Column }[]): Promise<void>;
  close(): Promise<void>;
}
type RocksLevelClass = new (location: string, options: object) => RocksLevel;

let loaded: RocksLevelClass | undefined;
try {
  loaded = createRequire(import.meta.url)('@nxtedition/rocksdb').RocksLevel;
} catch {
  // It has binaries for few systems.
}

/** Whether this system can make them. */
export const available: boolean = loaded !== undefined;

async function withRocks<R>(location: string, columns: string[], use: (db: RocksLevel) => Promise<R>): Promise<R> {
  const RocksLevel = loaded as RocksLevelClass;
  const named =
    columns.length === 0 ? {} : { columns: Object.fromEntries(['default', ...columns].map((name) => [name, {}])) };
  const db = new RocksLevel(location, {
    createIfMissing: true,
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    ...named,
  });
  await db.open();
  try {
    return await use(db);
  } finally {
    await db.close();
  }
}

const toBuffers = (records: Record<string, string>) =>
  Object.entries(records).map(([key, value]) => ({
    type: 'put' as const,
    key: Buffer.from(key),
    value: Buffer.from(value),
  }));

/** Makes a RocksDB database with these records. */
export function makeForeign(location: string, records: Record<string, string>): Promise<void> {
  return withRocks(location, [], (db) => db.batch(toBuffers(records)));
}

export function readForeign(location: string, key: string): Promise<string> {
  return withRocks(location, [], async (db) => (await db.get(Buffer.from(key))).toString());
}

/** Changes a record of the meta column family of a closed database of ours. */
export function changeMeta(
  location: string,
  shards: number,
  key: string,
  change: (value: Buffer) => Buffer | undefined,
): Promise<void> {
  const names = Array.from({ length: shards }, (_, i) => `shard_${i.toString(16).padStart(4, '0')}_00000000`);
  return withRocks(`${location}/hot`, ['meta', ...names], async (db) => {
    const column = db.columns.meta as Column;
    const [stored] = await db.getMany([Buffer.from(key)], { column });
    const value = change(stored ?? Buffer.alloc(0));
    const operation = { key: Buffer.from(key), column };
    await db.batch([value === undefined ? { ...operation, type: 'del' } : { ...operation, type: 'put', value }]);
  });
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** A meta record as docs/on-disk-format.md has it: the payload, then CRC-32C of key and payload. */
export function sealed(key: string, payload: Buffer): Buffer {
  let crc = 0xffffffff;
  for (const byte of Buffer.concat([Buffer.from(key), payload]))
    crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE((crc ^ 0xffffffff) >>> 0);
  return Buffer.concat([payload, checksum]);
}
