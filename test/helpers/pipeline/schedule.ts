// Runs transactions step by step in a given interleaving, and says afterwards what had to come of each.
//
// The engine accepts submissions in the order in which JavaScript makes them, so the log that a schedule keeps is the
// one order of all beginnings and commits. Replaying it gives for every transaction: what it had to read (the moment of
// its beginning under its own writes), whether it had to be refused (something it read was written since), and, if it
// was committed, that the moment of its commit explains its reads as well: they are serialisable in that order.

import assert from 'node:assert/strict';
import { type Database, ThermoclineError, type Transaction } from '../../../lib/index.ts';
import { settle } from './waiting.ts';

export interface Span {
  /** Inclusive. */
  gte: string;
  /** Exclusive. */
  lt: string;
}

export type Step =
  | { do: 'read'; keys: string[] }
  | { do: 'walk'; span: Span; reverse: boolean; limit: number }
  | { do: 'put' | 'delete'; key: string };

/** Writes that are no transaction. */
export type Plain =
  | { do: 'plain put' | 'plain delete' | 'plain batch'; keys: string[]; durability: 'wal' | 'fsync' }
  | { do: 'plain range'; span: Span };

export interface Program {
  steps: Step[];
  durability: 'wal' | 'fsync';
}

export interface Outcome {
  committed: number;
  refused: number;
}

type State = Map<string, string>;
type Result = (string | undefined)[] | [string, string][];
type Writes = Map<string, string | undefined>;

const within = (key: string, { gte, lt }: Span) => key >= gte && key < lt;

class Running {
  readonly program: Program;
  readonly name: string;
  readonly results: Result[] = [];
  outcome: Promise<boolean> | undefined;
  committed = false;
  #at = 0;
  #gates: (() => void)[] = [];
  #passed: Promise<void>[] = [];
  #done: Promise<void>[] = [];
  #finish: (() => void)[] = [];

  constructor(program: Program, name: string) {
    this.program = program;
    this.name = name;
    for (let i = 0; i <= program.steps.length; i++) {
      this.#passed.push(new Promise((resolve) => this.#gates.push(resolve)));
      this.#done.push(new Promise((resolve) => this.#finish.push(resolve)));
    }
  }

