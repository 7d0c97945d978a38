// Modules of the Level ecosystem, unchanged, on ThermoclineLevel: level-read-stream and quadstore.

import assert from 'node:assert/strict';
import { EntryStream, KeyStream, ValueStream } from 'level-read-stream';
import { Quadstore } from 'quadstore';
import { DataFactory } from 'rdf-data-factory';
import { suite } from 'uvu';
import { ThermoclineLevel } from '../lib/level/index.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('level: modules');
const space = new Workspace();
test.after(() => space.clean());

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

test('level-read-stream streams entries, keys and values, of a sublevel too', async () => {
  const db = space.adopt(new ThermoclineLevel<string, number>(space.folder(), { valueEncoding: 'json' }));
  const numbers = Array.from({ length: 2500 }, (_, i) => i);
  const key = (i: number) => String(i).padStart(4, '0');
  await db.batch(numbers.map((i) => ({ type: 'put', key: key(i), value: i })));
  const entries = await collect(new EntryStream(db, { highWaterMark: 100 }));
  assert.deepEqual(
    entries,
    numbers.map((i) => ({ key: key(i), value: i })),
  );
  assert.deepEqual(await collect(new KeyStream(db, { gte: '1000', limit: 3 })), ['1000', '1001', '1002']);
  assert.deepEqual(await collect(new ValueStream(db, { reverse: true, limit: 2 })), [2499, 2498]);
  const sub = db.sublevel<string, number>('sub', { valueEncoding: 'json' });
  await sub.put('a', 1);
  assert.deepEqual(await collect(new EntryStream(sub as never)), [{ key: 'a', value: 1 }]);
});

test('quadstore keeps a graph, finds by pattern and in order, and finds it again when reopened', async () => {
  const location = space.folder();
  const factory = new DataFactory();
  const node = (name: string) => factory.namedNode(`ex://${name}`);
  const open = async () => {
    const store = new Quadstore({ backend: new ThermoclineLevel(location) as never, dataFactory: factory as never });
    await store.open();
    return store;
  };
  const store = await open();
  const quads = ['anna', 'bert', 'carl'].flatMap((name, i) => [
    factory.quad(node(name), node('knows'), node('dora'), node('g')),
    factory.quad(
      node(name),
      node('age'),
      factory.literal(String(30 + i), factory.namedNode('http://www.w3.org/2001/XMLSchema#integer')),
      node('g'),
    ),
  ]);
  await store.multiPut(quads as never);
  await store.del(quads[0] as never);
  const knows = await store.get({ predicate: node('knows') } as never);
  assert.deepEqual(knows.items.map((quad) => quad.subject.value).sort(), ['ex://bert', 'ex://carl']);
  const ages = await store.get({ predicate: node('age') } as never, { order: ['object'], reverse: true });
  assert.deepEqual(
    ages.items.map((quad) => quad.object.value),
    ['32', '31', '30'],
  );
  assert.ok((await store.getApproximateSize({ predicate: node('age') } as never)).approximateSize >= 0);
  await store.close();
  const again = await open();
  assert.equal((await again.get({})).items.length, 5);
  await again.close();
});

test.run();
