// The @example blocks of the doc comments, which docs/api shows: each compiles against the types and runs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as thermocline from '../lib/index.ts';
import { type Context, contextNames, prepare } from './helpers/documentation.ts';
import { Workspace } from './helpers/workspace.ts';

const root = path.join(import.meta.dirname, '..');
const space = new Workspace();

interface Example {
  /** Where it stands: file and line. */
  name: string;
  code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(path.join(root, 'lib', file), 'utf8');
  return [...text.matchAll(/@example\n\s*\* ```ts\n([\s\S]*?)\n\s*\* ```/g)].map((match) => ({
    name: `lib/${file}:${text.slice(0, match.index).split('\n').length}`,
    code: (match[1] as string).replace(/^\s*\* ?/gm, ''),
  }));
}

const examples = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort()
  .flatMap(examplesOf);

/** All examples as one module: each a function of what they take for granted. */
function moduleOf(): string {
  const url = (file: string) => JSON.stringify(path.join(root, file));
  const parts = [
    `import { ${Object.keys(thermocline).join(', ')} } from ${url('lib/index.ts')};`,
    `import type { Codec } from ${url('lib/index.ts')};`,
    `import { ThermoclineLevel } from ${url('lib/level/index.ts')};`,
    `import { register } from ${url('node_modules/prom-client/index.js')};`,
    "import { PassThrough } from 'node:stream';",
    "import { pipeline } from 'node:stream/promises';",
    `import type { Context } from ${url('test/helpers/documentation.ts')};`,
  ];
  for (const [i, { name, code }] of examples.entries()) {
    const body = code.replace(/^import .*\n/gm, '');
    const used = Object.keys(contextNames).filter((word) => new RegExp(`\\b${word}\\b`).test(body));
    parts.push(`// ${name}\nexport async function example${i}({ ${used.join(', ')} }: Context) {\n{\n${body}\n}\n}`);
  }
  return `${parts.join('\n')}\n`;
}

const file = path.join(space.root, 'examples.mts');
writeFileSync(file, moduleOf());

const test = suite('documentation: examples');
test.after(() => space.clean());

test('there are examples', () => assert.ok(examples.length >= 40, String(examples.length)));

test('the examples compile', () => {
  const compilerOptions = {
    ...{ target: 'es2022', lib: ['es2022', 'esnext.disposable'], module: 'nodenext', strict: true, noEmit: true },
    ...{ types: ['node'], typeRoots: [path.join(root, 'node_modules/@types')], allowImportingTsExtensions: true },
    skipLibCheck: true,
  };
  const config = path.join(space.root, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    assert.fail((error as { stdout: string }).stdout);
  }
});

for (const [i, { name, code }] of examples.entries()) {
  test(`${name} runs`, async () => {
    const all = (await import(pathToFileURL(file).href)) as Record<string, (context: Context) => Promise<void>>;
    const folder = space.folder('example');
    mkdirSync(folder);
    const context = await prepare(folder, code);
    const [here, { log }] = [process.cwd(), console];
    process.chdir(folder);
    // An example that follows what comes would never end: with the first line printed, or the first step of its own taken,
    // it has shown what it does.
    const follows = /\.changes\(|consumer\(/.test(code);
    // Not at once: what the example does next in the same turn is part of it.
    const step = () => (follows ? void setImmediate(context.stop) : undefined);
    console.log = step;
    const keepSequence = async () => step();
    try {
      const run = all[`example${i}`] as (context: Context) => Promise<void>;
      await run({ ...context, keepSequence, send: keepSequence });
    } finally {
      console.log = log;
      process.chdir(here);
      await context.end();
    }
  });
}

test.run();
