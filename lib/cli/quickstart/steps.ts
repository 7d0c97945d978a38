import type { Database, DatabaseIterator } from '../../index.ts';
import { type Synset, synsetKey, type Word, wordKey } from '../load/wordnet.ts';
import { formatCount } from '../text.ts';

/** WordNet, and what the steps write for themselves; values are JSON text, parsed when the clock has stopped. */
export type WordNetDatabase = Database<string, string>;

/** What one step did, and how long the calls to the database took. */
export interface Step {
  what: string;
  result: string;
  seconds: number;
  /** How many of `unit` were done in that time. */
  count: number;
  unit: string;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const started = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - started) / 1000 };
}

/** Looks a word up in every part of speech, and all its meanings in one getMany. */
export async function lookUp(db: WordNetDatabase, lemma: string): Promise<{ step: Step; meanings: Synset[] }> {
  const keys = (['n', 'v', 'a', 'r'] as const).map((pos) => wordKey(pos, lemma));
  const { value, seconds } = await timed(async () => {
    const words = parseAll<Word>(await db.getMany(keys));
    return db.getMany(words.flatMap(({ pos, synsets }) => synsets.map((offset) => synsetKey(pos, offset))));
  });
  const meanings = parseAll<Synset>(value);
  const step = {
    what: 'look up a word',
    result: `'${lemma}': its ${meanings.length} meanings in one getMany`,
    seconds,
    count: keys.length + value.length,
    unit: 'keys',
  };
  return { step, meanings };
}

function parseAll<T>(values: (string | undefined)[]): T[] {
  return values.filter((value) => value !== undefined).map((value) => JSON.parse(value) as T);
}

/** Reads all nouns that begin with a text. */
export async function scanPrefix(db: WordNetDatabase, prefix: string): Promise<Step> {
  const { value, seconds } = await timed(() => collect(db.iterator({ prefix: wordKey('n', prefix) })));
  return { what: 'prefix scan', result: firstThree(value), seconds, count: value.length, unit: 'records' };
}

/** Reads the last nouns of the alphabet, backwards. */
export async function scanBackwards(db: WordNetDatabase, limit: number): Promise<Step> {
  const range = { gte: wordKey('n', 'a'), lte: wordKey('n', 'z~'), reverse: true, limit };
  const { value, seconds } = await timed(() => collect(db.iterator(range)));
  return { what: 'reverse range', result: firstThree(value), seconds, count: value.length, unit: 'records' };
}

function firstThree(records: [string, string][]): string {
  const words = parseAll<Word>(records.slice(0, 3).map(([, value]) => value));
  return `${words.map(({ lemma }) => lemma).join(', ')} ... (${formatCount(records.length)})`;
}

/** All records of an iterator, a thousand a call. */
async function collect<T>(iterator: DatabaseIterator<string, string, T>): Promise<T[]> {
  const records: T[] = [];
  for (let page = await iterator.nextMany(1000); page.length > 0; page = await iterator.nextMany(1000)) {
    records.push(...page);
  }
  await iterator.close();
  return records;
}

/** Reads many synsets from all over the database in one call. */
export async function getManySynsets(db: WordNetDatabase, count: number): Promise<Step> {
  const keys = await collect(db.keys({ prefix: 'synset/' }));
  // A stride that shares no factor with the number of keys visits no key twice, and jumps about.
  const stride = 37_199;
  const chosen = Array.from(
    { length: Math.min(count, keys.length) },
    (_, i) => keys[(i * stride) % keys.length] as string,
  );
  const { value, seconds } = await timed(() => db.getMany(chosen));
  const found = value.filter((synset) => synset !== undefined).length;
  return {
    what: `getMany of ${formatCount(chosen.length)} keys`,
    result: `${formatCount(found)} found`,
    seconds,
    count: chosen.length,
    unit: 'keys',
  };
}

/**
 * Moves a total between two records, one batch a move, and looks at both records all the while: every look must find
 * the same total, and a batch that was done by halves would show.
 */
export async function moveAtomically(db: WordNetDatabase, moves: number): Promise<Step> {
  const [left, right] = ['quickstart/left', 'quickstart/right'];
  await db.batch([
    { type: 'put', key: left, value: String(moves) },
    { type: 'put', key: right, value: '0' },
  ]);
  let moving = true;
  const move = async () => {
    for (let moved = 1; moved <= moves; moved++) {
      await db.batch([
        { type: 'put', key: left, value: String(moves - moved) },
        { type: 'put', key: right, value: String(moved) },
      ]);
    }
    moving = false;
  };
  let looks = 0;
  let whole = 0;
  const look = async () => {
    while (moving) {
      const snapshot = await db.snapshot();
      const [a, b] = await snapshot.getMany([left, right]);
      await snapshot.close();
      looks++;
      if (Number(a) + Number(b) === moves) whole++;
    }
  };
  const [{ seconds }] = await Promise.all([timed(move), look()]);
  const [a, b] = await db.getMany([left, right]);
  await db.batch([
    { type: 'del', key: left },
    { type: 'del', key: right },
  ]);
  return {
    what: 'atomic batches',
    result: `${moves}+0 became ${a}+${b}; ${whole} of ${looks} snapshots add up`,
    seconds,
    count: moves,
    unit: 'batches',
  };
}

/** Writes to a record while a snapshot stands, and reads it both ways. */
export async function readSnapshot(db: WordNetDatabase): Promise<Step> {
  const key = 'quickstart/tide';
  const { value, seconds } = await timed(async () => {
    await db.put(key, 'low');
    const snapshot = await db.snapshot();
    await db.put(key, 'high');
    const seen = [await snapshot.get(key), await db.get(key)];
    await snapshot.close();
    return seen;
  });
  await db.delete(key);
  return {
    what: 'write behind a snapshot',
    result: `it still reads '${value[0]}', the database '${value[1]}'`,
    seconds,
    count: 4,
    unit: 'calls',
  };
}
