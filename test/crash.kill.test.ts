// SIGKILL at random moments under mixed load, again and again on the same databases. After each reopening: what was
// acknowledged is there, batches are whole or absent, and what each writer left is exactly what some number of its
// operations leaves in their order, so that nothing is missing in between.
//
// THERMOCLINE_CRASH_ROUNDS sets the number of rounds.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import { destroy, open } from '../lib/index.ts';
import { applyOperation, crashOperation } from './helpers/pipeline/crash-operations.ts';
import type { CrashWriter } from './helpers/pipeline/crash-writer.ts';
import { startProgram } from './helpers/pipeline/program.ts';
import { type Random, SEED, seeded } from './helpers/random.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('crash: kill');
const space = new Workspace();
test.after(() => space.clean());

const ROUNDS = Number(process.env.THERMOCLINE_CRASH_ROUNDS ?? 6);
/** A database lives through as many crashes before a new one begins. */
const LIVES = 5;
/** Every caller of a writer has at most one operation out, and one whose report was cut off. */
const MOST_CALLERS = 40;
const MOST_UNREPORTED = 2 * MOST_CALLERS;

/** What is known of a database between two crashes. */
class Survivor {
  readonly location = space.folder();
  readonly seed: number;
  /** Operations of each writer that are there. */
  readonly counts: number[];
  readonly states: Map<string, string>[];
  readonly tiered: boolean;
  counter = 0;

  constructor(seed: number, writers: number, tiered: boolean) {
    this.seed = seed;
    this.tiered = tiered;
    this.counts = Array.from({ length: writers }, () => 0);
    this.states = Array.from({ length: writers }, () => new Map());
  }

  /** @param acknowledged the first operation of each writer that was not, as far as was reported */
  async verify(acknowledged: number[], counted: number): Promise<void> {
    const db: TextDatabase = await open(this.location, { valueEncoding: 'utf8' });
    try {
      for (const writer of this.counts.keys()) await this.#verifyWriter(db, writer, acknowledged[writer] as number);
      await this.#verifyCounter(db, counted);
    } finally {
      await db.close();
    }
  }

  /** Goes through the operations until what they leave is what is stored. */
  async #verifyWriter(db: TextDatabase, writer: number, acknowledged: number): Promise<void> {
    const found = new Map<string, string>();
    for await (const [key, value] of db.iterator({ prefix: `w${writer}/` })) found.set(key, value);
    // Every value names the operation it is of.
    let last = (this.counts[writer] as number) - 1;
    for (const value of found.values()) last = Math.max(last, Number(value.slice(0, value.indexOf('.'))));
    const state = this.states[writer] as Map<string, string>;
    let count = this.counts[writer] as number;
    const step = () => applyOperation(state, crashOperation(this.seed, writer, count++));
    while (count <= last || count < acknowledged) step();
    const place = `writer ${writer}: ${acknowledged} acknowledged, values up to operation ${last}`;
    // Behind those that left a value may be more: deletes, and puts whose values a later range delete has removed.
    const least = new Map(state);
    for (let more = 0; more < MOST_UNREPORTED && !same(state, found); more++) step();
    if (!same(state, found)) {
      for (const [key, value] of found)
        assert.equal(value.slice(0, 40), least.get(key)?.slice(0, 40), `${place}: ${key}`);
      assert.deepEqual([...found.keys()], [...least.keys()].sort(), place);
      assert.fail(`${place}: a value is cut`);
    }
    this.counts[writer] = count;
  }

  async #verifyCounter(db: TextDatabase, counted: number): Promise<void> {
    const counter = Number((await db.get('counter')) ?? 0);
    assert.ok(counter >= counted && counter >= this.counter, `counted to ${counted}, the counter says ${counter}`);
    // Each transaction wrote two records: both are there or none is.
    const records = new Set(await db.keys({ prefix: 'count/' }).nextMany(10_000_000));
    assert.equal(records.size, counter);
    for (let n = 1; n <= counter; n++) assert.ok(records.has(`count/${n}`), `transaction ${n} is there in part`);
    this.counter = counter;
  }
}

function same(a: Map<string, string>, b: Map<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

interface Round {
  acknowledged: number;
  counted: number;
}

async function crash(survivor: Survivor, random: Random): Promise<Round> {
  const args: CrashWriter = {
    location: survivor.location,
    seed: survivor.seed,
    starts: [...survivor.counts],
    callers: 1 + random.below(MOST_CALLERS),
    window: random.below(5) === 0 ? 1 : 0,
    tiered: survivor.tiered,
  };
  const child = startProgram('crash-writer.ts', args);
  // Mostly once it writes; now and then while it still opens, which includes recovering from the crash before.
  if (survivor.counts[0] === 0 || random.below(6) > 0) await child.line();
  await delay(random.below(10) === 0 ? random.below(1500) : random.below(400));
  child.process.kill('SIGKILL');
  const { stdout, stderr, signal } = await child.end;
  assert.equal(signal, 'SIGKILL', `it ended by itself:\n${stderr}`);
  const acknowledged = [...survivor.counts];
  let counted = 0;
  // A line that was cut by the end says nothing.
  for (const line of stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n')) {
    const [what, a, b] = line.split(' ');
    if (what === 't') counted = Math.max(counted, Number(a));
    if (what === 'a') acknowledged[Number(a)] = Math.max(acknowledged[Number(a)] as number, Number(b) + 1);
  }
  const before = survivor.counts.reduce((sum, count) => sum + count, 0);
  await survivor.verify(acknowledged, counted);
  return { acknowledged: acknowledged.reduce((sum, count) => sum + count, 0) - before, counted };
}

test(`${ROUNDS} times killed, nothing acknowledged is lost and nothing is there in part`, async () => {
  const total = { acknowledged: 0, silent: 0 };
  await seeded(async (random) => {
    let survivor: Survivor | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      if (survivor === undefined || round % LIVES === 0) {
        if (survivor !== undefined) await destroy(survivor.location);
        survivor = new Survivor(random.below(2 ** 31), 1 + random.below(3), survivor?.tiered === false);
      }
      const { acknowledged, counted } = await crash(survivor, random);
      total.acknowledged += acknowledged;
      if (acknowledged + counted === 0) total.silent++;
    }
  });
  console.log(
    `\n   ${ROUNDS} rounds, ${total.acknowledged} operations acknowledged, ` +
      `${total.silent} rounds killed before the first, seed ${SEED}`,
  );
  assert.ok(total.acknowledged > 5 * ROUNDS, 'hardly anything was written, so hardly anything was proved');
});

test.run();
