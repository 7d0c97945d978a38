// What the examples of the doc comments take for granted: an open database, a topic, some values, a socket.

import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer } from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type Database, open, type Topic } from '../../lib/index.ts';

export interface Context {
  // biome-ignore lint/suspicious/noExplicitAny: examples write strings, numbers and objects to one database
  db: Database<string, any>;
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  topic: Topic<any>;
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  orders: Topic<any>;
  token: string;
  me: string;
  order: { total: number };
  one: string;
  two: string;
  first: Buffer;
  second: Buffer;
  readRecords(file: string): AsyncGenerator<[string, unknown]>;
  send(value: unknown): Promise<void>;
  retryLater(): void;
  lastSequence(): Promise<number>;
  keepSequence(sequence: number): Promise<void>;
  apply(operation: object): Promise<void>;
  socket: Writable;
  server: ReturnType<typeof createServer>;
  http: { createServer: typeof createHttpServer };
}

/** A context, and what the test does with it. */
export interface Prepared extends Context {
  /** Called when an example that follows the database for ever has been given something: ends it by closing. */
  stop(): void;
  end(): Promise<void>;
}

/** The names that an example may use; the values are of no use. */
export const contextNames: Record<keyof Context, true> = {
  ...{ db: true, topic: true, orders: true, token: true, me: true, order: true, one: true, two: true, first: true },
  ...{ second: true, readRecords: true, send: true, retryLater: true, lastSequence: true, keepSequence: true },
  ...{ apply: true, socket: true, server: true, http: true },
};

/** @param folder a new one; the example runs in it @param code to see what the example needs done before */
export async function prepare(folder: string, code: string): Promise<Prepared> {
  const has = (text: string) => code.includes(text);
  const location = path.join(folder, 'example-db');
  if (/topics\.(check|repair)\(/.test(code)) {
    const earlier = await open(location, { valueEncoding: 'json' });
    await earlier.topics.create('audit');
    await earlier.close();
  }
  const db = await open(location, {
    valueEncoding: 'json',
    memory: { hotCache: '1MB', blockCache: '4MB', writeBuffer: '4MB' },
    ...(has('changes') ? { changes: true } : {}),
    ...(has('tiers') ? { tiers: { cold: {} } } : {}),
  });
  let topic: Topic | undefined;
  let orders: Topic<unknown> | undefined;
  if (has('topic')) {
    topic = await db.topics.create('examples', { partitions: 1, valueEncoding: 'buffer' });
    await topic.append({ value: Buffer.from('m') });
    orders = await db.topics.create('orders');
  }
  if (has("topics.open('changes'")) await db.topics.from(db.changes());
  await db.batch(['a', 'balance', 'user/1', '2019/01'].map((key) => ({ type: 'put', key, value: '100' })));
  if (code.includes('shards.merge')) await db.shards.split(0);
  if (code.includes('shards.restore(')) await db.shards.snapshot([0, 1], path.join(folder, 'shards-0-and-1'));

  const opened: { close(): unknown }[] = [];
  const server = createServer();
  const http = {
    createServer: ((...given: Parameters<typeof createHttpServer>) => {
      const made: Server = createHttpServer(...given);
      opened.push(made);
      made.listen = (() => made) as never; // the port may be another program's
      return made;
    }) as typeof createHttpServer,
  };
  return {
    ...{ db, topic: topic as never, orders: orders as never, server, http },
    ...{
      token: 't',
      me: 'me',
      order: { total: 12 },
      one: '1',
      two: '2',
      first: Buffer.from('f'),
      second: Buffer.from('s'),
    },
    async *readRecords() {
      yield ['imported/1', 'one'];
      yield ['imported/2', 'two'];
    },
    async send() {},
    retryLater() {},
    lastSequence: async () => 0,
    async keepSequence() {},
    async apply() {},
    socket: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stop: () => void db.close(),
    async end() {
      for (const one of opened) one.close();
      await db.close();
    },
  };
}
