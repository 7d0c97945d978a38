import type { Database } from '../../index.ts';
import { accountTotal } from './accounts.ts';
import { boundsOf, type Found, judge, judgeGroups, type Model, settled, versionOf } from './model.ts';
import type { Keys } from './record.ts';
import type { StressShape } from './state.ts';

/** Problems are told one by one up to this number. */
const SHOWN = 20;

/** What reading a whole database gave. */
export interface CheckResult {
  /** Records read. */
  records: number;
  problems: string[];
  /** For every key the version to go on from. */
  versions: Uint32Array;
}

/**
 * Reads every record, in order, and compares it with the model; nothing may be written meanwhile. Keys that nobody wrote,
 * keys out of order, and keys that a point read sees otherwise than the iterator are problems too.
 */
export async function checkAll(
  db: Database<string, Buffer>,
  model: Model,
  keys: Keys,
  shape: StressShape,
): Promise<CheckResult> {
  const found = new Array<Found>(keys.count).fill('absent');
  const result: CheckResult = { records: 0, problems: [], versions: new Uint32Array(keys.count) };
  const problem = (text: string) => {
    if (result.problems.length < SHOWN) result.problems.push(text);
  };
  const damaged = new Set<number>();
  let previous = '';
  const all = db.iterator({ prefix: 'w' });
  for (let page = await all.nextMany(1000); page.length > 0; page = await all.nextMany(1000)) {
    for (const [name, value] of page) {
      if (name <= previous) problem(`${name} comes after ${previous} in an iterator`);
      previous = name;
      result.records++;
      const key = keys.number(name);
      if (key === undefined) {
        problem(`${name} was never written`);
        continue;
      }
      const is = versionOf(key, value);
      if ('found' in is) found[key] = is.found;
      else {
        damaged.add(key);
        problem(`${name} ${is.problem}`);
      }
    }
  }
  await all.close();
  for (let key = 0; key < keys.count; key++) {
    if (damaged.has(key)) continue;
    const wrong = judge(found[key] as Found, boundsOf(model, key));
    if (wrong !== undefined) problem(`${keys.name(key)} ${wrong}`);
    result.versions[key] = settled(model, key, found[key] as Found);
  }
  // A key that is wrong by itself would only be told again as part of its batch.
  if (result.problems.length === 0) for (const text of judgeGroups(model, found)) problem(text);
  await checkPointReads(db, keys, found, problem);
  const total = await accountTotal(db, shape.workers);
  if (typeof total === 'string') problem(total);
  else if (total === undefined && model.acknowledged.some((version) => version > 0)) {
    problem('the accounts, which were written before anything else, are gone');
  } else if (total !== undefined && total !== shape.accounts) {
    problem(`the accounts add up to ${total} and not to ${shape.accounts}: a transaction was torn or lost`);
  }
  return result;
}

/** Asks for keys all over the database one by one, which takes other ways through the store than an iterator. */
async function checkPointReads(
  db: Database<string, Buffer>,
  keys: Keys,
  found: readonly Found[],
  problem: (text: string) => void,
): Promise<void> {
  const step = Math.max(1, Math.floor(keys.count / 20_000));
  for (let from = 0; from < keys.count; from += 1000 * step) {
    const asked: number[] = [];
    for (let key = from; key < Math.min(keys.count, from + 1000 * step); key += step) asked.push(key);
    const values = await db.getMany(asked.map((key) => keys.name(key)));
    for (const [i, key] of asked.entries()) {
      const is = versionOf(key, values[i]);
      const same = 'problem' in is || is.found === found[key];
      if (!same) problem(`${keys.name(key)} is ${found[key]} to an iterator and ${is.found} to getMany`);
    }
  }
}
