// Type tests: compiled by `npm run lint`, never run. What must not compile stands under @ts-expect-error, which itself is
// an error where nothing is wrong; what a call gives is compared exactly.

import type { Readable } from 'node:stream';
import {
  type Change,
  type Codec,
  changeCodec,
  type Database,
  type ErrorCode,
  json,
  open,
  type Snapshot,
  ThermoclineError,
  type Topic,
  tuples,
} from '../../lib/index.ts';
import { ThermoclineLevel } from '../../lib/level/index.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only if the value has exactly the type. */
function is<Expected>() {
  return <Actual>(_value: Actual, ..._same: Same<Actual, Expected> extends true ? [] : [never]): void => {};
}

interface City {
  people: number;
}
declare const dates: Codec<Date>;

export async function encodings(): Promise<void> {
  is<Database<string, Buffer>>()(await open('./db'));
  is<Database<string, string>>()(await open('./db', { valueEncoding: 'utf8' }));
  is<Database<string, unknown>>()(await open('./db', { valueEncoding: 'json' }));
  is<Database<string, City>>()(await open('./db', { valueEncoding: json<City>() }));
  is<Database<string, Date>>()(await open('./db', { valueEncoding: dates }));
  is<Database<Buffer, Buffer>>()(await open('./db', { keyEncoding: 'buffer' }));
  is<Database<[string, Date], Buffer>>()(await open('./db', { keyEncoding: tuples<[string, Date]>() }));
  // @ts-expect-error no such encoding
  await open('./db', { valueEncoding: 'xml' });
  // @ts-expect-error no such option
  await open('./db', { createIfMising: true });
  // @ts-expect-error a number of shards
  await open('./db', { shards: '4' });
  await open('./db', { memory: { hotCache: '64MB', blockCache: 2 ** 20 } });
  // @ts-expect-error durability has three levels
  await open('./db', { durability: 'perhaps' });
}

export async function reads(db: Database<string, City>): Promise<void> {
  is<City | undefined>()(await db.get('oslo'));
  is<City | undefined>()(db.getSync('oslo'));
  is<(City | undefined)[]>()(await db.getMany(['oslo', 'bergen']));
  is<boolean[]>()(await db.hasMany(['oslo']));
  is<Snapshot<string, City>>()(await db.snapshot());
  is<Readable>()(db.createReadStream());
  for await (const record of db.iterator()) is<[string, City]>()(record);
  for await (const key of db.keys()) is<string>()(key);
  for await (const value of db.values()) is<City>()(value);
  is<[string, City] | undefined>()(await db.iterator().next());
  is<string[]>()(await db.keys().nextMany(10));
  // @ts-expect-error keys are strings
  await db.get(5);
  // @ts-expect-error bounds are keys
  db.iterator({ gte: Buffer.from('a') });
  // @ts-expect-error not a name of a range
  db.iterator({ from: 'a' });
  // @ts-expect-error a snapshot of keys of another type
  await db.get('oslo', { snapshot: {} as Snapshot<Buffer, City> });
}

export async function writes(db: Database<string, City>): Promise<void> {
  is<void>()(await db.put('oslo', { people: 1 }, { ttl: 1000, durability: 'fsync' }));
  is<boolean>()(await db.putIf('oslo', { people: 1 }, { absent: true }));
  is<number>()(await db.putMany([['oslo', { people: 1 }]]));
  is<number>()(await db.transaction(async (tx) => (await tx.get('oslo'))?.people ?? 0));
  await db.batch([
    { type: 'put', key: 'oslo', value: { people: 1 }, ttl: 5 },
    { type: 'del', key: 'bergen' },
  ]);
  // @ts-expect-error a city has people
  await db.put('oslo', {});
  // @ts-expect-error a put has a value
  await db.batch([{ type: 'put', key: 'oslo' }]);
  // @ts-expect-error ttl belongs to what is put
  await db.batch([{ type: 'del', key: 'oslo', ttl: 5 }]);
  // @ts-expect-error ttl is a number of milliseconds
  await db.put('oslo', { people: 1 }, { ttl: '5s' });
  // @ts-expect-error a condition is one of the two
  await db.putIf('oslo', { people: 1 }, { present: true });
  // @ts-expect-error each stage has a promise of its own
  db.commit([], { durability: 'fsync' });
}

export async function compositeKeys(db: Database<[customer: string, at: Date], Buffer>): Promise<void> {
  await db.put(['kari', new Date(0)], Buffer.from('x'));
  db.iterator({ prefix: ['kari'] });
  // @ts-expect-error the second element is a Date
  await db.put(['kari', 5], Buffer.from('x'));
  // @ts-expect-error an element is missing
  await db.get(['kari']);
  // @ts-expect-error a prefix is a beginning
  db.iterator({ prefix: [new Date(0)] });
}

export async function feedsAndTopics(db: Database<string, City>): Promise<void> {
  for await (const change of db.changes({ since: 0 })) is<Change<string, City>>()(change);
  const topic = await db.topics.create('cities', { valueEncoding: json<City>() });
  is<Topic<City, string>>()(topic);
  is<number>()((await topic.append({ value: { people: 1 } })).offset);
  for await (const batch of topic.consumer()) for (const { value } of batch) is<City>()(value);
  is<Codec<Change<string, unknown>>>()(changeCodec({ valueEncoding: 'json' }));
  // @ts-expect-error a city has people
  await topic.append({ value: 5 });
  // @ts-expect-error a sequence is a number
  db.changes({ since: 'yesterday' });
}

export async function level(): Promise<void> {
  const level = new ThermoclineLevel<string, City>('./level', { valueEncoding: 'json', cacheSize: 2 ** 20 });
  is<City | undefined>()(await level.get('oslo'));
  await level.put('oslo', { people: 1 }, { sync: true, ttl: 1000 });
  // @ts-expect-error a city has people
  await level.put('oslo', 'many');
}

export function errors(error: unknown): ErrorCode | undefined {
  if (!(error instanceof ThermoclineError)) return undefined;
  is<ErrorCode>()(error.code);
  // @ts-expect-error no such code
  if (error.code === 'ERR_OOPS') return undefined;
  return error.code;
}
