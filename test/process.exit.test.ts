// How programs end while they use a database: by themselves, by force, by mistake. And races between endings.

import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { start } from './helpers/child.ts';
import { RUNS } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const exits = suite('process: exit');
const space = new Workspace();

for (const way of ['an open database', 'an unclosed iterator', 'an unclosed snapshot', 'reads that nobody awaits']) {
  exits(`a program ends by itself with ${way}`, async () => {
    const location = space.folder();
    const { code, signal, stdout, stderr } = await start('exit.ts', [way, location]).end;
    assert.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'end of program\n' }, stderr);
    const db = await space.open({}, location);
    assert.equal((await db.keys().nextMany(1000)).length, 100);
  });
}

exits('a program ends by itself only after the writes that nobody awaits', async () => {
  const location = space.folder();
  const { code, signal, stderr } = await start('exit.ts', ['writes that nobody awaits', location]).end;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
  const db = await space.open({}, location);
  const values = await db.getMany(Array.from({ length: 5000 }, (_, i) => `late${i}`));
  for (const [i, value] of values.entries()) assert.equal(value, String(i));
  assert.equal(await db.get('late batch'), 'b');
});

exits('a program ends by itself after a close that nobody awaits', async () => {
  const location = space.folder();
  const { code, signal, stderr } = await start('exit.ts', ['a close that nobody awaits', location]).end;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
  assert.equal(await (await space.open({}, location)).get('last'), 'words');
});

exits('process.exit amid writes, reads and iterators ends at once and keeps what was acknowledged', async () => {
  for (let round = 0; round < 3; round++) {
    const location = space.folder();
    const { code, signal, stdout, stderr } = await start('exit.ts', ['process.exit amid writes', location]).end;
    assert.deepEqual({ code, signal, stdout }, { code: 7, signal: null, stdout: '' }, stderr);
    const db = await space.open({}, location);
    assert.equal(await db.get('acknowledged'), 'yes');
    assert.equal((await db.keys({ prefix: 'k' }).nextMany(9000)).length, 3000);
    await db.close();
  }
});

exits('process.exit while databases are being opened or closed crashes nothing', async () => {
  const delays = [1, 20, 40, 60, 80, 100, 120, 150].flatMap((delay) => Array.from({ length: RUNS }, () => delay));
  for (const delay of delays) {
    const args = ['process.exit while databases open and close', space.folder(), String(delay)];
    const { code, signal, stderr } = await start('exit.ts', args).end;
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' }, `after ${delay} ms`);
  }
});

exits('process.exit amid work that reads the options of RocksDB ends at once', async () => {
  // Static objects were destroyed under the threads that do it. Seen in one exit of ten, so build.test.ts looks at the cause.
  for (const delay of Array.from({ length: 3 * RUNS }, (_, i) => 5 + 10 * i)) {
    const args = ['process.exit amid splits, compaction and backups', space.folder(), String(delay)];
    const { code, signal, stderr } = await start('exit.ts', args).end;
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' }, `after ${delay} ms`);
  }
});

exits('an uncaught exception ends the program as ever, and keeps what was acknowledged', async () => {
  const location = space.folder();
  const { code, signal, stderr } = await start('exit.ts', ['an uncaught exception', location]).end;
  assert.deepEqual({ code, signal }, { code: 1, signal: null });
  assert.match(stderr, /Error: uncaught/);
  assert.equal(await (await space.open({}, location)).get('acknowledged'), 'yes');
});

exits.run();

const races = suite('process: races between endings');
races.after(() => space.clean());

const RACES: [string, number][] = [
  ['iterators and their database are closed at once', 25],
  ['iterators are closed while their first records are on the way', 10],
  ['the garbage collector takes iterators and snapshots while the database closes', 25],
  ['the garbage collector takes iterators amid their reading', 5],
  ['the garbage collector takes a database that nobody closed', 10],
  ['snapshots are closed while they are read', 10],
];

for (const [race, rounds] of RACES) {
  races(`nothing crashes when ${race}`, async () => {
    const args = [race, space.folder(), String(rounds * RUNS)];
    const { code, signal, stdout, stderr } = await start('races.ts', args, { nodeArguments: ['--expose-gc'] }).end;
    assert.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'done\n' }, stderr);
  });
}

races.run();
