import { type Row, RowError } from './blocks.ts';
import { lexFiles } from './wordnet-lexnames.ts';

/** Part of speech in keys: noun, verb, adjective, adverb. */
export type Pos = 'n' | 'v' | 'a' | 'r';

/** A link from a synset (or one of its words) to another, such as `@` for hypernym. */
export interface Pointer {
  symbol: string;
  offset: string;
  pos: Pos;
  /** Number of the word, from 1, that the pointer starts from; 0 for the whole synset. */
  source: number;
  /** Number of the word in the other synset; 0 for the whole synset. */
  target: number;
}

/** One meaning: a set of synonyms. The value under `synset/<pos>/<offset>`. */
export interface Synset {
  pos: Pos;
  offset: string;
  /** `s` is a satellite: an adjective near another. */
  type: Pos | 's';
  /** The lexicographer's file, such as `noun.animal`. */
  lexFile: string;
  /** `marker` says where an adjective may stand: a (before the noun), p (predicative), ip (after the noun). */
  words: { word: string; lexId: number; marker?: string }[];
  pointers: Pointer[];
  /** Sentence frames of a verb; `word` is the number of the word, or 0 for all of them. */
  frames?: { frame: number; word: number }[];
  gloss: string;
}

/** A word with its meanings, the commonest first. The value under `word/<pos>/<lemma>`. */
export interface Word {
  lemma: string;
  pos: Pos;
  /** The kinds of pointers that its synsets have. */
  pointerSymbols: string[];
  senseCount: number;
  /** How many senses occur in the tagged texts. */
  taggedSenses: number;
  synsets: string[];
}

/** One word in one meaning. The value under `sense/<sense key>`. */
export interface Sense {
  pos: Pos;
  synset: string;
  senseNumber: number;
  /** How often the sense occurs in the tagged texts. */
  tagCount: number;
}

/** The key of a synset. */
export function synsetKey(pos: Pos, offset: string): string {
  return `synset/${pos}/${offset}`;
}

/** The key of a word. @param lemma in lower case, with underscores for spaces */
export function wordKey(pos: Pos, lemma: string): string {
  return `word/${pos}/${lemma}`;
}

/** One record from a line of data.noun, data.verb, data.adj or data.adv; undefined for the licence's lines. */
export function dataRow(line: string): Row | undefined {
  if (isLicence(line)) return undefined;
  const synset = parseSynset(line);
  return { key: synsetKey(synset.pos, synset.offset), value: JSON.stringify(synset) };
}

/** One record from a line of index.noun, index.verb, index.adj or index.adv; undefined for the licence's lines. */
export function indexRow(line: string): Row | undefined {
  if (isLicence(line)) return undefined;
  const word = parseWord(line);
  return { key: wordKey(word.pos, word.lemma), value: JSON.stringify(word) };
}

/** One record from a line of index.sense. */
export function senseRow(line: string): Row | undefined {
  if (isLicence(line)) return undefined;
  const { key, ...sense } = parseSense(line);
  return { key: `sense/${key}`, value: JSON.stringify(sense) };
}

function isLicence(line: string): boolean {
  return line.startsWith('  ') || line.trim() === '';
}

/**
 * Parses a line of a data file, as wndb(5WN) describes it:
 * `offset lexfile type words (word lexid)... pointers (symbol offset pos source/target)... [frames (+ frame word)...] | gloss`.
 *
 * @throws RowError when it does not follow that
 */
