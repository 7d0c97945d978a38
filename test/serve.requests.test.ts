// serve(): what the live page answers, and whom it refuses.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import type { LiveServer, ServeOptions } from '../lib/index.ts';
import { rejects } from './helpers/expect.ts';
import { parseMetrics } from './helpers/prometheus-text.ts';
import { type TextDatabase, Workspace } from './helpers/workspace.ts';

const test = suite('serve: requests');
const space = new Workspace();
test.after(() => space.clean());

interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** With node:http, for fetch sets Host and Origin itself. */
function ask(server: LiveServer, path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function serving(options: ServeOptions = {}): Promise<[TextDatabase, LiveServer]> {
  const db = await space.open();
  return [db, await db.serve({ port: 0, ...options })];
}

test('/stats, /metrics and /health say what the database says', async () => {
  const [db, server] = await serving();
  await db.putMany([
    ['a', '1'],
    ['b', '2'],
  ]);
  assert.equal(server.url, `http://127.0.0.1:${server.port}/`);
  const stats = await ask(server, '/stats');
  assert.deepEqual(JSON.parse(stats.body).operations, db.stats().operations);
  assert.equal(stats.headers['cache-control'], 'no-store');
  const metrics = await ask(server, '/metrics');
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(parseMetrics(metrics.body).value('thermocline_operations_total{operation="put"}'), 2);
  const health = await ask(server, '/health');
  assert.equal(health.status, 200);
  assert.ok(['ok', 'critical'].includes(JSON.parse(health.body).status));
  await db.close();
});

test('the page and what it loads come from here alone', async () => {
  const [db, server] = await serving();
  const page = await ask(server, '/');
  assert.equal(page.status, 200);
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; script-src 'self'/);
  const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link as string);
  assert.ok(links.length >= 4);
  for (const link of links) {
    const { status, body } = await ask(server, link);
    assert.equal(status, 200, link);
    for (const [, imported] of body.matchAll(/from ["'](\.\/[^"']+)["']/g)) {
      assert.equal((await ask(server, (imported as string).slice(1))).status, 200, imported);
    }
  }
  const head = await ask(server, '/', { method: 'HEAD' });
  assert.deepEqual([head.status, head.body], [200, '']);
  for (const path of ['/../package.json', '/%2e%2e/package.json', '/page/page.js', '/nothing', '/__proto__']) {
    assert.equal((await ask(server, path)).status, 404, path);
  }
  await db.close();
});

test('nothing can be changed: other methods and bodies are refused', async () => {
  const [db, server] = await serving();
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    assert.equal((await ask(server, '/stats', { method })).status, 405, method);
  }
  assert.equal((await ask(server, '/stats', { body: 'x', headers: { 'content-length': '1' } })).status, 413);
  assert.equal((await ask(server, `/stats?${'x'.repeat(3000)}`)).status, 414);
  assert.equal((await ask(server, '/stats', { headers: { 'x-large': 'x'.repeat(10_000) } })).status, 431);
  assert.equal((await ask(server, '/stats')).status, 200, 'it goes on');
  assert.equal(db.stats().writes.commits, 0);
  await db.close();
});

test('foreign names and origins are refused', async () => {
  const [db, server] = await serving({ names: ['figures.example'] });
  const own = `127.0.0.1:${server.port}`;
  const cases: [number, Record<string, string>][] = [
    [200, { host: own }],
    [200, { host: `localhost:${server.port}` }],
    [200, { host: own, origin: `http://${own}` }],
    [200, { host: 'figures.example' }],
    [403, { host: 'evil.example' }],
    [403, { host: `evil.example:${server.port}` }],
    [403, { host: `127.0.0.1:${server.port + 1}` }],
    [403, { host: '127.0.0.1.evil.example' }],
    [403, { host: `${own}@evil.example` }],
    [403, { host: own, origin: 'http://evil.example' }],
    [403, { host: own, origin: 'null' }],
  ];
  for (const [status, headers] of cases) {
    assert.equal((await ask(server, '/stats', { headers })).status, status, JSON.stringify(headers));
  }
  await db.close();
});

