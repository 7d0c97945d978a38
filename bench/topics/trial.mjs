// One trial of the topics through the API, in a process of its own: a line of JSON on stdout.
//
//   node bench/topics/trial.mjs <dir> <append messages> <read MB>
//
// append: 100-byte Buffers in arrays of 1,000, eight appends outstanding, durability 'wal'.
// read: 1 KB messages, 1 MB at a time; every value is made (a view of the log) and its last byte looked at.

import { open } from '../../dist/esm/index.js';

const [dir, messages, megabytes] = process.argv.slice(2);
const BATCH = 1000;
const OUTSTANDING = 8;

const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const db = await open(dir);

async function append(topic, batch, count) {
  const waiting = [];
  for (let i = 0; i < count; i++) {
    waiting.push(topic.append(batch));
    if (waiting.length >= OUTSTANDING) await waiting.shift();
  }
  await Promise.all(waiting);
}

const small = await db.topics.create('small');
const smallBatch = Array.from({ length: BATCH }, (_, i) => ({ value: Buffer.alloc(100, i) }));
await append(small, smallBatch, 50);
const appendCount = Math.round(Number(messages) / BATCH);
const appendSeconds = await seconds(() => append(small, smallBatch, appendCount));

const large = await db.topics.create('large');
const largeBatch = Array.from({ length: 100 }, (_, i) => ({ value: Buffer.alloc(1024, i + 1) }));
await append(large, largeBatch, Math.round((Number(megabytes) * 1024) / 100));

async function read(make) {
  let offset = 0;
  let sum = 0;
  let count = 0;
  for (;;) {
    const batch = await large.read({ offset });
    if (batch.length === 0) break;
    for (const value of make(batch)) sum += value[1023];
    count += batch.length;
    offset = batch.nextOffset;
  }
  if (sum === 0) throw new Error('nothing was read');
  return count;
}

const values = (batch) => batch.values();
function* fromMessages(batch) {
  for (const message of batch) yield message.value;
}
await read(values);
let count = 0;
const valueSeconds = await seconds(async () => {
  count = await read(values);
});
const messageSeconds = await seconds(() => read(fromMessages));
await db.close();

const bytes = count * 1024;
console.log(
  JSON.stringify({
    appendPerSecond: (appendCount * BATCH) / appendSeconds,
    valuesGbPerSecond: bytes / valueSeconds / 1e9,
    messagesGbPerSecond: bytes / messageSeconds / 1e9,
  }),
);
