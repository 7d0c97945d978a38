// Commits records together with messages, with a topic of changes beside, until it is killed. Prints `c <n>` once commit
// n is acknowledged.
//
// argv: location, seed, number of the first commit. Commit n puts commit/<n> and sends the message <n>.

import { writeSync } from 'node:fs';
import { open } from '../../../lib/index.ts';
import { Random } from '../random.ts';

const [location = '', seed = '1', first = '0'] = process.argv.slice(2);
const random = new Random(Number(seed));
const db = await open(location, { valueEncoding: 'utf8' });
const topic = await db.topics.open('out');
await db.topics.from(db.changes({ since: 0 }));
const lines: string[] = [];

/** The reader may be slow; a line fits into a pipe whole or not at all. */
function report(line: string): void {
  lines.push(line);
  try {
    for (let next = lines[0]; next !== undefined; next = lines[0]) {
      writeSync(1, `${next}\n`);
      lines.shift();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    setTimeout(() => report(lines.shift() as string), 1);
  }
}

let next = Number(first);
async function commit(): Promise<void> {
  for (;;) {
    const n = next++;
    const records = Array.from({ length: random.below(30) }, () => ({
      type: 'put' as const,
      key: `k${random.below(100)}`,
      value: 'x'.repeat(random.below(300)),
    }));
    await db.batch([{ type: 'put', key: `commit/${n}`, value: '' }, ...records], {
      durability: random.below(10) === 0 ? 'fsync' : 'wal',
      messages: [{ topic, partition: n % 2, value: `${n} ${'m'.repeat(random.below(500))}` }],
    });
    report(`c ${n}`);
    if (random.below(20) === 0) await db.deleteRange({ prefix: `k${random.below(10)}` });
  }
}

async function flush(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, random.below(150)));
    await db.flush();
  }
}

report('ready');
void Promise.all([commit(), commit(), commit(), flush()]);
