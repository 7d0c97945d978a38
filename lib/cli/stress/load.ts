import type { BatchOperation, Database, WriteOptions } from '../../index.ts';
import { SLOTS } from '../../shards.ts';
import { accountTotal, transfer } from './accounts.ts';
import type { Journal } from './journal.ts';
import { type Bounds, boundsOf, judge, type Model, nextDeletion, nextValue, versionOf } from './model.ts';
import { type Keys, makeValue, Random } from './record.ts';

/** Records with a lifetime live this long: longer than any run. In milliseconds. */
const LONG_LIFE = 30 * 24 * 3600 * 1000;

/** Single writes that a worker does not wait for. */
const OUTSTANDING = 32;

/** Keys of a worker above which finding those of some slots takes too long. */
const MOST_SLOTTED = 50_000;

/** What a worker works with. */
export interface LoadContext {
  db: Database<string, Buffer>;
  model: Model;
  journal: Journal;
  keys: Keys;
  valueSize: number;
  /** False for a database without a log, which has no durability to choose. */
  hasLog: boolean;
  accounts: number;
  /** The sum of the accounts. */
  accountTotal: number;
  count(call: string, written: number, read: number): void;
  problem(text: string): void;
  stopping(): boolean;
  /** A number never used before. */
  nextGroup(): number;
}

/**
 * One of several that work at the same time, each the only writer of its own range of keys and a reader of all. Every
 * write is announced before it is made and acknowledged when its promise has resolved; every read is judged by what was
 * acknowledged and announced around it.
 */
export class LoadWorker {
  readonly #context: LoadContext;
  readonly #first: number;
  readonly #random: Random;
  readonly #outstanding = new Set<Promise<void>>();

  constructor(context: LoadContext, worker: number, seed: number) {
    this.#context = context;
    this.#first = worker * context.keys.perWorker;
    this.#random = new Random(seed ^ Math.imul(worker + 1, 0x45d9f3b));
  }

