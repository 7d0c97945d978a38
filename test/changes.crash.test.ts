// SIGKILL at random moments while records are committed with messages and the changes are kept in a topic. After each
// reopening: the feed, read on from where it was, makes the database; every commit's message is there once, in order, and
// no other; the topic of changes has every change once.
//
// THERMOCLINE_CRASH_ROUNDS sets the number of rounds.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { destroy } from '../lib/index.ts';
import { start } from './helpers/child.ts';
import { type Random, SEED, seeded } from './helpers/random.ts';
import { Replay, recordsOf } from './helpers/replay.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('changes: crash');
const space = new Workspace();
test.after(() => space.clean());

const ROUNDS = Number(process.env.THERMOCLINE_CRASH_ROUNDS ?? 6);
const LIVES = 6;

class Survivor {
  readonly location = space.folder();
  readonly replay = new Replay<string>();
  readonly acknowledged = new Set<number>();
  next = 0;
  commits = 0;

  async create(random: Random): Promise<void> {
    const db = await space.open({ changes: true, shards: 1 + random.below(4) }, this.location);
    await db.topics.create('out', { partitions: 2, segment: { bytes: 4096 * (1 + random.below(30)) } });
    await db.close();
  }

  hear(stdout: string): void {
    // A line that was cut by the end says nothing.
    for (const line of stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n')) {
      const [what, n] = line.split(' ');
      if (what === 'c') this.acknowledged.add(Number(n));
    }
  }

  async verify(): Promise<void> {
    const db = await space.open({}, this.location);
    const records = await recordsOf(db);
    const commits = records.filter(([key]) => key.startsWith('commit/')).map(([key]) => Number(key.slice(7)));
    const there = new Set(commits);
    for (const n of this.acknowledged) assert.ok(there.has(n), `commit ${n} was acknowledged and is gone`);

    // The topic was written before anybody could open it.
    const out = await db.topics.open('out');
    const sent: number[] = [];
    for (const partition of [0, 1]) {
      let last = -1;
      for (let offset = 0; offset < (out.stats().partitions[partition]?.endOffset as number); ) {
        const batch = await out.read({ partition, offset });
        for (const { value } of batch) {
          const n = Number(value.split(' ')[0]);
          assert.ok(n > last, 'messages stand in the order of their commits');
          sent.push(n);
          last = n;
        }
        offset = batch.nextOffset;
      }
    }
    assert.deepEqual(
      sent.sort((a, b) => a - b),
      commits.sort((a, b) => a - b),
      'commits and messages are the same, each once',
    );

    const feed = db.changes({ since: this.replay.sequence });
    const end = db.changes().sequence;
    await db.put('end', String(end));
    await this.replay.follow(feed, end + 1);
    await feed.close();
    assert.deepEqual(this.replay.sorted(), await recordsOf(db), 'the feed makes the database');

    const log = await db.topics.from(db.changes({ since: 0 }));
    const kept = new Replay<string>();
    const consumer = log.topic.consumer();
    while (kept.sequence <= end) for (const { value } of (await consumer.next()) ?? []) kept.apply(value);
    await consumer.close();
    assert.equal(kept.changes, this.replay.changes, 'every change is in the topic');
    assert.deepEqual(kept.sorted(), this.replay.sorted());
    this.commits = commits.length;
    await db.close();
  }
}

test(`${ROUNDS} times killed, records, messages and changes agree`, async () => {
  let commits = 0;
  let acknowledged = 0;
  await seeded(async (random) => {
    let survivor: Survivor | undefined;
    const end = async () => {
      if (survivor === undefined) return;
      commits += survivor.commits;
      acknowledged += survivor.acknowledged.size;
      await destroy(survivor.location);
    };
    for (let round = 0; round < ROUNDS; round++) {
      if (survivor === undefined || round % LIVES === 0) {
        await end();
        survivor = new Survivor();
        await survivor.create(random);
      }
      survivor.next += 100_000;
      const child = start('commit-writer.ts', [survivor.location, `${random.below(2 ** 31)}`, `${survivor.next}`]);
      if (random.below(6) > 0) await child.line();
      await delay(random.below(random.below(10) === 0 ? 800 : 200));
      const { stdout, stderr, signal } = await child.kill();
      assert.equal(signal, 'SIGKILL', `it ended by itself:\n${stderr}`);
      survivor.hear(stdout);
      await survivor.verify();
    }
    await end();
  });
  console.log(`\n   ${ROUNDS} rounds, ${commits} commits, ${acknowledged} acknowledgements, seed ${SEED}`);
  assert.ok(acknowledged > 5 * ROUNDS, 'hardly anything was committed, so hardly anything was proved');
});

test.run();