export function parseSynset(line: string): Synset {
  const bar = line.indexOf(' | ');
  if (bar < 0) throw new RowError('there is no gloss (" | ")');
  const fields = new Fields(line.slice(0, bar));
  const offset = fields.offset('the synset offset');
  const lexFile = lexFiles[fields.number('the lexicographer file', 10)];
  if (lexFile === undefined) throw new RowError('there is no such lexicographer file');
  const type = fields.next('the synset type') as Synset['type'];
  const pos = type === 's' ? 'a' : asPos(type);
  const words: Synset['words'] = [];
  for (let left = fields.number('the number of words', 16); left > 0; left--) {
    const text = fields.next('a word');
    const lexId = fields.number('a lexical id', 16);
    const paren = pos === 'a' ? text.indexOf('(') : -1;
    if (paren < 0) words.push({ word: text, lexId });
    else words.push({ word: text.slice(0, paren), lexId, marker: text.slice(paren + 1, -1) });
  }
  const pointers: Pointer[] = [];
  for (let left = fields.number('the number of pointers', 10); left > 0; left--) {
    const symbol = fields.next('a pointer symbol');
    const to = fields.offset('a pointer offset');
    const toPos = asPos(fields.next('a pointer part of speech'));
    const ends = fields.number('a pointer source and target', 16);
    pointers.push({ symbol, offset: to, pos: toPos, source: ends >> 8, target: ends & 0xff });
  }
  const gloss = line.slice(bar + 3).trim();
  if (pos !== 'v') {
    fields.end();
    return { pos, offset, type, lexFile, words, pointers, gloss };
  }
  const frames: { frame: number; word: number }[] = [];
  for (let left = fields.number('the number of frames', 10); left > 0; left--) {
    if (fields.next('a frame') !== '+') throw new RowError('a frame does not begin with +');
    frames.push({ frame: fields.number('a frame number', 10), word: fields.number('a frame word', 16) });
  }
  fields.end();
  return { pos, offset, type, lexFile, words, pointers, frames, gloss };
}

/**
 * Parses a line of an index file:
 * `lemma pos synsets pointers symbol... senses tagged offset...`.
 *
 * @throws RowError when it does not follow that
 */
export function parseWord(line: string): Word {
  const fields = new Fields(line);
  const lemma = fields.next('the lemma');
  const pos = asPos(fields.next('the part of speech'));
  const count = fields.number('the number of synsets', 10);
  const pointerSymbols: string[] = [];
  for (let left = fields.number('the number of pointer symbols', 10); left > 0; left--) {
    pointerSymbols.push(fields.next('a pointer symbol'));
  }
  const senseCount = fields.number('the number of senses', 10);
  const taggedSenses = fields.number('the number of tagged senses', 10);
  const synsets: string[] = [];
  for (let left = count; left > 0; left--) synsets.push(fields.offset('a synset offset'));
  fields.end();
  return { lemma, pos, pointerSymbols, senseCount, taggedSenses, synsets };
}

const sensePos: Record<string, Pos> = { 1: 'n', 2: 'v', 3: 'a', 4: 'r', 5: 'a' };

/**
 * Parses a line of index.sense, as senseidx(5WN) describes it: `key offset number count`, where the digit after `%` in
 * the key is the part of speech.
 *
 * @throws RowError when it does not follow that
 */
export function parseSense(line: string): Sense & { key: string } {
  const fields = new Fields(line);
  const key = fields.next('the sense key');
  const pos = sensePos[key[key.lastIndexOf('%') + 1] ?? ''];
  if (pos === undefined || !key.includes('%')) throw new RowError(`'${key}' is no sense key`);
  const synset = fields.offset('the synset offset');
  const senseNumber = fields.number('the sense number', 10);
  const tagCount = fields.number('the tag count', 10);
  fields.end();
  return { key, pos, synset, senseNumber, tagCount };
}

function asPos(text: string): Pos {
  if (text === 'n' || text === 'v' || text === 'a' || text === 'r') return text;
  throw new RowError(`'${text}' is no part of speech (n, v, a, r)`);
}

/** The fields of one line, separated by single spaces, taken in order. */
class Fields {
  readonly #fields: string[];
  #at = 0;

  constructor(line: string) {
    this.#fields = line.trimEnd().split(' ');
  }

  next(what: string): string {
    const field = this.#fields[this.#at++];
    if (!field) throw new RowError(`${what} is missing`);
    return field;
  }

  number(what: string, base: 10 | 16): number {
    const field = this.next(what);
    if (!(base === 10 ? /^\d+$/ : /^[\da-f]+$/i).test(field)) throw new RowError(`${what} is '${field}', not a number`);
    return Number.parseInt(field, base);
  }

  offset(what: string): string {
    const field = this.next(what);
    if (!/^\d{8}$/.test(field)) throw new RowError(`${what} is '${field}', not eight digits`);
    return field;
  }

  end(): void {
    if (this.#at < this.#fields.length)
      throw new RowError(`after the last field there is more: '${this.#fields[this.#at]}'`);
  }
}
