// Runs an arbitrary history (operations.ts) on a database and on the model, and compares whatever can be seen.

import assert from 'node:assert/strict';
import { type Database, type DatabaseIterator, type KeyEncoding, open, type Snapshot } from '../../lib/index.ts';
import { afterSeek, type Entry, Model, select } from './model.ts';
import type { Operation, Range, Reader, Setting, Step, Walk, Write } from './operations.ts';
import { inThePast } from './past.ts';

type Db = Database<unknown, string>;

const HOUR = 3_600_000;
/** Longer than the ttl of what shall have expired when it is written. */
const PAST = 10_000;

type Versioned = { type: 'put'; key: Buffer; value: string; ttl?: number } | { type: 'del'; key: Buffer };

/** A walk that goes on while the database changes. */
interface Walking {
  iterator: DatabaseIterator<unknown, string, unknown>;
  /** All it may yield, without the limit. */
  all: Entry<unknown>[];
  /** What it would yield next. */
  rest: Entry<unknown>[];
  left: number;
  reverse: boolean;
}

/** How the database shows the model's keys. */
export interface KeyForm {
  encoding: KeyEncoding;
  show(key: Buffer): unknown;
}
export const BUFFERS: KeyForm = { encoding: 'buffer', show: (key) => key };
export const TEXT: KeyForm = { encoding: 'utf8', show: (key) => key.toString() };

export class History {
  readonly #location: string;
  readonly #setting: Setting;
  readonly #form: KeyForm;
  #db!: Db;
  #model = new Model<string>();
  #snapshots: { snapshot: Snapshot<unknown, string>; model: Model<string> }[] = [];
  #walks: Walking[] = [];
  /** Makes every value different, so that an old one is noticed. */
  #version = 0;

  constructor(location: string, setting: Setting, form: KeyForm) {
    this.#location = location;
    this.#setting = setting;
    this.#form = form;
  }

  async run(operations: readonly Operation[]): Promise<void> {
    await this.#open();
    try {
      for (const operation of operations) await this.#apply(operation);
      await this.#compareAll();
      await this.#reopen();
      await this.#compareAll();
    } finally {
      await this.#db.close();
    }
  }

