// `thermocline import`, from databases that the other stores made.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { open as openLmdb } from 'lmdb';
import { suite } from 'uvu';
import { kindOfFiles } from '../lib/cli/import/kind.ts';
import { loadPeer } from '../lib/cli/import/peer.ts';
import { runProgram } from '../lib/cli/program.ts';
import { open } from '../lib/index.ts';
import { figures, start, succeed, untilHolds, Workplace } from './cli.helper.test.ts';

interface Level {
  open(options: object): Promise<void>;
  batch(operations: object[]): Promise<void>;
  close(): Promise<void>;
}
type LevelClass = new (location: string, options: object) => Level;
const require = createRequire(import.meta.url);
const { ClassicLevel } = require('classic-level') as { ClassicLevel: LevelClass };
const { RocksLevel } = require('@nxtedition/rocksdb') as { RocksLevel: LevelClass };

const test = suite('command line: import');
const place = new Workplace();
test.after(() => place.remove());

type Record = [key: Buffer, value: Buffer];
const total = 60_000;
const bytes = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;

/** Keys and values of all sizes and bytes, in key order; no two alike. */
const few: Record[] = [
  [Buffer.from([0]), Buffer.alloc(0)],
  [Buffer.from([0, 255]), Buffer.from('zero and 255')],
  ...Array.from({ length: 1300 }, (_, i): Record => {
    return [Buffer.from(`k${String(i).padStart(5, '0')}`), Buffer.alloc(i % 7 === 0 ? 5000 : i % 50, i)];
  }),
  [Buffer.from('æøå'), Buffer.from([0, 1, 2, 255])],
  [Buffer.from([255, 255]), Buffer.from('last')],
];

async function* many(): AsyncGenerator<Record[]> {
  for (let i = 0; i < total; i += 1000) {
    yield Array.from({ length: 1000 }, (_, j): Record => {
      return [Buffer.from(String(i + j).padStart(7, '0')), Buffer.alloc(200, `${i + j} `)];
    });
  }
}

const puts = (records: Record[]) => records.map(([key, value]) => ({ type: 'put' as const, key, value }));

async function makeClassicLevel(location: string, chunks: AsyncIterable<Record[]> | Record[][]): Promise<void> {
  const level = new ClassicLevel(location, bytes);
  for await (const records of chunks) await level.batch(puts(records));
  await level.close();
}

async function recordsOf(location: string): Promise<Record[]> {
  const db = await open(location, { keyEncoding: 'buffer', valueEncoding: 'buffer', readOnly: true });
  const records = await db.iterator().nextMany(1_000_000);
  await db.close();
  return records;
}

/** The command in this process, which spares starting one; its summary goes to the test's output. */
async function imports(...args: string[]): Promise<void> {
  assert.equal(await runProgram(['node', 'thermocline', 'import', ...args]), 0);
}

test('a classic-level database is copied byte by byte, its store told by its files', async () => {
  await makeClassicLevel(place.path('level'), [few]);
  const summary = await succeed(['import', place.path('level.db'), place.path('level'), '--verify']);
  assert.deepEqual(await recordsOf(place.path('level.db')), few);
  const { records, verified, bytes } = figures(summary);
  const expected = few.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  assert.deepEqual({ records, verified, bytes }, { records: few.length, verified: few.length, bytes: expected });
});

test('a RocksDB database is copied byte by byte', async () => {
  const rocks = new RocksLevel(place.path('rocks'), bytes);
  await rocks.open({ ...bytes, createIfMissing: true });
  await rocks.batch(puts(few));
  await rocks.close();
  await imports(place.path('rocks.db'), place.path('rocks'), '--verify');
  assert.deepEqual(await recordsOf(place.path('rocks.db')), few);
});

test('an lmdb database is copied byte by byte', async () => {
  const lmdb = openLmdb({ path: place.path('lmdb'), keyEncoding: 'binary', encoding: 'binary' });
  for (const [key, value] of few) lmdb.put(key, value);
  await lmdb.flushed;
  await lmdb.close();
  await imports(place.path('lmdb.db'), place.path('lmdb'), '--verify');
  assert.deepEqual(await recordsOf(place.path('lmdb.db')), few);
});

