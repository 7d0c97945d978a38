import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { suite } from 'uvu';
import { destroy, type MessageBatch, open, type Topic } from '../lib/index.ts';
import { rejects, throws } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('topics: messages');
const space = new Workspace();
test.after(() => space.clean());

const texts = (batch: MessageBatch<string>) => [...batch].map(({ value }) => value);

/** Everything from an offset on, read by read. */
async function readAll(topic: Topic<string>, offset = 0): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const batch = await topic.read({ offset });
    if (batch.length === 0) return all;
    all.push(...texts(batch));
    offset = batch.nextOffset;
  }
}

async function topicOf(settings = {}): Promise<Topic<string>> {
  const db = await space.open();
  return db.topics.create('t', settings);
}

test('a topic is created, listed, opened, deleted', async () => {
  const db = await space.open();
  assert.deepEqual(await db.topics.list(), []);
  const topic = await db.topics.create('orders', { partitions: 3 });
  assert.equal(topic.name, 'orders');
  assert.equal(topic.partitions, 3);
  await db.topics.create('audit');
  assert.deepEqual(await db.topics.list(), ['audit', 'orders']);
  await rejects(db.topics.create('orders'), 'ERR_INVALID_ARGUMENT', /exists already/);
  await rejects(db.topics.open('none'), 'ERR_NOT_FOUND', /there is no topic 'none'/);
  await db.topics.delete('orders');
  await rejects(db.topics.delete('orders'), 'ERR_NOT_FOUND');
  await rejects(topic.append({ value: 'x' }), 'ERR_NOT_FOUND');
  assert.deepEqual(await db.topics.list(), ['audit']);
});

test('messages come back as they were appended, with what belongs to them', async () => {
  const topic = await topicOf();
  const before = Date.now();
  const position = await topic.append({ value: 'plain' });
  assert.deepEqual(position, { partition: 0, offset: 0 });
  const positions = await topic.append([
    {
      value: 'äöü€😀',
      key: 'k😀',
      id: 'id-1',
      headers: { type: 'a', raw: Buffer.from([0, 255]), '': '' },
      timestamp: 5,
    },
    { value: '', key: '' },
    { value: 'x'.repeat(300_000) },
  ]);
  assert.deepEqual(
    positions,
    [1, 2, 3].map((offset) => ({ partition: 0, offset })),
  );
  const batch = await topic.read();
  const [plain, full, empty, long] = batch.toArray();
  assert.equal(batch.length, 4);
  assert.equal(batch.nextOffset, 4);
  assert.equal(batch.endOffset, 4);
  assert.equal(plain?.value, 'plain');
  assert.equal(plain?.key, undefined);
  assert.equal(plain?.headers, undefined);
  assert.ok((plain?.timestamp as number) >= before && (plain?.timestamp as number) <= Date.now());
  assert.equal(full?.value, 'äöü€😀');
  assert.equal(full?.key, 'k😀');
  assert.equal(full?.id, 'id-1');
  assert.equal(full?.timestamp, 5);
  assert.deepEqual(full?.headers, { type: Buffer.from('a'), raw: Buffer.from([0, 255]), '': Buffer.alloc(0) });
  assert.equal(empty?.value, '');
  assert.equal(empty?.key, '');
  assert.ok((empty?.timestamp as number) >= before, 'a message without a time has that of its append');
  assert.equal(long?.value.length, 300_000);
  assert.deepEqual(
    [...batch.values()],
    batch.toArray().map(({ value }) => value),
  );
});

test('values are encoded as the database does, or as the topic is told', async () => {
  const db = space.adopt(await open(space.folder()));
  const bytes = await db.topics.create('bytes');
  await bytes.append({ value: Buffer.from([1, 2]) });
  assert.deepEqual([...(await bytes.read())][0]?.value, Buffer.from([1, 2]));
  const objects = await db.topics.create('objects', { valueEncoding: 'json', keyEncoding: 'buffer' });
  await objects.append({ key: Buffer.from([255]), value: { a: [1] } });
  const [message] = await objects.read();
  assert.deepEqual(message?.value, { a: [1] });
  assert.deepEqual(message?.key, Buffer.from([255]));
});

