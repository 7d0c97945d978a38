// The live page in a real browser under real load. Skipped where Chromium is not installed.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Page } from 'playwright-core';
import { suite } from 'uvu';
import { open } from '../lib/index.ts';
import { hasProgram } from './helpers/programs-found.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('serve: page');
const space = new Workspace();
test.after(() => space.clean());

/** Where screenshots go, if asked for: THERMOCLINE_SCREENSHOTS=docs/images. */
const SCREENSHOTS = process.env.THERMOCLINE_SCREENSHOTS;

async function screenshot(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
}

const text = (page: Page, selector: string) => page.locator(selector).first().textContent();
const chartNames = (page: Page) =>
  page.locator('.chart canvas').evaluateAll((all) => all.map((canvas) => canvas.getAttribute('aria-label') ?? ''));

const inBrowser = hasProgram('chromium') ? test : test.skip;

inBrowser(
  'charts move, numbers are those of stats(), alerts come and go, and the console stays silent (needs chromium)',
  async () => {
    const db = await open(space.folder('shop'), {
      shards: 16,
      valueEncoding: 'utf8',
      memory: { writeBuffer: '2MB', hotCache: '4MB' },
      tiers: { hot: { rateLimit: '2MB' }, cold: {} },
      alerts: { stallSeconds: 0.2, writeP99Seconds: false, diskShare: false, diskCriticalShare: false },
    });
    const server = await db.serve({ port: 0 });
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
    const failures: string[] = [];
    const foreign: string[] = [];
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, colorScheme: 'light' });
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) failures.push(message.text());
      });
      page.on('pageerror', (error) => failures.push(error.message));
      page.on('request', (request) => {
        if (!request.url().startsWith(server.url)) foreign.push(request.url());
      });
      await page.goto(server.url);
      await page.locator('#connection.live').waitFor();

      // Real load, until writes stall: flushes may write 2 MB a second.
      let writing = true;
      const load = (async () => {
        for (let i = 0; writing; i += 100) {
          await db.putMany(Array.from({ length: 100 }, (_, j) => [`key${(i + j) % 40_000}`, 'value '.repeat(200)]));
          await db.getMany(Array.from({ length: 50 }, (_, j) => `key${(i + j) % 1000}`));
          await sleep(1);
        }
      })();
      await page.locator('#alerts-active li.critical').waitFor();
      assert.match((await text(page, '#alerts-active li.critical')) ?? '', /stall/);
      const before = await chartNames(page);
      await sleep(2500);
      const after = await chartNames(page);
      assert.equal(after.length, 4);
      assert.notDeepEqual(after.slice(0, 2), before.slice(0, 2), 'throughput and latency have moved');
      for (const name of after) assert.match(name, /over time; now: \S/);
      await screenshot(page, 'live-page-light');
      await page.emulateMedia({ colorScheme: 'dark' });
      await sleep(1200);
      await screenshot(page, 'live-page-dark');
      writing = false;
      await load;
      await page.locator('#alerts-active li.critical').waitFor({ state: 'detached', timeout: 60_000 });
      assert.match((await page.locator('#alerts-over-list').textContent()) ?? '', /stall/);

      // Idle now: the next frame shows what stats() says.
      await sleep(2500);
      const { operations, stalls } = db.stats();
      const whole = (n: number) => n.toLocaleString('en-US');
      const row = async (table: string, name: string) => {
        const cells = page.locator(`#${table} tbody tr`, { has: page.locator(`th:text-is("${name}")`) }).locator('td');
        return cells.allInnerTexts();
      };
      assert.deepEqual((await row('operations', 'put')).slice(0, 2), [
        whole(operations.put.operations),
        whole(operations.put.records),
      ]);
      assert.deepEqual((await row('operations', 'get many')).slice(0, 2), [
        whole(operations.getMany.operations),
        whole(operations.getMany.records),
      ]);
      assert.equal((await row('stalls', 'memtables'))[0], whole(stalls.byCause.memtables.count));
      assert.equal(await page.locator('#shards tbody tr').count(), 16);

      // Everything that says something to the eye has a name.
      assert.match((await page.locator('#slots').getAttribute('aria-label')) ?? '', /16,384 slots in 16 shards/);
      const nameless = await page
        .locator('table, canvas[role], ul')
        .evaluateAll((all) =>
          all
            .filter((one) => !one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby'))
            .map((one) => one.id),
        );
      assert.deepEqual(nameless, []);

      await page.setViewportSize({ width: 390, height: 844 });
      await sleep(1200);
      const width = await page.evaluate('document.documentElement.scrollWidth');
      assert.ok(Number(width) <= 390, `${width} pixels wide on a phone`);
      await screenshot(page, 'live-page-phone');
      assert.deepEqual(failures, []);
      assert.deepEqual(foreign, []);
    } finally {
      await browser.close();
      await db.close();
    }
  },
);

test.run();