test('--decode turns what the lmdb package encodes into text and JSON, and refuses what is neither', async () => {
  const root = openLmdb({ path: place.path('decode') });
  const people = root.openDB({ name: 'people' });
  await people.put('kari', { age: 7, names: ['Kari'] });
  await people.put('ola', 'text');
  const numbers = root.openDB({ name: 'numbers' });
  await numbers.put(5, 'five');
  await root.close();
  const source = place.path('decode');
  await imports(place.path('people.db'), source, '--name', 'people', '--decode');
  assert.deepEqual(
    (await recordsOf(place.path('people.db'))).map((record) => record.map(String)),
    [
      ['kari', '{"age":7,"names":["Kari"]}'],
      ['ola', '"text"'],
    ],
  );
  await assert.rejects(imports(place.path('n.db'), source, '--name', 'numbers', '--decode'), {
    exitCode: 1,
    message: 'the key 5 is not text; import without --decode to copy keys as they are stored',
  });
  await assert.rejects(imports(place.path('m.db'), source, '--name', 'nobody'), {
    code: 'ERR_NOT_FOUND',
    message: /^there is no database named nobody in /,
  });
  assert.ok(!existsSync(place.path('m.db')), 'no empty database is left behind');
});

test('a database that holds records is touched only by --into-existing', async () => {
  await makeClassicLevel(place.path('two'), [few.slice(2, 4)]);
  const db = place.path('existing.db');
  const existing = await open(db);
  await existing.batch(['k00000', 'other'].map((key) => ({ type: 'put' as const, key, value: Buffer.from('kept') })));
  await existing.close();
  await assert.rejects(imports(db, place.path('two')), /holds records already: --resume .* --into-existing/);
  assert.deepEqual((await recordsOf(db)).map(String), ['k00000,kept', 'other,kept']);
  await imports(db, place.path('two'), '--into-existing');
  assert.deepEqual(await recordsOf(db), [...few.slice(2, 4), [Buffer.from('other'), Buffer.from('kept')]]);
});

test('an import that was killed is resumed where it ended, and one that was interrupted too', async () => {
  const source = place.path('many');
  await makeClassicLevel(source, many());
  const db = place.path('resumed.db');
  const killed = start('main', ['import', db, source]);
  await untilHolds(db, 500_000);
  killed.child.kill('SIGKILL');
  await killed.ended;
  const first = (await recordsOf(db)).length;

  const interrupted = start('main', ['import', db, source, '--resume']);
  await Promise.race([untilHolds(db, 4_000_000), interrupted.ended]);
  interrupted.child.kill('SIGINT');
  const { code, stdout, stderr } = await interrupted.ended;
  if (code === 130)
    assert.match(stderr, /^thermocline: interrupted; [0-9,]+ records? of it (is|are) kept in .* --resume/);
  else assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const second = (await recordsOf(db)).length;
  // The record that it resumed at is counted, and was there.
  assert.equal(second, first + (figures(stdout).records as number) - (first > 0 ? 1 : 0));
  console.log(`note: killed after ${first} records, interrupted after ${second} of ${total}`);

  await imports(db, source, '--resume', '--verify');
  assert.equal((await recordsOf(db)).length, total);
});

test('the store is told by its files, or asked for', async () => {
  assert.equal(kindOfFiles(['data.mdb', 'lock.mdb']), 'lmdb');
  assert.equal(kindOfFiles(['CURRENT', 'MANIFEST-000002', 'LOG', '000003.log']), 'classic-level');
  assert.equal(kindOfFiles(['CURRENT', 'IDENTITY', 'OPTIONS-000007']), 'rocksdb');
  assert.equal(kindOfFiles(['notes.txt']), undefined);
  mkdirSync(place.path('empty'));
  await assert.rejects(imports(place.path('x.db'), place.path('empty')), {
    exitCode: 2,
    message: /do not tell which store made them; say --from lmdb, classic-level, rocksdb/,
  });
  await assert.rejects(imports(place.path('x.db'), place.path('nowhere')), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(imports(place.path('x.db'), place.path('empty'), '--from', 'rocksdb', '--decode'), {
    exitCode: 2,
    message: '--name and --decode are for lmdb alone',
  });
});

test('a package that is not installed is asked for by name, and a source that does not open is named', async () => {
  await assert.rejects(loadPeer('no-such-store', place.folder), {
    code: 'ERR_NOT_FOUND',
    message: /needs the package no-such-store, which is not installed in .*; run 'npm install no-such-store' there/,
  });
  const db = place.path('y.db');
  await assert.rejects(imports(db, place.path('empty'), '--from', 'classic-level'), {
    exitCode: 1,
    message: /^cannot open .*empty: .*does not exist/,
  });
  assert.ok(!existsSync(db), 'no empty database is left behind');
});

test.run();