  async #open(): Promise<void> {
    const { shards, hotCache, readThreads } = this.#setting;
    this.#db = (await open(this.#location, {
      shards,
      memory: { hotCache, blockCache: '1MB', writeBuffer: '1MB' },
      threads: { read: readThreads, background: 2 },
      keyEncoding: this.#form.encoding,
      valueEncoding: 'utf8',
    })) as Db;
  }

  async #reopen(): Promise<void> {
    this.#snapshots = [];
    this.#walks = [];
    await this.#db.close();
    await this.#open();
  }

  async #compareAll(): Promise<void> {
    const entries = this.#model.entries();
    assert.deepEqual(await this.#db.iterator().nextMany(10_000), this.#shown(entries));
    assert.deepEqual(await this.#db.iterator({ reverse: true }).nextMany(10_000), this.#shown([...entries].reverse()));
    const keys = entries.map(([key]) => this.#form.show(key));
    assert.deepEqual(await this.#db.getMany(keys), entries.map(([, value]) => value)); // biome-ignore format: one line
    for (const { snapshot, model } of this.#snapshots) {
      assert.deepEqual(await snapshot.iterator().nextMany(10_000), this.#shown(model.entries()), 'a snapshot');
    }
  }

  #apply(operation: Operation): Promise<unknown> {
    switch (operation.do) {
      case 'writes':
        return Promise.all(this.#versions(operation.writes).map((write) => this.#write(write)));
      case 'batch': {
        const writes = this.#versions(operation.writes);
        for (const write of writes) this.#note(write);
        const shown = writes.map(({ key, ...rest }) => ({ ...rest, key: this.#form.show(key) }));
        return inThePast(PAST, () => this.#db.batch(shown));
      }
      case 'putMany':
        return this.#putMany(operation.writes);
      case 'deleteRange':
        this.#model.deleteRange(operation.range);
        return this.#db.deleteRange(this.#range(operation.range));
      case 'read':
        return this.#read(operation.reader, operation.keys, operation.moment);
      case 'walk':
        return this.#walk(operation.walk, operation.yields, operation.steps, operation.moment);
      case 'snapshot':
        return this.#db.snapshot().then((snapshot) => this.#snapshots.push({ snapshot, model: this.#model.copy() }));
      case 'closeSnapshot':
        return this.#snapshots.splice(operation.moment, 1)[0]?.snapshot.close() ?? Promise.resolve();
      case 'startWalk':
        this.#walks.push(this.#start(operation.walk, 'entries', this.#model));
        return Promise.resolve();
      case 'continueWalk': {
        const walking = this.#walks[operation.which];
        return walking === undefined ? Promise.resolve() : this.#steps(walking, operation.steps, (entry) => entry);
      }
      case 'flush':
        return this.#db.flush();
      case 'compact':
        return this.#db.compact(this.#range(operation.range));
      case 'reopen':
        return this.#reopen();
    }
  }

  #versions(writes: readonly Write[]): Versioned[] {
    return writes.map((write) => {
      if (write.type === 'del') return { type: 'del', key: write.key };
      const value = write.size === 0 ? '' : `${++this.#version}`.padEnd(write.size, '.');
      const put = { type: 'put' as const, key: write.key, value };
      return write.expiry === undefined ? put : { ...put, ttl: write.expiry === 'past' ? 1 : HOUR };
    });
  }

  #note(write: Versioned): void {
    if (write.type === 'put' && write.ttl !== 1) this.#model.put(write.key, write.value);
    else this.#model.delete(write.key); // an expired record hides what was there
  }

  #write(write: Versioned): Promise<void> {
    this.#note(write);
    const key = this.#form.show(write.key);
    if (write.type === 'del') return this.#db.delete(key);
    const { value, ttl } = write;
    return ttl === undefined ? this.#db.put(key, value) : inThePast(PAST, () => this.#db.put(key, value, { ttl }));
  }

  async #putMany(writes: readonly Write[]): Promise<void> {
    const puts = this.#versions(writes).flatMap((write) =>
      write.type === 'put' && write.ttl === undefined ? [write] : [],
    );
    for (const put of puts) this.#note(put);
    const entries = puts.map(({ key, value }): [unknown, string] => [this.#form.show(key), value]);
    const source = async function* () {
      yield* entries;
    };
    assert.equal(await this.#db.putMany(entries.length % 2 === 0 ? entries : source()), entries.length);
  }

  async #read(reader: Reader, asked: readonly Buffer[], moment: number): Promise<void> {
    const { snapshot, model } = this.#snapshots[moment] ?? { snapshot: undefined, model: this.#model };
    const options = snapshot === undefined ? undefined : { snapshot };
    const keys = asked.map((key) => this.#form.show(key));
    const values = asked.map((key) => model.get(key));
    const present = values.map((value) => value !== undefined);
    const db = this.#db;
    switch (reader) {
      case 'get':
        return assert.deepEqual(await Promise.all(keys.map((key) => db.get(key, options))), values);
      case 'getSync':
        return assert.deepEqual(keys.map((key) => db.getSync(key)), asked.map((key) => this.#model.get(key))); // biome-ignore format: one line
      case 'getMany':
        return assert.deepEqual(await db.getMany(keys, options), values);
      case 'has':
        return assert.deepEqual(await Promise.all(keys.map((key) => db.has(key, options))), present);
      case 'hasMany':
        return assert.deepEqual(await db.hasMany(keys, options), present);
    }
  }

  #start(
    walk: Walk,
    yields: 'entries' | 'keys' | 'values',
    model: Model<string>,
    snapshot?: Snapshot<unknown, string>,
  ): Walking {
    const options = { ...this.#range(walk), ...(snapshot === undefined ? {} : { snapshot }) };
    const iterator =
      yields === 'entries'
        ? this.#db.iterator(options)
        : yields === 'keys'
          ? this.#db.keys(options)
          : this.#db.values(options);
    const { limit = -1, ...range } = walk;
    const all = select(model.entries(), range) as Entry<unknown>[];
    return {
      iterator,
      all,
      rest: all,
      left: limit < 0 ? Number.POSITIVE_INFINITY : limit,
      reverse: walk.reverse === true,
    };
  }

  async #walk(
    walk: Walk,
    yields: 'entries' | 'keys' | 'values',
    steps: readonly Step[],
    moment: number,
  ): Promise<void> {
    const { snapshot, model } = this.#snapshots[moment] ?? { snapshot: undefined, model: this.#model };
    const walking = this.#start(walk, yields, model, snapshot);
    const side = yields === 'entries' ? undefined : yields === 'keys' ? 0 : 1;
    const form = (entry: unknown[]) => (side === undefined ? entry : entry[side]);
    await this.#steps(walking, steps, form);
    const rest: unknown[] = [];
    for await (const item of walking.iterator) rest.push(item);
    assert.deepEqual(rest, this.#shown(walking.rest.slice(0, Math.min(walking.left, 1e6))).map(form));
  }

  async #steps(walking: Walking, steps: readonly Step[], form: (entry: unknown[]) => unknown): Promise<void> {
    const take = (count: number) => {
      const taken = walking.rest.slice(0, Math.min(count, walking.left));
      walking.rest = walking.rest.slice(taken.length);
      walking.left -= taken.length;
      return this.#shown(taken).map(form);
    };
    for (const step of steps) {
      if ('seek' in step) {
        walking.iterator.seek(this.#form.show(step.seek));
        walking.rest = afterSeek(walking.all, step.seek, walking.reverse);
      } else if ('take' in step) {
        assert.deepEqual(await walking.iterator.nextMany(step.take), take(step.take));
      } else {
        assert.deepEqual(await walking.iterator.next(), take(1)[0]);
      }
    }
  }

  #range<R extends Range>(range: R): R {
    const names = ['gt', 'gte', 'lt', 'lte', 'prefix'] as const;
    const shown = names.flatMap((name) => (range[name] === undefined ? [] : [[name, this.#form.show(range[name])]]));
    return { ...range, ...Object.fromEntries(shown) };
  }

  #shown(entries: readonly Entry<unknown>[]): unknown[][] {
    return entries.map(([key, value]) => [this.#form.show(key), value]);
  }
}
