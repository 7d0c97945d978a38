// A program that takes snapshots of a shard and restores them is killed at any moment: nothing is lost, doubled or left over.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import { start } from './helpers/child.ts';
import { type Random, seeded } from './helpers/random.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('shards: kills during snapshots and restores');
const space = new Workspace();
test.after(() => space.clean());

/** How often it is killed. */
const ROUNDS = Number(process.env.THERMOCLINE_CRASH_ROUNDS ?? 2);

test('after every kill the shards are whole, verify finds nothing, and complete snapshots can be restored', async () => {
  await seeded(async (random: Random) => {
    const location = space.folder();
    const folder = space.folder('snapshots');
    mkdirSync(folder);
    for (let round = 1; round <= ROUNDS; round++) {
      const child = start('shard-mover.ts', [location, folder, String(round)]);
      let last = 0;
      let moves = 0;
      for (const wanted = 1 + random.below(6); moves < wanted; ) {
        const line = await child.line();
        if (line === undefined) assert.fail((await child.end).stderr);
        if (line.startsWith('wrote')) last = Number(line.slice(6));
        else moves++;
      }
      await new Promise((resolve) => setTimeout(resolve, random.below(40)));
      const { stdout } = await child.kill();
      for (const [, n] of stdout.matchAll(/^wrote (\d+)$/gm)) last = Math.max(last, Number(n));
      const db = await space.open({}, location);
      assert.deepEqual((await db.verify()).problems, []);
      const first = new Set<string | undefined>();
      const others = new Set<string | undefined>();
      for (let i = 0; i < 16; i++) {
        const key = `batch/${i}`;
        ((await db.shards.of(key)).id === 0 ? first : others).add(await db.get(key));
      }
      assert.equal(others.size, 1, 'a batch is torn');
      const [got] = [...others];
      assert.ok(Number(got?.split('.')[1]) >= last, `${got} is older than ${round}.${last}, which was acknowledged`);
      assert.ok(first.size <= 1, `a shard is of several moments: ${[...first]}`);
      const complete = readdirSync(folder).filter((name) => !name.endsWith('.partial'));
      for (const name of complete) assert.ok(existsSync(join(folder, name, 'SHARDS')), `${name} is not complete`);
      const chosen = complete.at(-1);
      if (chosen !== undefined) assert.deepEqual(await db.shards.restore(join(folder, chosen)), [0]);
      assert.deepEqual((await db.verify()).problems, []);
      await db.close();
      const families = readdirSync(join(location, 'hot', 'ingest'), { recursive: true });
      assert.deepEqual(families, []);
    }
  });
});

test.run();