  /** Works until it is told to stop, then waits for its writes. */
  async run(): Promise<void> {
    const actions: [weight: number, action: () => Promise<void>][] = [
      [30, () => this.#puts()],
      [14, () => this.#batch()],
      [4, () => this.#steps()],
      [4, () => this.#conditional()],
      [2, () => this.#deleteRange()],
      [24, () => this.#readMany()],
      [8, () => this.#readOne()],
      [6, () => this.#scan()],
      [1, () => this.#slots()],
      [3, () => this.#snapshot()],
      [5, () => this.#transfer()],
    ];
    const total = actions.reduce((sum, [weight]) => sum + weight, 0);
    while (!this.#context.stopping()) {
      let at = this.#random.below(total);
      const chosen = actions.find(([weight]) => {
        at -= weight;
        return at < 0;
      });
      await chosen?.[1]();
    }
    await Promise.all(this.#outstanding);
  }

  /** Announces versions of some keys, makes the write, and acknowledges it. */
  async #write(call: string, ordered: boolean, entries: number[], write: () => Promise<unknown>): Promise<void> {
    const { model, journal } = this.#context;
    const group = { id: this.#context.nextGroup(), ordered, entries };
    model.announce(group);
    journal.announce(group);
    const written = await write();
    if (written === false) {
      model.withdraw(group.id);
      journal.withdraw(group.id);
      this.#context.problem(`${this.#name(entries[0] as number)} refused a condition that holds`);
      return;
    }
    model.acknowledge(group.id);
    journal.acknowledge(group.id);
    this.#context.count(call, entries.length / 2, 0);
  }

  #name(key: number): string {
    return this.#context.keys.name(key);
  }

  #ownKey(): number {
    return this.#first + this.#random.below(this.#context.keys.perWorker);
  }

  #nextVersion(key: number, remove: boolean): number {
    const version = this.#context.model.announced[key] as number;
    return remove ? nextDeletion(version) : nextValue(version);
  }

  #value(key: number, version: number): Buffer {
    return makeValue(key, version, this.#context.valueSize);
  }

  #durability(): WriteOptions {
    return this.#context.hasLog && this.#random.below(50) === 0 ? { durability: 'fsync' } : {};
  }

  /** Single writes, some of them waited for later. */
  async #puts(): Promise<void> {
    const { db } = this.#context;
    for (let left = 1 + this.#random.below(16); left > 0; left--) {
      const key = this.#ownKey();
      const remove = this.#random.below(6) === 0;
      const version = this.#nextVersion(key, remove);
      const options = this.#durability();
      const write = () => {
        if (remove) return db.delete(this.#name(key), options);
        const ttl = this.#random.below(8) === 0 ? { ttl: LONG_LIFE } : {};
        return db.put(this.#name(key), this.#value(key, version), { ...options, ...ttl });
      };
      const done: Promise<void> = this.#write(remove ? 'delete' : 'put', true, [key, version], write).finally(() =>
        this.#outstanding.delete(done),
      );
      done.catch(() => {}); // whoever waits for it learns it
      this.#outstanding.add(done);
    }
    if (this.#outstanding.size > OUTSTANDING) await Promise.all(this.#outstanding);
  }

  /** Distinct keys with their next versions. */
  #chosen(count: number): number[] {
    const keys = new Set(Array.from({ length: count }, () => this.#ownKey()));
    return [...keys].flatMap((key) => [key, this.#nextVersion(key, this.#random.below(6) === 0)]);
  }

  #operations(entries: readonly number[]): BatchOperation<string, Buffer>[] {
    const operations: BatchOperation<string, Buffer>[] = [];
    for (let i = 0; i < entries.length; i += 2) {
      const [key, version] = [entries[i] as number, entries[i + 1] as number];
      if (version % 2 === 1) operations.push({ type: 'del', key: this.#name(key) });
      else operations.push({ type: 'put', key: this.#name(key), value: this.#value(key, version) });
    }
    return operations;
  }

  async #batch(): Promise<void> {
    const { db } = this.#context;
    const entries = this.#chosen(2 + this.#random.below(100));
    if (!this.#context.hasLog || this.#random.below(4) > 0) {
      const options = this.#durability();
      return this.#write('batch', true, entries, () => db.batch(this.#operations(entries), options));
    }
    await this.#write('commit', true, entries, async () => {
      const commit = db.commit(this.#operations(entries));
      await commit.applied;
      await commit.durable;
    });
  }

  /** A batch made step by step, of which a part is taken back. */
  async #steps(): Promise<void> {
    const entries = this.#chosen(2 + this.#random.below(20));
    await this.#write('beginBatch', true, entries, () => {
      const batch = this.#context.db.beginBatch();
      const add = (operation: BatchOperation<string, Buffer>) => {
        if (operation.type === 'put') batch.put(operation.key, operation.value);
        else batch.delete(operation.key);
      };
      const operations = this.#operations(entries);
      const half = operations.length >>> 1;
      operations.slice(0, half).forEach(add);
      const savepoint = batch.savepoint();
      batch.put(this.#name(entries[0] as number), Buffer.from('taken back')).put('w', Buffer.from('taken back'));
      batch.rollbackTo(savepoint);
      operations.slice(half).forEach(add);
      return batch.commit();
    });
  }

  /** A conditional write to a key at rest, whose condition therefore must hold. */
  async #conditional(): Promise<void> {
    await Promise.all(this.#outstanding);
    const { db, model } = this.#context;
    const key = this.#ownKey();
    const now = model.acknowledged[key] as number;
    const absent = now % 2 === 1 || now === 0;
    const version = this.#nextVersion(key, false);
    const condition = absent ? ({ absent: true } as const) : { equals: this.#value(key, now) };
    await this.#write('putIf', false, [key, version], () =>
      db.putIf(this.#name(key), this.#value(key, version), condition),
    );
  }

  async #deleteRange(): Promise<void> {
    const { keys } = this.#context;
    const from = this.#random.below(keys.perWorker);
    const count = Math.min(1 + this.#random.below(50), keys.perWorker - from);
    const entries = Array.from({ length: count }, (_, i) => this.#first + from + i).flatMap((key) => {
      return [key, this.#nextVersion(key, true)];
    });
    const range = { gte: this.#name(this.#first + from), lte: this.#name(this.#first + from + count - 1) };
    await this.#write('deleteRange', true, entries, () => this.#context.db.deleteRange(range));
  }

  /** Keys of all workers. */
  #anyKeys(count: number): { keys: number[]; least: number[] } {
    const keys = Array.from({ length: count }, () => this.#random.below(this.#context.keys.count));
    return { keys, least: keys.map((key) => this.#context.model.acknowledged[key] as number) };
  }

  #judgeNow(key: number, value: Buffer | undefined, least: number, how: string): void {
    this.#judge(key, value, { ...boundsOf(this.#context.model, key), least }, how);
  }

  #judge(key: number, value: Buffer | undefined, bounds: Bounds, how: string): void {
    const is = versionOf(key, value);
    const wrong = 'problem' in is ? is.problem : judge(is.found, bounds);
    if (wrong !== undefined) this.#context.problem(`${this.#name(key)} ${wrong} (${how})`);
  }

  async #readMany(): Promise<void> {
    const { keys, least } = this.#anyKeys(1 + this.#random.below(200));
    const values = await this.#context.db.getMany(keys.map((key) => this.#name(key)));
    for (const [i, key] of keys.entries()) this.#judgeNow(key, values[i], least[i] as number, 'getMany');
    this.#context.count('getMany', 0, keys.length);
  }

  async #readOne(): Promise<void> {
    const { db } = this.#context;
    const { keys, least } = this.#anyKeys(8);
    for (const [i, key] of keys.entries()) {
      if (i % 2 === 0) this.#judgeNow(key, db.getSync(this.#name(key)), least[i] as number, 'getSync');
      else {
        const atLeast = this.#context.model.acknowledged[key] as number;
        this.#judgeNow(key, await db.get(this.#name(key)), atLeast, 'get');
      }
    }
    this.#context.count('get', 0, keys.length);
  }

  /** Walks some keys of any worker, forwards or backwards; what is not there counts as read too. */
  async #scan(): Promise<void> {
    const { db, keys, model } = this.#context;
    const first = this.#random.below(keys.workers) * keys.perWorker + this.#random.below(keys.perWorker);
    const end = Math.min(
      first + 1 + this.#random.below(500),
      (Math.floor(first / keys.perWorker) + 1) * keys.perWorker,
    );
    const reverse = this.#random.below(3) === 0;
    // The iterator sees the moment of its making, so that is the moment to be judged by.
    const bounds = Array.from({ length: end - first }, (_, i) => boundsOf(model, first + i));
    const walk = db.iterator({ gte: this.#name(first), lte: this.#name(end - 1), reverse });
    const values = new Map<number, Buffer>();
    let previous: number | undefined;
    for (let page = await walk.nextMany(100); page.length > 0; page = await walk.nextMany(100)) {
      for (const [name, value] of page) {
        const key = keys.number(name);
        const inOrder = previous === undefined || (key !== undefined && (reverse ? key < previous : key > previous));
        if (key === undefined || key < first || key >= end || !inOrder) {
          this.#context.problem(
            `an iterator over ${this.#name(first)} to ${this.#name(end - 1)} gave ${name} out of turn`,
          );
          continue;
        }
        previous = key;
        values.set(key, value);
      }
    }
    await walk.close();
    for (let key = first; key < end; key++) {
      this.#judge(key, values.get(key), bounds[key - first] as Bounds, 'iterator');
    }
    this.#context.count('iterator', 0, end - first);
  }

  /** Walks some slots of a worker's keys: those keys alone must come, and all of them. */
  async #slots(): Promise<void> {
    const { db, keys, model } = this.#context;
    if (keys.perWorker > MOST_SLOTTED) return;
    const first = this.#random.below(keys.workers) * keys.perWorker;
    const from = this.#random.below(SLOTS);
    const to = Math.min(SLOTS - 1, from + this.#random.below(2000));
    const bounds = new Map<number, Bounds>();
    for (let key = first; key < first + keys.perWorker; key++) {
      const slot = db.shards.slotOf(this.#name(key));
      if (from <= slot && slot <= to) bounds.set(key, boundsOf(model, key));
    }
    const walk = db.shards.rangeBySlots(from, to, { prefix: this.#name(first).slice(0, 5) });
    const values = new Map<number, Buffer>();
    for (let page = await walk.nextMany(500); page.length > 0; page = await walk.nextMany(500)) {
      for (const [name, value] of page) {
        const key = keys.number(name);
        if (key === undefined || !bounds.has(key)) this.#context.problem(`slots ${from} to ${to} gave ${name}`);
        else values.set(key, value);
      }
    }
    await walk.close();
    for (const [key, bound] of bounds) this.#judge(key, values.get(key), bound, 'rangeBySlots');
    this.#context.count('rangeBySlots', 0, bounds.size);
  }

  /** Reads the same keys of a snapshot before and after others have written. */
  async #snapshot(): Promise<void> {
    const { db, model } = this.#context;
    const { keys } = this.#anyKeys(50);
    const bounds = keys.map((key) => boundsOf(model, key));
    const snapshot = await db.snapshot();
    const names = keys.map((key) => this.#name(key));
    const before = await snapshot.getMany(names);
    await this.#batch();
    const after = await snapshot.getMany(names);
    await snapshot.close();
    for (const [i, key] of keys.entries()) {
      this.#judge(key, before[i], { ...(bounds[i] as Bounds) }, 'snapshot');
      const same = before[i] === undefined ? after[i] === undefined : after[i]?.equals(before[i] as Buffer);
      if (!same) this.#context.problem(`${this.#name(key)} changed within a snapshot`);
    }
    this.#context.count('snapshot', 0, 2 * keys.length);
  }

  async #transfer(): Promise<void> {
    const { db, accounts } = this.#context;
    await transfer(db, accounts, this.#random);
    this.#context.count('transaction', 2, 2);
    if (this.#random.below(10) > 0) return;
    const total = await accountTotal(db, accounts);
    if (total !== this.#context.accountTotal) {
      this.#context.problem(typeof total === 'string' ? total : `the accounts add up to ${total} during the load`);
    }
  }
}