test('the appends of one turn are one batch, and each learns its own places', async () => {
  const topic = await topicOf();
  const appends = Array.from({ length: 100 }, (_, i) => topic.append({ value: `${i}` }));
  const pair = topic.append([{ value: 'a' }, { value: 'b' }]);
  assert.deepEqual(
    (await Promise.all(appends)).map(({ offset }) => offset),
    appends.map((_, i) => i),
  );
  assert.deepEqual(
    (await pair).map(({ offset }) => offset),
    [100, 101],
  );
  assert.equal(topic.stats().messages, 102);
  // A header of 72 bytes once, not a hundred times.
  assert.ok(topic.stats().bytes < 72 + 102 * 5, `${topic.stats().bytes} bytes`);
  assert.deepEqual(texts(await topic.read({ offset: 98 })), ['98', '99', 'a', 'b']);
});

test('messages of the same key go to one partition, in order; others take turns', async () => {
  const topic = await topicOf({ partitions: 4 });
  const positions = await topic.append(Array.from({ length: 200 }, (_, i) => ({ key: `k${i % 10}`, value: `${i}` })));
  const partitionOf = new Map<string, number>();
  const seen: string[][] = [[], [], [], []];
  positions.forEach(({ partition, offset }, i) => {
    assert.equal(partitionOf.get(`k${i % 10}`) ?? partition, partition);
    partitionOf.set(`k${i % 10}`, partition);
    assert.equal(seen[partition]?.push(`${i}`), offset + 1);
  });
  assert.ok(new Set(partitionOf.values()).size > 1);
  for (const [partition, expected] of seen.entries())
    assert.deepEqual(texts(await topic.read({ partition })), expected);
  const turns = [];
  for (let i = 0; i < 4; i++) turns.push((await topic.append({ value: 'x' })).partition);
  assert.deepEqual(turns.sort(), [0, 1, 2, 3]);
  assert.equal((await topic.append({ value: 'x' }, { partition: 2 })).partition, 2);
  const keyed = await topic.append([{ value: 'x' }, { value: 'y' }], { key: 'k3' });
  assert.deepEqual(
    keyed.map(({ partition }) => partition),
    Array(2).fill(partitionOf.get('k3')),
  );
});

test('reading begins at an offset or a time and stops at a size', async () => {
  const topic = await topicOf({ segment: { messages: 10 } });
  for (let i = 0; i < 50; i++) await topic.append({ value: `${i}`, timestamp: 1000 + 10 * i });
  assert.equal((await topic.read({ offset: 37 })).firstOffset, 37);
  assert.equal((await topic.read({ timestamp: 1234 })).firstOffset, 24);
  assert.equal((await topic.read({ timestamp: 0 })).firstOffset, 0);
  assert.equal((await topic.read({ timestamp: 99_999 })).length, 0);
  assert.equal((await topic.read({ offset: 1000 })).length, 0);
  assert.equal((await topic.read({ maxBytes: 1 })).length, 1);
  const all: string[] = [];
  for (let offset = 0; ; ) {
    const batch = await topic.read({ offset, maxBytes: 10 });
    if (batch.length === 0) break;
    all.push(...texts(batch));
    offset = batch.nextOffset;
  }
  assert.deepEqual(
    all,
    Array.from({ length: 50 }, (_, i) => `${i}`),
  );
});

test('a Buffer that was read may be written to, and nobody else sees it', async () => {
  const db = space.adopt(await open(space.folder()));
  const topic = await db.topics.create('t', { segment: { messages: 1 } });
  const value = Buffer.alloc(100_000, 7);
  await topic.append({ value });
  await topic.append({ value });
  const [mine] = await topic.read();
  mine?.value.fill(9);
  const [theirs] = await topic.read();
  assert.deepEqual(theirs?.value, value);
  // The segment is deleted and the database closed, and what was read is still there.
  await topic.deleteBefore({ offset: 1 });
  assert.equal(topic.stats().partitions[0]?.startOffset, 1);
  await db.close();
  assert.deepEqual(theirs?.value, value);
  assert.ok(mine?.value.every((byte) => byte === 9));
});

