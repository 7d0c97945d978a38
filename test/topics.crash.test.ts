// SIGKILL at random moments while messages are appended. After each reopening: offsets are dense, every acknowledged
// message is where it was said to be, the idempotent producer's batches are there once each and in order, and a check
// of every byte finds nothing.
//
// THERMOCLINE_CRASH_ROUNDS sets the number of rounds.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { destroy } from '../lib/index.ts';
import { start } from './helpers/child.ts';
import { type Random, SEED, seeded } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('topics: crash');
const space = new Workspace();
test.after(() => space.clean());

const ROUNDS = Number(process.env.THERMOCLINE_CRASH_ROUNDS ?? 6);
const LIVES = 10;
const CODECS = ['none', 'lz4', 'none', 'zstd', 'none', 'snappy', 'gzip'] as const;

class Survivor {
  readonly location = space.folder();
  /** Message number at each place that was acknowledged. */
  readonly acknowledged = new Map<string, number>();
  readonly produced: number[] = [];
  next = 0;

  async create(random: Random): Promise<void> {
    const db = await space.open({}, this.location);
    const partitions = 1 + random.below(3);
    const segment = { bytes: 4096 * (1 + random.below(20)) };
    await db.topics.create('t', { partitions, segment, compression: random.pick(CODECS) });
    for (let i = 0; i < partitions; i++) this.produced.push(0);
    await db.close();
  }

  hear(stdout: string): number {
    let heard = 0;
    // A line that was cut by the end says nothing.
    for (const line of stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n')) {
      const [what, a, b, c] = line.split(' ');
      if (what === 'a') {
        assert.ok(!this.acknowledged.has(`${a}/${b}`), `the place ${a}/${b} was given twice`);
        this.acknowledged.set(`${a}/${b}`, Number(c));
        this.next = Math.max(this.next, Number(c) + 1);
        heard++;
      } else if (what === 'p') {
        this.produced[Number(a)] = Math.max(this.produced[Number(a)] as number, Number(b));
        heard++;
      }
    }
    return heard;
  }

  async verify(): Promise<void> {
    const db = await space.open({}, this.location);
    const topic = await db.topics.open('t');
    let found = 0;
    for (const { partition, startOffset, endOffset } of topic.stats().partitions) {
      assert.equal(startOffset, 0);
      let offset = 0;
      let batch = 0;
      let part = 0;
      while (offset < endOffset) {
        const messages = await topic.read({ partition, offset });
        assert.ok(messages.length > 0);
        for (const message of messages) {
          assert.equal(message.offset, offset++, 'offsets are dense');
          const [kind, n, i] = message.value.split(' ');
          if (kind === 'plain') {
            const expected = this.acknowledged.get(`${partition}/${message.offset}`);
            if (expected !== undefined) {
              assert.equal(Number(n), expected);
              found++;
            }
            continue;
          }
          // Batches in their order, each message of each once, none left out.
          if (part === 0) batch++;
          assert.equal(`${n} ${i}`, `${batch} ${part}`);
          part = part === batch % 5 ? 0 : part + 1;
        }
      }
      assert.equal(part, 0, 'a batch is whole');
      assert.ok(batch >= (this.produced[partition] as number), 'every acknowledged batch is there');
      // What was there at this crash stays.
      this.produced[partition] = batch;
    }
    assert.equal(found, this.acknowledged.size, 'every acknowledged message is there');
    await db.close();
    const checked = await space.open({ readOnly: true }, this.location);
    const { problems } = await checked.topics.check('t');
    assert.deepEqual(problems, []);
    await checked.close();
  }
}

test(`${ROUNDS} times killed, no acknowledged message is lost and none is there twice`, async () => {
  let heard = 0;
  await seeded(async (random) => {
    let survivor: Survivor | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      if (survivor === undefined || round % LIVES === 0) {
        if (survivor !== undefined) await destroy(survivor.location);
        survivor = new Survivor();
        await survivor.create(random);
      }
      // Numbers that were not acknowledged are not used again: their messages may be there.
      survivor.next += 1000;
      const child = start('topic-writer.ts', [survivor.location, `${random.below(2 ** 31)}`, `${survivor.next}`]);
      if (random.below(6) > 0) await child.line();
      await delay(random.below(random.below(10) === 0 ? 1500 : 300));
      const { stdout, stderr, signal } = await child.kill();
      assert.equal(signal, 'SIGKILL', `it ended by itself:\n${stderr}`);
      heard += survivor.hear(stdout);
      await survivor.verify();
    }
  });
  console.log(`\n   ${ROUNDS} rounds, ${heard} acknowledgements, seed ${SEED}`);
  assert.ok(heard > 5 * ROUNDS, 'hardly anything was appended, so hardly anything was proved');
});

test.run();