test('with a token nobody passes without it, and a browser presents it once', async () => {
  const token = 'a secret of 24 characters';
  const [db, server] = await serving({ token: encodeURIComponent(token) });
  const given = encodeURIComponent(token);
  for (const path of ['/', '/stats', '/metrics', '/health', '/events', '/page.js']) {
    assert.equal((await ask(server, path)).status, 401, path);
    assert.equal((await ask(server, path, { headers: { authorization: 'Bearer wrong' } })).status, 401, path);
  }
  assert.equal((await ask(server, '/stats', { headers: { authorization: `Bearer ${given}` } })).status, 200);
  assert.equal((await ask(server, '/?token=wrong')).status, 401);
  const first = await ask(server, `/?token=${encodeURIComponent(given)}`);
  assert.deepEqual([first.status, first.headers.location], [303, '/']);
  const cookie = String(first.headers['set-cookie']);
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  assert.equal((await ask(server, '/stats', { headers: { cookie: cookie.split(';')[0] as string } })).status, 200);
  await db.close();
});

test('a browser that holds an earlier token, or that of another port, presents the new one', async () => {
  const [[db, server], [otherDb, other]] = await Promise.all([
    serving({ token: 'the token of today' }),
    serving({ token: 'the token of another' }),
  ]);
  const nameOf = (answer: Answer) => String(answer.headers['set-cookie']).split('=')[0] as string;
  const first = await ask(server, '/?token=the%20token%20of%20today');
  const second = await ask(other, '/?token=the%20token%20of%20another');
  assert.notEqual(nameOf(first), nameOf(second), 'cookies do not know ports');
  const cookie = `${nameOf(first)}=the%20token%20of%20yesterday`;
  assert.equal((await ask(server, '/stats', { headers: { cookie } })).status, 401);
  assert.equal((await ask(server, '/?token=the%20token%20of%20today', { headers: { cookie } })).status, 303);
  await Promise.all([db.close(), otherDb.close()]);
});

test('an address that is none is answered, not hung up on', async () => {
  const [db, server] = await serving();
  for (const path of ['//[/', '//:x@/', '//a:99999/stats']) assert.equal((await ask(server, path)).status, 400, path);
  await db.close();
});

test('addresses that others reach need a token, and bad options are refused', async () => {
  const db = await space.open();
  await rejects(() => db.serve({ host: '0.0.0.0' }), 'ERR_INVALID_ARGUMENT', /token/);
  await rejects(() => db.serve({ token: 'short' }), 'ERR_INVALID_ARGUMENT', /16/);
  await rejects(() => db.serve({ host: 'example.com' }), 'ERR_INVALID_ARGUMENT', /host/);
  await rejects(() => db.serve({ port: 70_000 }), 'ERR_INVALID_ARGUMENT', /port/);
  await rejects(() => db.serve({ ports: 1 } as never), 'ERR_INVALID_ARGUMENT', /ports/);
  const server = await db.serve({ port: 0 });
  await rejects(() => db.serve({ port: server.port }), 'ERR_INVALID_ARGUMENT', /in use/);
  await db.close();
  await rejects(() => db.serve({ port: 0 }), 'ERR_CLOSED');
});

test('what is no HTTP is refused and harms nobody', async () => {
  const [db, server] = await serving();
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    const socket = connect(server.port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('close', () => resolve(text));
    socket.on('error', () => {});
  });
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.equal((await ask(server, '/stats')).status, 200);
  await db.close();
});

test('events: first what was, then a frame a second, and the end with the database', async () => {
  const [db, server] = await serving();
  const response = await fetch(new URL('/events', server.url));
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  await db.put('a', '1');
  let text = '';
  let closing: Promise<void> | undefined;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(part).toString();
    const frames = text.split('event: frame\n').length - 1;
    if (frames >= 3) closing ??= db.close();
  }
  await closing;
  const [history, ...frames] = text.trim().split('\n\n');
  assert.match(history ?? '', /^event: history\ndata: \{/);
  const last = JSON.parse((frames.at(-1) ?? '').split('\ndata: ')[1] ?? '');
  assert.equal(last.stats.operations.put.operations, 1);
  assert.deepEqual(Object.keys(last), ['point', 'stats', 'alerts', 'over']);
  await sleep(10);
  await assert.rejects(() => fetch(new URL('/stats', server.url)), 'nobody listens any more');
});

test('closing the page leaves the database open', async () => {
  const [db, server] = await serving();
  await server.close();
  await server.close();
  await assert.rejects(() => fetch(new URL('/stats', server.url)));
  await db.put('a', '1');
  await db.close();
});

test.run();