test('every compression gives back what was appended, and makes it smaller', async () => {
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd', { codec: 'zstd', level: 9 }] as const) {
    const topic = await topicOf({ compression, segment: { bytes: 8192 } });
    const values = Array.from({ length: 1000 }, (_, i) => `a message that resembles the others, number ${i}`);
    for (let i = 0; i < 1000; i += 100) await topic.append(values.slice(i, i + 100).map((value) => ({ value })));
    assert.ok(topic.stats().bytes < 25_000, `${JSON.stringify(compression)}: ${topic.stats().bytes}`);
    assert.deepEqual(await readAll(topic), values);
    assert.deepEqual(topic.settings.compression, compression);
  }
});

test('an append that is repeated is written once', async () => {
  const topic = await topicOf({ partitions: 2 });
  const producer = { id: 9, sequence: 1 };
  assert.equal(topic.lastSequence(9, 1), undefined);
  const first = await topic.append([{ value: 'a' }, { value: 'b' }], { partition: 1, producer });
  const again = await topic.append([{ value: 'a' }, { value: 'b' }], { partition: 1, producer });
  assert.deepEqual(again, first);
  assert.equal(topic.lastSequence(9, 1), 1);
  assert.equal(topic.lastSequence(9, 0), undefined);
  assert.equal(topic.stats().messages, 2);
  for (let sequence = 2; sequence < 20; sequence++) {
    await topic.append({ value: 'c' }, { partition: 1, producer: { id: 9, sequence } });
  }
  await rejects(topic.append({ value: 'a' }, { partition: 1, producer }), 'ERR_CONFLICT');
  await rejects(topic.append({ value: 'a' }, { producer }), 'ERR_INVALID_ARGUMENT', /needs a partition/);
});

test('partitions are added and settings changed while the topic is in use', async () => {
  const topic = await topicOf();
  await topic.append({ value: 'x' });
  await topic.configure({ partitions: 3, retention: { bytes: '1MB' }, compression: 'lz4' });
  assert.equal(topic.partitions, 3);
  assert.equal(topic.settings.retention.bytes, 1024 * 1024);
  assert.equal(topic.settings.segment.bytes, 128 * 1024 * 1024, 'what is not given stays');
  assert.equal((await topic.append({ value: 'y' }, { partition: 2 })).offset, 0);
  await rejects(topic.configure({ partitions: 2 }), 'ERR_INVALID_ARGUMENT', /only grow/);
});

test('everything is there after reopening, and what retention gives up is gone', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const topic = await db.topics.create('t', { segment: { messages: 10 }, retention: { ms: 1000 } });
  for (let i = 0; i < 35; i++) await topic.append({ value: `${i}`, timestamp: i < 20 ? 1 : Date.now() + 60_000 });
  await db.topics.tidy();
  assert.equal(topic.stats().partitions[0]?.startOffset, 20);
  await db.close();
  await rejects(topic.append({ value: 'x' }), 'ERR_CLOSED');
  throws(() => topic.consumer(), 'ERR_CLOSED');
  const again = await space.open({ readOnly: true }, location);
  const reopened = await again.topics.open('t');
  assert.deepEqual(
    await readAll(reopened),
    Array.from({ length: 15 }, (_, i) => `${i + 20}`),
  );
  await rejects(reopened.append({ value: 'x' }), 'ERR_READ_ONLY');
  await rejects(again.topics.create('u'), 'ERR_READ_ONLY');
  await again.close();
  await destroy(location);
  assert.throws(() => readdirSync(location), /ENOENT/);
});

