// The package as programs import it: both module systems, side by side in one process too.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as source from '../lib/index.ts';
import { startScript } from './helpers/child.ts';
import { Workspace } from './helpers/workspace.ts';

const test = suite('package: modules');
const space = new Workspace();
test.after(() => space.clean());

const cwd = path.join(import.meta.dirname, '..');

/** Runs plain JavaScript in the package's own folder, where its name leads to its exports. Gives what it printed. */
async function runs(script: string, type: 'module' | 'commonjs' = 'module'): Promise<string[]> {
  const { code, signal, stdout, stderr } = await startScript(script, { cwd, type }).end;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stdout + stderr);
  assert.equal(stderr, '');
  return stdout.trimEnd().split('\n');
}

const folder = () => JSON.stringify(space.folder());

test('the build is there', () => {
  for (const file of ['dist/esm/index.js', 'dist/esm/index.d.ts', 'dist/cjs/index.js', 'dist/cjs/index.d.ts']) {
    assert.ok(existsSync(path.join(cwd, file)), `${file} is missing: run npm run setup`);
  }
});

test('ES modules import it by its name', async () => {
  const said = await runs(`
    import { open, ThermoclineError } from 'thermocline';
    const db = await open(${folder()}, { valueEncoding: 'json' });
    await db.put('k', { module: 'esm' });
    for await (const record of db.iterator()) console.log(JSON.stringify(record));
    const error = await db.get(5).catch((error) => error);
    console.log(error instanceof ThermoclineError, error.code);
    await db.close();
  `);
  assert.deepEqual(said, ['["k",{"module":"esm"}]', 'true ERR_INVALID_ARGUMENT']);
});

test('CommonJS requires it by its name', async () => {
  const said = await runs(
    `
    const { open, ThermoclineError } = require('thermocline');
    (async () => {
      const db = await open(${folder()}, { valueEncoding: 'json' });
      await db.put('k', { module: 'cjs' });
      for await (const record of db.iterator()) console.log(JSON.stringify(record));
      const error = await db.get(5).catch((error) => error);
      console.log(error instanceof ThermoclineError, error.code);
      await db.close();
    })();
  `,
    'commonjs',
  );
  assert.deepEqual(said, ['["k",{"module":"cjs"}]', 'true ERR_INVALID_ARGUMENT']);
});

test('both builds serve the live page', async () => {
  const serve = `
    const db = await thermocline.open(${folder()});
    const { url } = await db.serve({ port: 0 });
    const page = await fetch(url);
    console.log(page.status, (await page.text()).includes('<html'));
    await db.close();
  `;
  assert.deepEqual(await runs(`import * as thermocline from 'thermocline';${serve}`), ['200 true']);
  const commonjs = `const thermocline = require('thermocline'); (async () => {${serve}})();`;
  assert.deepEqual(await runs(commonjs, 'commonjs'), ['200 true']);
});

test('both builds export what the sources export', async () => {
  const said = await runs(`
    import { createRequire } from 'node:module';
    import * as esm from 'thermocline';
    const cjs = createRequire(process.cwd() + '/package.json')('thermocline');
    console.log(Object.keys(esm).filter((name) => name !== 'default').sort().join());
    console.log(Object.keys(cjs).sort().join());
  `);
  const names = Object.keys(source).sort().join();
  assert.deepEqual(said, [names, names]);
});

for (const first of ['esm', 'cjs']) {
  test(`both builds work side by side in one process, ${first} loaded first, on one database too`, async () => {
    const said = await runs(`
      import { createRequire } from 'node:module';
      const require = createRequire(process.cwd() + '/package.json');
      const load = { esm: () => import('thermocline'), cjs: () => require('thermocline') };
      const builds = {};
      for (const name of ${first === 'esm' ? "['esm', 'cjs']" : "['cjs', 'esm']"}) builds[name] = await load[name]();
      const { esm, cjs } = builds;
      console.log(esm.Database !== cjs.Database, 'two builds');

      const shared = ${folder()};
      const dbs = {
        esm: await esm.open(shared, { valueEncoding: 'utf8' }),
        cjs: await cjs.open(shared, { valueEncoding: 'utf8' }),
      };
      const own = { esm: await esm.open(${folder()}), cjs: await cjs.open(${folder()}) };
      const work = [];
      for (let i = 0; i < 1000; i++) {
        for (const name of ['esm', 'cjs']) {
          work.push(dbs[name].put(name + i, name + ' value ' + i), own[name].put('k' + i, Buffer.from(name + i)));
        }
      }
      await Promise.all(work);
      let wrong = 0;
      for (let i = 0; i < 1000; i++) {
        for (const [reader, writer] of [['esm', 'cjs'], ['cjs', 'esm'], ['esm', 'esm'], ['cjs', 'cjs']]) {
          const expected = writer + ' value ' + i;
          if (dbs[reader].getSync(writer + i) !== expected) wrong++;
          if ((await dbs[reader].get(writer + i)) !== expected) wrong++;
        }
        if (String(own.esm.getSync('k' + i)) !== 'esm' + i || String(own.cjs.getSync('k' + i)) !== 'cjs' + i) wrong++;
      }
      console.log(wrong, 'wrong values');
      for (const db of Object.values(dbs)) console.log((await db.keys().nextMany(5000)).length);

      const errors = {
        esm: await dbs.esm.get(1).catch((error) => error),
        cjs: await dbs.cjs.get(1).catch((error) => error),
        engine: await cjs.open(shared, { errorIfExists: true }).catch((error) => error),
      };
      for (const error of Object.values(errors)) {
        console.log(error instanceof esm.ThermoclineError, error instanceof cjs.ThermoclineError, error instanceof Error, error.code);
      }
      console.log({} instanceof esm.ThermoclineError, new Error('x') instanceof cjs.ThermoclineError);
      const snapshot = await dbs.esm.snapshot();
      console.log(await dbs.cjs.get('esm1', { snapshot }).catch((error) => error.code));
      await dbs.esm.close();
      console.log(await dbs.cjs.get('esm1'));
      await Promise.all([dbs.cjs.close(), own.esm.close(), own.cjs.close()]);
    `);
    assert.deepEqual(said, [
      'true two builds',
      '0 wrong values',
      '2000',
      '2000',
      ...Array.from({ length: 3 }, () => 'true true true ERR_INVALID_ARGUMENT'),
      'false false',
      'ERR_INVALID_ARGUMENT',
      'esm value 1',
    ]);
  });
}

test('what is not exported cannot be imported', async () => {
  const said = await runs(`
    for (const name of ['thermocline/dist/esm/open.js', 'thermocline/lib/addon.cjs', 'thermocline/native']) {
      console.log(await import(name).then(() => 'imported', (error) => error.code));
    }
    const { createRequire } = await import('node:module');
    console.log(createRequire(process.cwd() + '/x.js')('thermocline/package.json').name);
  `);
  const refused = 'ERR_PACKAGE_PATH_NOT_EXPORTED';
  assert.deepEqual(said, [refused, refused, refused, 'thermocline']);
});

test.run();
