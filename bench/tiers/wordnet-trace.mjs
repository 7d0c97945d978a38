// Reads as programs over WordNet make them. Words are chosen as often as they were met in the texts that WordNet's authors
// tagged by hand (SemCor and others: the counts of index.sense, plus a tenth, since most senses were never met).
//
//   paths     a word, the meaning, and what it is a kind of, up to the root: what similarity of words is computed from
//   browsing  a word, the meaning, then relations: three times in four the first one, mostly what it is a kind of, else
//             any; after each synset one in five goes no further
//   random    any record, all alike

/** xorshift32: the same reads for the same seed. */
export function randomFrom(seed) {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const STEPS = 12;
const FIRST = 0.75;
const STOP = 0.2;

/** Reads WordNet out of a database that `thermocline load` made. */
export async function readWordnet(db) {
  const relations = new Map();
  for await (const [key, value] of db.iterator({ prefix: 'synset/' })) {
    const of = value.pointers.map(({ pos, offset }) => `synset/${pos}/${offset}`);
    const kind = value.pointers.findIndex(({ symbol }) => symbol.startsWith('@'));
    if (kind > 0) of.unshift(...of.splice(kind, 1));
    relations.set(key, { of, isKind: kind >= 0 });
  }
  const starts = [];
  const sums = [];
  let sum = 0;
  for await (const [key, { pos, synset, tagCount }] of db.iterator({ prefix: 'sense/' })) {
    sum += tagCount + 0.1;
    sums.push(sum);
    starts.push({
      word: `word/${pos}/${key.slice('sense/'.length, key.lastIndexOf('%'))}`,
      synset: `synset/${pos}/${synset}`,
    });
  }
  const words = new Set();
  for await (const key of db.keys({ prefix: 'word/' })) words.add(key);
  return { relations, starts, sums, keys: [...relations.keys(), ...words], words };
}

/** The keys of one trace, endlessly. `most`: how many of the meanings it chooses from, the likeliest first; 0: all. */
export function* trace(wordnet, kind, random, most = 0) {
  const { relations, keys, words } = wordnet;
  const { starts, sums } = most === 0 ? wordnet : likeliest(wordnet, most);
  for (;;) {
    if (kind === 'random') {
      yield keys[Math.floor(random() * keys.length)];
      continue;
    }
    const { word, synset } = starts[lowerBound(sums, random() * sums.at(-1))];
    if (words.has(word)) yield word;
    yield synset;
    let at = relations.get(synset);
    for (let step = 0; step < STEPS && at !== undefined && at.of.length > 0; step++) {
      if (kind === 'paths' ? !at.isKind : random() < STOP) break;
      const next = at.of[kind === 'paths' || random() < FIRST ? 0 : Math.floor(random() * at.of.length)];
      yield next;
      at = relations.get(next);
    }
  }
}

function lowerBound(sums, target) {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

function likeliest({ starts, sums }, most) {
  const order = sums.map((sum, i) => [sum - (sums[i - 1] ?? 0), starts[i]]).sort((a, b) => b[0] - a[0]);
  let sum = 0;
  const chosen = order.slice(0, most);
  return { starts: chosen.map(([, start]) => start), sums: chosen.map(([weight]) => (sum += weight)) };
}