test('damage is named, can be passed, found by a check and put right by a repair', async () => {
  const location = space.folder();
  const db = await space.open({}, location);
  const topic = await db.topics.create('t', { segment: { messages: 10 } });
  for (let i = 0; i < 35; i++) await topic.append({ value: `message ${i}` });
  await rejects(db.topics.check('t'), 'ERR_LOCKED');
  await db.close();
  const folder = path.join(location, 'topics/t/0');
  const file = path.join(folder, '00000000000000000010.log');
  const bytes = readFileSync(file);
  const batchBytes = bytes.length / 10;
  bytes[batchBytes * 4 + 75] = (bytes[batchBytes * 4 + 75] as number) ^ 1;
  writeFileSync(file, bytes);

  const damaged = await space.open({}, location);
  const report = await damaged.topics.check('t');
  assert.deepEqual(report.problems, [{ path: file, position: batchBytes * 4, offset: 14, what: 'damaged' }]);
  assert.equal(report.messages, 34);
  const reader = await damaged.topics.open('t');
  assert.equal((await reader.read()).nextOffset, 10);
  assert.equal((await reader.read({ offset: 10 })).nextOffset, 14);
  await rejects(reader.read({ offset: 14 }), 'ERR_CORRUPTION', /0010\.log is damaged at byte \d+, where offset 14/);
  const passed = await reader.read({ offset: 14, pastDamage: true });
  assert.equal(passed.firstOffset, 15);
  assert.deepEqual(passed.lost, [{ segment: file, position: batchBytes * 4, fromOffset: 14, toOffset: 15 }]);
  await rejects(damaged.topics.repair('t'), 'ERR_LOCKED');
  await damaged.close();

  const repairing = await space.open({}, location);
  const repaired = await repairing.topics.repair('t');
  assert.deepEqual(repaired, { rewrittenSegments: 1, lostMessages: 1, cutBytes: 0, deletedIndexes: 1 });
  const after = await repairing.topics.check('t');
  assert.deepEqual(after.problems, []);
  assert.equal(after.lostMessages, 1);
  const rewritten = await repairing.topics.repair('t', { rewrite: true, compression: 'zstd' });
  assert.equal(rewritten.rewrittenSegments, 4);
  const whole = await repairing.topics.open('t');
  const all: number[] = [];
  for (let offset = 0; offset < 35; ) {
    const batch = await whole.read({ offset });
    for (const message of batch) {
      assert.equal(message.value, `message ${message.offset}`);
      all.push(message.offset);
    }
    offset = batch.nextOffset;
  }
  assert.deepEqual(
    all,
    Array.from({ length: 35 }, (_, i) => i).filter((i) => i !== 14),
  );
});

test('what the topics do is counted', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t', { segment: { messages: 10 } });
  for (let i = 0; i < 25; i++) await topic.append({ value: 'x' }, { partition: 0, producer: { id: 1, sequence: i } });
  await topic.append({ value: 'x' }, { partition: 0, producer: { id: 1, sequence: 24 } });
  await topic.append({ value: 'x' }, { durability: 'fsync' });
  await topic.read({ offset: 20 });
  const { storedBytes, groupWrites, indexProbes, walkedBytes, fsyncs, ...rest } = db.topics.stats();
  assert.equal(storedBytes, topic.stats().bytes);
  assert.equal(groupWrites, 26);
  assert.ok(fsyncs >= 3, 'two full segments and the one that is written');
  assert.ok(indexProbes <= 2 && walkedBytes === 0, 'the first batch of a segment has an entry');
  assert.deepEqual(rest, {
    appendedMessages: 26,
    appendedBatches: 26,
    appendedBytes: 26 * 3,
    repeatedBatches: 1,
    readMessages: 6,
    readBytes: 18,
    rolledSegments: 2,
    deletedSegments: 0,
    lookups: 1,
    rebuiltIndexes: 0,
    waitingCommits: 0,
  });
});

test('batches go to a socket as they are stored', async () => {
  const topic = await topicOf();
  for (let i = 0; i < 20; i++) await topic.append({ value: 'z'.repeat(10_000) });
  const received: Buffer[] = [];
  const server = createServer((socket) => socket.on('data', (data) => received.push(data)));
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const client: Socket = connect((server.address() as { port: number }).port);
  await new Promise((resolve) => client.once('connect', resolve));
  const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
  const { bytes, nextOffset } = await topic.send(fd, { offset: 5, maxBytes: 50_000 });
  assert.equal(nextOffset, 9);
  client.end();
  await new Promise((resolve) => client.once('close', resolve));
  await new Promise((resolve) => server.close(resolve));
  const all = Buffer.concat(received);
  assert.equal(all.length, bytes);
  assert.equal(all.subarray(0, 4).toString(), 'TCLB');
  assert.equal(all.readBigUInt64LE(8), 5n);
});

