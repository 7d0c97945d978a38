// One writer or several readers: other processes, and other copies of the addon in this one, are kept out.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { destroy, open } from '../lib/index.ts';
import { type Child, start, startScript, urlOf } from './helpers/child.ts';
import { rejects } from './helpers/expect.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('database: locking');
const space = new Workspace();
test.after(() => space.clean());

function holder(location: string, options: object = {}): Child {
  return start('holder.ts', [location, JSON.stringify(options)]);
}

async function ask(child: Child, question: string, answer: string): Promise<void> {
  child.send(question);
  await child.expect(answer);
}

async function end(child: Child): Promise<void> {
  child.process.stdin?.end();
  const { code, stderr } = await child.end;
  assert.equal(code, 0, stderr);
}

test('a second process gets ERR_LOCKED, for writing, for reading and for destroying, until the first has closed', async () => {
  const location = space.folder();
  const first = holder(location);
  await first.expect('open');
  await ask(first, 'put a 1', 'written');
  await rejects(() => open(location), 'ERR_LOCKED', /open elsewhere/);
  await rejects(() => open(location, { readOnly: true }), 'ERR_LOCKED', /open elsewhere/);
  await rejects(() => destroy(location), 'ERR_LOCKED', /open elsewhere/);
  await ask(first, 'put b 2', 'written');
  await ask(first, 'close', 'closed');
  const db = await space.open({}, location);
  assert.deepEqual(await db.getMany(['a', 'b']), ['1', '2']);
  await end(first);
});

test('this process keeps others out as well, and a failed attempt does not open the door', async () => {
  const db = await space.open();
  await db.put('k', 'v');
  for (let attempt = 0; attempt < 2; attempt++) {
    const other = holder(db.location);
    await other.expect('ERR_LOCKED');
    await end(other);
  }
  const reader = holder(db.location, { readOnly: true });
  await reader.expect('ERR_LOCKED');
  await end(reader);
  await db.put('k', 'w');
  await db.close();
  const next = holder(db.location);
  await next.expect('open');
  await ask(next, 'get k', 'w');
  await end(next);
});

test('a failed attempt of this process to open does not keep others out', async () => {
  const location = space.folder();
  const first = holder(location);
  await first.expect('open');
  await rejects(() => open(location), 'ERR_LOCKED');
  await ask(first, 'close', 'closed');
  const second = holder(location);
  await second.expect('open');
  await rejects(() => open(location), 'ERR_LOCKED');
  await Promise.all([end(first), end(second)]);
});

test('read-only processes read side by side, and keep writers out', async () => {
  const location = space.folder();
  const writer = await space.open({}, location);
  await writer.put('k', 'v');
  await writer.close();
  const readers = [holder(location, { readOnly: true }), holder(location, { readOnly: true })];
  for (const reader of readers) await reader.expect('open');
  const here = await space.open({ readOnly: true }, location);
  assert.equal(await here.get('k'), 'v');
  for (const reader of readers) {
    await ask(reader, 'get k', 'v');
    await ask(reader, 'put k w', 'ERR_READ_ONLY');
  }
  await here.close();
  await rejects(() => open(location), 'ERR_LOCKED', /open elsewhere/);
  await rejects(() => destroy(location), 'ERR_LOCKED');
  for (const reader of readers) {
    await ask(reader, 'close', 'closed');
    await end(reader);
  }
  assert.equal(await (await space.open({}, location)).get('k'), 'v');
});

test('the lock of a killed process is free at once', async () => {
  const location = space.folder();
  const first = holder(location);
  await first.expect('open');
  await ask(first, 'put k v', 'written');
  await first.kill();
  const db = await space.open({}, location);
  assert.equal(await db.get('k'), 'v');
});

test('a second copy of the addon in the same process gets ERR_LOCKED', async () => {
  const copy = path.join(space.folder('copy'), '..', 'copy.node');
  copyFileSync(path.join(import.meta.dirname, '../build/Release/thermocline.node'), copy);
  // The bare addon: a dispatcher takes (ticket, code, payload) triples.
  const script = `
    import { createRequire } from 'node:module';
    const { open, destroy } = await import(${JSON.stringify(urlOf('dist/esm/index.js'))});
    const second = createRequire(import.meta.url)(${JSON.stringify(copy)});
    const waiting = new Map();
    second.setDispatcher((triples) => {
      for (let i = 0; i < triples.length; i += 3) waiting.get(triples[i])(second.codes[triples[i + 1]]);
    });
    let tickets = 0;
    const call = (name, ...args) => new Promise((resolve) => {
      waiting.set(++tickets, resolve);
      second[name](tickets, ...args);
    });
    const location = ${JSON.stringify(space.folder())};
    const db = await open(location);
    await db.put('k', Buffer.from('v'));
    console.log(await call('open', location, {}), await call('open', location, { readOnly: true }), await call('destroy', location));
    await db.put('k', Buffer.from('w'));
    await db.close();
    console.log(await call('open', location, {}));
    console.log(await open(location).then(() => 'open', (error) => error.code));
  `;
  const { code, signal, stdout, stderr } = await startScript(script).end;
  const lines = 'ERR_LOCKED ERR_LOCKED ERR_LOCKED\nOK\nERR_LOCKED\n';
  assert.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: lines }, stderr);
});

test.run();
