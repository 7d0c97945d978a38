// A cache of a slow answer in a Fastify server: kept on disk, for a time, and made once however many ask at once.
// Run it from a checkout: node --import tsx examples/cache.ts [folder]
import { setTimeout as sleep } from 'node:timers/promises';
import fastify from 'fastify';
import { json, open } from '../lib/index.ts';

interface Answer {
  n: number;
  square: number;
}

const db = await open(process.argv[2] ?? 'cache-db', { valueEncoding: json<Answer>() });
await db.deleteRange({ prefix: 'square/' });
let made = 0;
const making = new Map<string, Promise<Answer>>();

/** Finds or makes what is under a key. */
async function cached(key: string, ttl: number, make: () => Promise<Answer>): Promise<[Answer, 'hit' | 'miss']> {
  const found = await db.get(key);
  if (found !== undefined) return [found, 'hit'];
  let pending = making.get(key);
  if (pending === undefined) {
    pending = make().then(async (answer) => {
      await db.put(key, answer, { ttl });
      return answer;
    });
    making.set(key, pending);
    pending.finally(() => making.delete(key)).catch(() => {});
  }
  return [await pending, 'miss'];
}

const server = fastify();
server.get<{ Params: { n: string } }>('/square/:n', async (request, reply) => {
  const n = Number(request.params.n);
  const [answer, cache] = await cached(`square/${n}`, 60_000, async () => {
    made++;
    await sleep(20); // something slow
    return { n, square: n * n };
  });
  return reply.header('x-cache', cache).send(answer);
});

const url = await server.listen({ port: 0, host: '127.0.0.1' });
const ask = async (n: number) => {
  const response = await fetch(`${url}/square/${n}`);
  return `${response.headers.get('x-cache')} ${await response.text()}`;
};
console.log(await ask(12));
console.log(await ask(12));
await Promise.all(Array.from({ length: 20 }, () => ask(13)));
console.log('made:', made);
await server.close();
await db.close();
