// A program that ends in one of several ways while its database is in use: exit.ts <way> <location>

import { open } from '../../../lib/index.ts';

const [way, location] = process.argv.slice(2) as [string, string];
const db = await open(location, { valueEncoding: 'utf8', shards: 3 });

const ways: Record<string, () => Promise<void> | void> = {
  'an open database': () => {},
  'an unclosed iterator': async () => {
    const iterator = db.iterator();
    await iterator.next();
    await db.iterator({ reverse: true }).nextMany(3);
    db.keys();
  },
  'an unclosed snapshot': async () => {
    const snapshot = await db.snapshot();
    await snapshot.get('k1');
    await snapshot.iterator().next();
  },
  'writes that nobody awaits': () => {
    for (let i = 0; i < 5000; i++) void db.put(`late${i}`, String(i));
    void db.batch([{ type: 'put', key: 'late batch', value: 'b' }]);
  },
  'reads that nobody awaits': () => {
    for (let i = 0; i < 2000; i++) void db.get(`k${i}`);
    void db.getMany(['k1', 'k2']);
    void db.iterator().next();
  },
  'a close that nobody awaits': () => {
    void db.put('last', 'words');
    void db.close();
  },
  'process.exit amid writes': async () => {
    for (let i = 0; i < 3000; i++) await (i % 100 === 0 ? db.put(`k${i}`, 'x') : void db.put(`k${i}`, 'x'));
    const iterators = Array.from({ length: 50 }, () => db.iterator());
    for (const iterator of iterators) void iterator.next();
    for (let i = 0; i < 500; i++) void db.get(`missing${i}`);
    await db.put('acknowledged', 'yes');
    for (let i = 0; i < 3000; i++) void db.put(`after${i}`, 'x'.repeat(1000));
    process.exit(7);
  },
  'process.exit while databases open and close': async () => {
    const delay = Number(process.argv[4]);
    for (let i = 0; i < 4; i++) {
      void open(`${location}-${i}`).then((other) => other.close());
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
    process.exit(7);
  },
  'process.exit amid splits, compaction and backups': async () => {
    const delay = Number(process.argv[4]);
    const ignore = () => {};
    db.shards.split(0).catch(ignore);
    db.shards.snapshot(1, `${location}-shards`).catch(ignore);
    db.compact().catch(ignore);
    db.backup(`${location}-backups`).catch(ignore);
    for (let i = 0; i < 3; i++) void open(`${location}-${i}`, { tiers: { cold: {} } });
    await new Promise((resolve) => setTimeout(resolve, delay));
    process.exit(7);
  },
  'an uncaught exception': async () => {
    await db.put('acknowledged', 'yes');
    void db.iterator().next();
    throw new Error('uncaught');
  },
};

await db.putMany(Array.from({ length: 100 }, (_, i): [string, string] => [`k${i}`, String(i)]));
await ways[way]?.();
console.log('end of program');
