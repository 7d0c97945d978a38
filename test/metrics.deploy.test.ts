// deploy/: the rules, the dashboard's queries and a real Prometheus server. Skipped where it is not installed.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import { hasProgram } from './helpers/programs-found.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('metrics: deploy');
const space = new Workspace();
test.after(() => space.clean());

const deploy = path.join(import.meta.dirname, '../deploy');
const ifPromtool = hasProgram('promtool') ? test : test.skip;
const ifPrometheus = hasProgram('prometheus') ? test : test.skip;

ifPromtool('the alert rules are right and do what their tests say (needs promtool)', () => {
  const run = (...args: string[]) => execFileSync('promtool', args, { cwd: deploy, encoding: 'utf8' });
  assert.match(run('check', 'rules', 'alerts.yml'), /SUCCESS: 7 rules found/);
  assert.match(run('test', 'rules', 'alerts.test.yml'), /SUCCESS/);
});

interface Dashboard {
  panels: { targets: { expr: string }[] }[];
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

ifPrometheus(
  'a real server scrapes it, every query of the dashboard has data, and alerts fire in a stall and a full tier (needs prometheus)',
  async () => {
    const db = await space.open({
      shards: 1,
      memory: { writeBuffer: '1MB', hotCache: '1MB' },
      tiers: { hot: { rateLimit: 300_000 }, cold: { capacity: '20KB' } },
    });
    const page = await db.serve({ port: 0 });
    const folder = space.folder('prometheus');
    mkdirSync(folder);
    copyFileSync(path.join(deploy, 'alerts.yml'), path.join(folder, 'alerts.yml'));
    const config = readFileSync(path.join(deploy, 'prometheus.yml'), 'utf8');
    writeFileSync(
      path.join(folder, 'prometheus.yml'),
      config.replace('127.0.0.1:7379', `127.0.0.1:${page.port}`).replaceAll(': 5s', ': 1s'),
    );
    const port = await freePort();
    const server = spawn(
      'prometheus',
      [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
    const kill = () => server.kill('SIGKILL');
    process.once('exit', kill);
    try {
      const api = async (route: string): Promise<unknown[]> => {
        const response = await fetch(`http://127.0.0.1:${port}/api/v1/${route}`).catch(() => undefined);
        if (!response?.ok) return [];
        const { data } = (await response.json()) as { data: { result?: unknown[]; alerts?: unknown[] } };
        return data.result ?? data.alerts ?? [];
      };
      // A full tier: what sinks fills more than 90% of it.
      await db.putMany(Array.from({ length: 300 }, (_, i) => [`key${i}`, randomBytes(300).toString('base64')]));
      await db.tiers.migrate({ from: 'hot', to: 'cold' });
      await db.flush();
      // A stall: flushes may write 300 KB a second.
      const writes = db.putMany(Array.from({ length: 6000 }, (_, i) => [`more${i}`, 'x'.repeat(1000)]));
      const firing = async () => {
        const alerts = (await api('alerts')) as { state: string; labels: { alertname: string } }[];
        return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname);
      };
      const fired = new Set<string>();
      while (!fired.has('ThermoclineWriteStall') || !fired.has('ThermoclineTierFull')) {
        for (const name of await firing()) fired.add(name);
        await sleep(200);
      }
      await writes;
      const { panels } = JSON.parse(readFileSync(path.join(deploy, 'dashboard.json'), 'utf8')) as Dashboard;
      const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$database', '.*')));
      assert.equal(queries.length, 13);
      for (const query of queries) {
        let result: unknown[] = [];
        while (result.length === 0) {
          // Rates and percentiles need something to measure.
          await db.put('a', '1', { durability: 'fsync' });
          db.getSync('a');
          result = (await api(`query?query=${encodeURIComponent(query)}`)).filter(
            (one) => !Number.isNaN(Number((one as { value: [number, string] }).value[1])),
          );
          if (result.length === 0) await sleep(200);
        }
      }
    } finally {
      process.off('exit', kill);
      kill();
      await db.close();
    }
  },
);

test.run();
