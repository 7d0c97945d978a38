// The everyday calls in one go. Run it from a checkout: node --import tsx examples/tour.ts [folder]
// In a program of your own the import is: import { open } from 'thermocline';
import { open } from '../lib/index.ts';

const db = await open(process.argv[2] ?? 'tour-db', { valueEncoding: 'json' });

await db.put('city/oslo', { people: 709_000 });
await db.batch([
  { type: 'put', key: 'city/bergen', value: { people: 289_000 } },
  { type: 'put', key: 'city/tromsø', value: { people: 77_000 } },
  { type: 'del', key: 'city/kristiania' },
]);

console.log('oslo:', await db.get('city/oslo'));
console.log('kristiania:', await db.get('city/kristiania'));
console.log('two at once:', await db.getMany(['city/bergen', 'city/tromsø']));

const before = await db.snapshot();
await db.put('city/oslo', { people: 710_000 });
console.log('the snapshot still reads:', await before.get('city/oslo'));
await before.close();

for await (const [key, value] of db.iterator({ prefix: 'city/', reverse: true })) console.log(key, value);

await db.close();