  /** What the next advance will do. */
  get next(): 'begin' | 'step' | 'commit' | 'nothing' {
    if (this.outcome === undefined) return 'begin';
    if (this.#at < this.program.steps.length) return 'step';
    return this.#at === this.program.steps.length ? 'commit' : 'nothing';
  }

  begin(db: Database<string, string>): void {
    const { steps, durability } = this.program;
    const running = db.transaction(
      async (tx) => {
        for (const [i, step] of steps.entries()) {
          await this.#passed[i];
          await this.#take(tx, step, i);
          this.#finish[i]?.();
        }
        await this.#passed[steps.length];
      },
      { retries: 0, durability },
    );
    this.outcome = running.then(
      () => true,
      (error) => {
        for (const finish of this.#finish) finish();
        if (error instanceof ThermoclineError && error.code === 'ERR_CONFLICT') return false;
        throw error;
      },
    );
    this.outcome.catch(() => {}); // awaited at the end
  }

  /** Takes one step, or returns from the function. */
  advance(): Promise<void> {
    const at = this.#at++;
    this.#gates[at]?.();
    return at < this.program.steps.length ? (this.#done[at] as Promise<void>) : Promise.resolve();
  }

  async #take(tx: Transaction<string, string>, step: Step, index: number): Promise<void> {
    switch (step.do) {
      case 'read':
        this.results[index] = await tx.getMany(step.keys);
        break;
      case 'walk': {
        const found: [string, string][] = [];
        const { span, reverse, limit } = step;
        for await (const entry of tx.iterator({ ...span, reverse, limit })) found.push(entry);
        this.results[index] = found;
        break;
      }
      case 'put':
        tx.put(step.key, this.valueOf(index));
        break;
      case 'delete':
        tx.delete(step.key);
    }
  }

  valueOf(step: number): string {
    return `${this.name}.${step}`;
  }

  /** What the steps read in `state`, and what they leave to be written. */
  replay(state: State): { results: Result[]; writes: Writes; reads: Set<string>; spans: Span[] } {
    const writes: Writes = new Map();
    const reads = new Set<string>();
    const spans: Span[] = [];
    const results: Result[] = [];
    for (const [i, step] of this.program.steps.entries()) {
      switch (step.do) {
        case 'put':
        case 'delete':
          writes.set(step.key, step.do === 'put' ? this.valueOf(i) : undefined);
          break;
        case 'read':
          for (const key of step.keys) if (!writes.has(key)) reads.add(key);
          results[i] = step.keys.map((key) => (writes.has(key) ? writes.get(key) : state.get(key)));
          break;
        case 'walk': {
          const { span, reverse, limit } = step;
          spans.push(span);
          const seen = new Map(state);
          apply(seen, writes);
          const found = [...seen].filter(([key]) => within(key, span)).sort(([a], [b]) => (a < b ? -1 : 1));
          if (reverse) found.reverse();
          results[i] = limit < 0 ? found : found.slice(0, limit);
        }
      }
    }
    return { results, writes, reads, spans };
  }
}

function apply(state: State, writes: Writes): void {
  for (const [key, value] of writes) {
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  }
}

type Entry = { begin: Running } | { commit: Running } | { plain: Plain; value: string };

/**
 * @param keys all there may be
 * @param order who goes next: below `programs.length` a transaction, else a plain write
 */
export async function runSchedule(
  db: Database<string, string>,
  keys: readonly string[],
  programs: readonly Program[],
  plains: readonly Plain[],
  order: readonly { next: number; rush: boolean }[],
): Promise<Outcome> {
  const initial: State = new Map(await db.iterator().nextMany(1000));
  const running = programs.map((program, i) => new Running(program, `t${i}`));
  const log: Entry[] = [];
  const plainWrites: Promise<unknown>[] = [];
  let settled = true;
  const advance = async (tx: Running, rush: boolean): Promise<void> => {
    switch (tx.next) {
      case 'begin':
        if (!settled) await settle();
        settled = true;
        log.push({ begin: tx });
        tx.begin(db);
        break;
      case 'step':
        await tx.advance();
        break;
      case 'commit':
        log.push({ commit: tx });
        await tx.advance();
        // It is submitted some microtasks later: commits that follow at once take as many, anything else must wait.
        settled = !rush;
        if (!rush) await settle();
    }
  };
  let plain = 0;
  for (const { next, rush } of order) {
    const tx = running[next];
    if (tx !== undefined) {
      await advance(tx, rush);
      continue;
    }
    const write = plains[plain % Math.max(1, plains.length)];
    if (write === undefined) continue;
    if (!settled) await settle();
    settled = true;
    const value = `p${plain++}`;
    log.push({ plain: write, value });
    plainWrites.push(writePlain(db, write, value));
  }
  for (const tx of running) while (tx.next !== 'nothing') await advance(tx, false);
  await Promise.all(plainWrites);
  for (const tx of running) tx.committed = (await tx.outcome) as boolean;
  const state = check(initial, log);
  assert.deepEqual(await db.getMany(keys), keys.map((key) => state.get(key))); // biome-ignore format: one line
  const committed = running.filter((tx) => tx.committed).length;
  return { committed, refused: running.length - committed };
}

function writePlain(db: Database<string, string>, write: Plain, value: string): Promise<unknown> {
  switch (write.do) {
    case 'plain range':
      return db.deleteRange(write.span);
    case 'plain put':
      return Promise.all(write.keys.map((key) => db.put(key, value, { durability: write.durability })));
    case 'plain delete':
      return Promise.all(write.keys.map((key) => db.delete(key, { durability: write.durability })));
    case 'plain batch': {
      const operations = write.keys.map((key) => ({ type: 'put' as const, key, value }));
      return db.batch(operations, { durability: write.durability });
    }
  }
}

/** Replays the log and checks every transaction in it. Returns what must be stored in the end. */
function check(initial: State, log: readonly Entry[]): State {
  const state = new Map(initial);
  const begun = new Map<Running, { state: State; at: number }>();
  /** What was written at each place of the log. */
  const touched: { keys: Set<string>; spans: Span[] }[] = [];
  for (const [at, entry] of log.entries()) {
    const touches = { keys: new Set<string>(), spans: [] as Span[] };
    touched.push(touches);
    if ('begin' in entry) {
      begun.set(entry.begin, { state: new Map(state), at });
    } else if ('plain' in entry) {
      const { plain, value } = entry;
      if (plain.do === 'plain range') {
        touches.spans.push(plain.span);
        for (const key of [...state.keys()]) if (within(key, plain.span)) state.delete(key);
      } else {
        for (const key of plain.keys) {
          touches.keys.add(key);
          if (plain.do === 'plain delete') state.delete(key);
          else state.set(key, value);
        }
      }
    } else {
      const tx = entry.commit;
      const start = begun.get(tx) as { state: State; at: number };
      const { results, writes, reads, spans } = tx.replay(start.state);
      assert.deepEqual(tx.results, results, `${tx.name} did not read the moment of its beginning`);
      const since = touched.slice(start.at, at);
      const conflict =
        writes.size > 0 &&
        since.some(
          (other) =>
            [...other.keys].some((key) => reads.has(key) || spans.some((span) => within(key, span))) ||
            other.spans.some(
              (other) =>
                other.gte < other.lt &&
                ([...reads].some((key) => within(key, other)) ||
                  spans.some((span) => span.gte < other.lt && other.gte < span.lt && span.gte < span.lt)),
            ),
        );
      assert.equal(tx.committed, !conflict, `${tx.name} was ${tx.committed ? 'committed' : 'refused'}`);
      if (!tx.committed || writes.size === 0) continue;
      assert.deepEqual(tx.results, tx.replay(state).results, `${tx.name} is not explained by the order of the commits`);
      apply(state, writes);
      for (const key of writes.keys()) touches.keys.add(key);
    }
  }
  return state;
}
