// Appends to a topic until it is killed, and reports through its standard output what was acknowledged:
//
//   a <partition> <offset> <n>   message n of the plain writer is there
//   p <partition> <n>            batch n of the idempotent producer is there
//
// argv: location, seed. The plain writer numbers its messages from what it is told on; the producer goes on behind the
// last sequence number that the topic knows, after repeating it.

import { writeSync } from 'node:fs';
import { open } from '../../../lib/index.ts';
import { Random } from '../random.ts';

const [location = '', seed = '1', first = '0'] = process.argv.slice(2);
const random = new Random(Number(seed));
const db = await open(location, { valueEncoding: 'utf8' });
const topic = await db.topics.open('t');
const partitions = topic.partitions;

/** The reader may be slow; a line fits into a pipe whole or not at all. */
async function report(line: string): Promise<void> {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

const padding = () => 'x'.repeat(random.below(random.below(20) === 0 ? 20_000 : 200));

let next = Number(first);
async function plain(): Promise<void> {
  for (;;) {
    const n = next++;
    const durability = random.below(10) === 0 ? 'fsync' : 'wal';
    const { partition, offset } = await topic.append({ value: `plain ${n} ${padding()}` }, { durability });
    await report(`a ${partition} ${offset} ${n}`);
  }
}

/** Every batch is sent twice now and then, as by one who has not heard of its acknowledgement. */
async function produce(partition: number): Promise<void> {
  const last = topic.lastSequence(7, partition);
  for (let n = last ?? 1; ; n++) {
    const messages = Array.from({ length: 1 + (n % 5) }, (_, i) => ({
      value: `batch ${n} ${i} ${'y'.repeat(n % 97)}`,
    }));
    const options = { partition, producer: { id: 7, sequence: n } };
    const positions = await topic.append(messages, options);
    if (random.below(4) === 0) {
      const again = await topic.append(messages, options);
      if (again[0]?.offset !== positions[0]?.offset) throw new Error(`batch ${n} was appended twice`);
    }
    await report(`p ${partition} ${n}`);
  }
}

await report('ready');
const tidy = async () => {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 10 + random.below(100)));
    await db.topics.tidy();
  }
};
void Promise.all([plain(), plain(), plain(), tidy(), ...Array.from({ length: partitions }, (_, i) => produce(i))]);
