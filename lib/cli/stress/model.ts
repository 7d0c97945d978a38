import { parseValue } from './record.ts';

/**
 * Versions of a key grow and are never used twice: even ones are values, odd ones deletions, 0 means never written.
 */
export function nextValue(version: number): number {
  return version + 2 - (version % 2);
}

/** The next version that is a deletion. */
export function nextDeletion(version: number): number {
  return version + 1 + (version % 2);
}

/** Writes that take effect together or not at all. */
export interface Group {
  id: number;
  /** Whether it takes effect after all ordered groups with lower numbers. Transactions commit when they can. */
  ordered: boolean;
  /** Number of a key, its version, number of a key, its version... */
  entries: readonly number[];
}

/**
 * What a database may hold: for every key at least the acknowledged version and at most the announced one. A group is
 * announced before the call that writes it and acknowledged when its promise has resolved; in between it may be there or
 * not, but only as a whole.
 */
export class Model {
  readonly acknowledged: Uint32Array;
  readonly announced: Uint32Array;
  /** Of what was announced the highest deletion; 0 for none. */
  readonly deleted: Uint32Array;
  /** Announced and not acknowledged, in the order of the calls. */
  readonly inFlight = new Map<number, Group>();

  readonly count: number;

  constructor(count: number) {
    this.count = count;
    this.acknowledged = new Uint32Array(count);
    this.announced = new Uint32Array(count);
    this.deleted = new Uint32Array(count);
  }

  announce(group: Group): void {
    this.inFlight.set(group.id, group);
    for (let i = 0; i < group.entries.length; i += 2) {
      const key = group.entries[i] as number;
      const version = group.entries[i + 1] as number;
      this.announced[key] = Math.max(this.announced[key] as number, version);
      if (version % 2 === 1) this.deleted[key] = Math.max(this.deleted[key] as number, version);
    }
  }

  acknowledge(id: number): void {
    const group = this.inFlight.get(id);
    if (group === undefined) return;
    this.inFlight.delete(id);
    for (let i = 0; i < group.entries.length; i += 2) {
      const key = group.entries[i] as number;
      this.acknowledged[key] = Math.max(this.acknowledged[key] as number, group.entries[i + 1] as number);
    }
  }

  /** A group that certainly was not written, such as a condition that did not hold. */
  withdraw(id: number): void {
    this.inFlight.delete(id);
  }

  /** Settles what a check after a crash has found. @param found a version for every key */
  settle(found: Uint32Array): void {
    this.acknowledged.set(found);
    this.announced.set(found);
    for (let key = 0; key < this.count; key++) {
      const version = found[key] as number;
      this.deleted[key] = version % 2 === 1 ? version : Math.min(this.deleted[key] as number, version);
    }
    this.inFlight.clear();
  }
}

/** What reading a key gave: its version, or that it is absent. */
export type Found = number | 'absent';

/** What a key may be at one moment. */
export interface Bounds {
  /** The version acknowledged before the read began. */
  least: number;
  /** The version announced before the moment that was read. */
  most: number;
  /** The highest deletion announced before it. */
  deleted: number;
}

/** What a key may be now. */
export function boundsOf(model: Model, key: number): Bounds {
  return {
    least: model.acknowledged[key] as number,
    most: model.announced[key] as number,
    deleted: model.deleted[key] as number,
  };
}

/** Whether what was read is possible. @returns what is wrong, or undefined */
export function judge(found: Found, { least, most, deleted }: Bounds): string | undefined {
  if (found === 'absent') {
    return least === 0 || deleted >= least ? undefined : `is absent, but version ${least} was acknowledged`;
  }
  if (found < least) return `has version ${found}, but version ${least} was acknowledged`;
  if (found > most) return `has version ${found}, but the last one written was ${most}`;
  if (found % 2 === 1) return `has a value of version ${found}, which is a deletion`;
  return undefined;
}

/** Reads a value. @returns its version, or what is wrong with it */
export function versionOf(key: number, value: Buffer | undefined): { found: Found } | { problem: string } {
  if (value === undefined) return { found: 'absent' };
  const parsed = parseValue(value);
  if ('damage' in parsed) return { problem: `is damaged: ${parsed.damage}` };
  if (parsed.key !== key) return { problem: `has the value of key number ${parsed.key}` };
  return { found: parsed.version };
}

/** Whether a group's write of a key took effect; undefined if that cannot be told. */
function applied(model: Model, key: number, version: number, found: Found): boolean | undefined {
  if (found !== 'absent') return found >= version;
  const { least, deleted } = boundsOf(model, key);
  // An absent key is at one of the deletions between the two, or was never written.
  if (least > 0 && least + (1 - (least % 2)) >= version) return true;
  return deleted < version ? false : undefined;
}

/**
 * Checks the groups that a crash left in flight: each is there as a whole or not at all, and no ordered group without
 * all those before it.
 *
 * @param found what every key holds
 */
export function judgeGroups(model: Model, found: readonly Found[]): string[] {
  const problems: string[] = [];
  let missing: Group | undefined;
  for (const group of model.inFlight.values()) {
    let there: number | undefined;
    let notThere: number | undefined;
    for (let i = 0; i < group.entries.length; i += 2) {
      const key = group.entries[i] as number;
      const is = applied(model, key, group.entries[i + 1] as number, found[key] as Found);
      if (is === true) there ??= key;
      if (is === false) notThere ??= key;
    }
    if (there !== undefined && notThere !== undefined) {
      problems.push(`a batch is torn: it wrote key number ${there} and not ${notThere}`);
    } else if (there !== undefined && missing !== undefined && group.ordered) {
      problems.push(`key number ${there} has a write that was made after one to ${missing.entries[0]}, which is lost`);
    } else if (notThere !== undefined && group.ordered) {
      missing ??= group;
    }
  }
  return problems;
}

/** The version to go on from when a key was found like this. */
export function settled(model: Model, key: number, found: Found): number {
  if (found !== 'absent') return found;
  const { least, deleted } = boundsOf(model, key);
  return Math.max(least, deleted);
}