test('a socket that is closed meanwhile is sent to all the same, and nothing else that takes its number', async () => {
  const db = await space.open();
  const topic = await db.topics.create('t', { segment: { bytes: 64 << 20 } });
  const value = 'x'.repeat(1 << 20);
  for (let i = 0; i < 24; i++) await topic.append({ value });
  const received: Buffer[] = [];
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client: Socket = connect((server.address() as { port: number }).port);
  await new Promise((resolve) => client.once('connect', resolve));
  const peer = await connected; // which reads nothing as long as nobody listens for data
  const ended = new Promise((resolve) => peer.once('end', resolve));
  const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
  // More than sockets hold, to a peer that does not read yet: it cannot end before the descriptor is closed.
  const sending = topic.send(fd, { offset: 0, maxBytes: 32 << 20 });
  client.destroy();
  await new Promise((resolve) => client.once('close', resolve));
  // One of them takes the number.
  const folder = space.folder();
  mkdirSync(folder);
  const files = Array.from({ length: 64 }, (_, i) => path.join(folder, `${i}`));
  const descriptors = files.map((file) => openSync(file, 'w'));
  peer.on('data', (data: Buffer) => received.push(data));
  const { bytes, nextOffset } = await sending;
  for (const descriptor of descriptors) closeSync(descriptor);
  await ended;
  await new Promise((resolve) => server.close(resolve));
  assert.equal(nextOffset, 24);
  assert.equal(Buffer.concat(received).length, bytes);
  for (const file of files) assert.equal(statSync(file).size, 0);
});

test('a topic that nobody holds is freed while its database is open; what it had accepted is appended', async () => {
  const db = await space.open();
  await db.topics.create('t');
  const dropped = await Promise.all(Array.from({ length: 50 }, async () => new WeakRef(await db.topics.open('t'))));
  const appended = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const topic = await db.topics.open('t');
      await topic.append({ value: `${i}` });
      return new WeakRef(topic);
    }),
  );
  const left = () => [...dropped, ...appended].filter((each) => each.deref() !== undefined).length;
  for (let turn = 0; turn < 200 && left() > 0; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
  }
  assert.ok(globalThis.gc === undefined || left() === 0, `${left()} are left`);
  const topic = await db.topics.open('t');
  assert.equal((await readAll(topic)).length, 50);
  // Sent by the close alone, since the turn does not end before it.
  const last = topic.append({ value: 'last' });
  await db.close();
  assert.equal((await last).offset, 50);
});

test('bad arguments are refused before anything is appended', async () => {
  const db = await space.open();
  for (const name of ['', 'a/b', '..', 'ä', 'x'.repeat(201), 7 as never]) {
    await rejects(db.topics.create(name), 'ERR_INVALID_ARGUMENT');
  }
  const bad = (settings: object) => rejects(db.topics.create('t', settings as never), 'ERR_INVALID_ARGUMENT');
  await bad({ partitions: 0 });
  await bad({ partitions: 1.5 });
  await bad({ compression: 'rar' });
  await bad({ compression: { codec: 'gzip', level: 99 } });
  await bad({ segment: { bytes: 100 } });
  await bad({ segment: { size: 100 } });
  await bad({ retention: { ms: -1 } });
  await bad({ replicas: 3 });
  const topic = await db.topics.create('t');
  const refuse = (message: object, options?: object) =>
    rejects(topic.append(message as never, options as never), 'ERR_INVALID_ARGUMENT');
  await refuse({ value: 7 });
  await refuse({ key: 'k' });
  await refuse({ value: 'x', extra: 1 });
  await refuse({ value: '\ud800' });
  await refuse({ value: 'x', timestamp: -1 });
  await refuse({ value: 'x', headers: { a: 1 } });
  await refuse({ value: 'x' }, { partition: 1 });
  await refuse({ value: 'x' }, { partition: -1 });
  await refuse({ value: 'x' }, { durability: 'none' });
  await refuse([{ value: 'good' }, { value: 7 }]);
  assert.equal(topic.stats().messages, 0);
  await rejects(topic.read({ partition: 1 }), 'ERR_INVALID_ARGUMENT', /no partition 1/);
  await rejects(topic.read({ offset: 1, timestamp: 1 }), 'ERR_INVALID_ARGUMENT');
  throws(() => topic.consumer({ from: 'middle' as never }), 'ERR_INVALID_ARGUMENT');
  throws(() => topic.consumer({ autoCommit: true }), 'ERR_INVALID_ARGUMENT', /needs a group/);
  assert.deepEqual(await topic.append([]), []);
});

test.run();
