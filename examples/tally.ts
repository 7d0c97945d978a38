// Counts the words of standard input, more of them than fit in memory if need be, and prints the first in the alphabet.
// Run it from a checkout: node --import tsx examples/tally.ts [folder] < README.md
import { createInterface } from 'node:readline';
import { open } from '../lib/index.ts';

await using db = await open(process.argv[2] ?? 'tally-db', { valueEncoding: 'json' });
await db.deleteRange({ prefix: 'word/' });

for await (const line of createInterface(process.stdin)) {
  const keys = [...line.toLowerCase().matchAll(/\p{L}+/gu)].map(([word]) => `word/${word}`);
  const distinct = [...new Set(keys)];
  const counts = (await db.getMany(distinct)) as (number | undefined)[];
  const added = (key: string) => keys.filter((other) => other === key).length;
  await db.batch(distinct.map((key, i) => ({ type: 'put', key, value: (counts[i] ?? 0) + added(key) })));
}

for await (const [key, count] of db.iterator({ prefix: 'word/', limit: 10 })) {
  console.log(`${key.slice('word/'.length)}\t${count}`);
}
