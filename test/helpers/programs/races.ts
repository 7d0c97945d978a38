// Endings that meet on several threads at once, again and again: races.ts <race> <location> <rounds>
// Run with --expose-gc. A crash is what it looks for; it prints "done" if there was none.

import { type Database, open } from '../../../lib/index.ts';

const [race, location, rounds] = process.argv.slice(2) as [string, string, string];
const gc = (globalThis as unknown as { gc(): void }).gc;

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

const races: Record<string, (db: Database, round: number) => Promise<void>> = {
  'iterators and their database are closed at once': async (db) => {
    const iterators = Array.from({ length: 40 }, () => db.iterator());
    await Promise.all(iterators.map((iterator) => iterator.next()));
    await Promise.all([...iterators.map((iterator) => iterator.close()), db.close()]);
  },
  'iterators are closed while their first records are on the way': async (db) => {
    const iterators = Array.from({ length: 40 }, () => db.iterator());
    const reads = iterators.map((iterator) => iterator.nextMany(500).catch(() => []));
    await Promise.all([...iterators.map((iterator) => iterator.close()), ...reads]);
    await db.close();
  },
  'the garbage collector takes iterators and snapshots while the database closes': async (db, round) => {
    for (let i = 0; i < 3; i++) {
      await Promise.all(Array.from({ length: 40 }, () => db.iterator().next()));
      await Promise.all(Array.from({ length: 40 }, () => db.snapshot()));
    }
    const closing = db.close();
    busy(round % 8);
    gc();
    await closing;
  },
  'the garbage collector takes iterators amid their reading': async (db) => {
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 10; j++)
        void db
          .iterator()
          .nextMany(100)
          .catch(() => {});
      gc();
      await db.get(`k${i}`);
    }
    await db.close();
  },
  'the garbage collector takes a database that nobody closed': async (db, round) => {
    void db.put(`dropped${round}`, Buffer.from('x'));
    await db.iterator().next();
    // Forgotten here; the next round opens the folder again.
  },
  'snapshots are closed while they are read': async (db) => {
    for (let i = 0; i < 20; i++) {
      const snapshot = await db.snapshot();
      const reads = [snapshot.get(`k${i}`), snapshot.getMany(['k1', 'k2']), snapshot.iterator().nextMany(50)];
      const closed = snapshot.close();
      await Promise.all([...reads, closed]);
    }
    const snapshot = await db.snapshot();
    const read = snapshot.getMany(['k1']).catch(() => []);
    await Promise.all([db.close(), snapshot.close(), read]);
  },
};

const run = races[race];
if (run === undefined) throw new Error(`no race '${race}'`);
for (let round = 0; round < Number(rounds); round++) {
  const db = await open(location, { shards: 48 });
  if (round === 0) {
    await db.putMany(Array.from({ length: 3000 }, (_, i): [string, Buffer] => [`k${i}`, Buffer.alloc(20)]));
    await db.flush();
  }
  await run(db, round);
  if (round % 4 === 3) gc();
}
console.log('done');
