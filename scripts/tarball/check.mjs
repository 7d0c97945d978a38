// Packs the package and uses it as somebody else would: installed from its tarball with --ignore-scripts in an empty
// folder, with a PATH that holds node and nothing else, and no network. Part of `npm run check:package`.
//
//   node scripts/tarball/check.mjs [--node <program>]     another Node.js to install and run it with
//
// Dependencies come from a registry on this machine (registry.mjs); where the system allows it, the programs run in a
// network namespace that has no interface at all.

import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { placeBinary } from '../binary.mjs';
import { executable, Failure, inRoot, main, run } from '../common.mjs';
import { setup } from '../setup.mjs';
import { startRegistry } from './registry.mjs';

const DEADLINE = 120_000;
/** Bytes; the binary had 10.9 MB when this was set. */
const MAX_BINARY = 13_000_000;
const COMPILERS = ['cc', 'c++', 'gcc', 'g++', 'clang', 'cmake', 'make', 'ninja', 'python3', 'git'];

function expect(what, actual, expected) {
  if (actual === expected) return;
  throw new Failure(`${what}:\n  got      ${JSON.stringify(actual)}\n  expected ${JSON.stringify(expected)}`);
}

/** Where unshare is, if it can take the network away here. */
async function networkless() {
  if (process.platform !== 'linux' || !executable('unshare')) return [];
  const folder = process.env.PATH.split(path.delimiter).find((name) => existsSync(path.join(name, 'unshare')));
  const command = [path.join(folder, 'unshare'), '-rn'];
  const { code } = await run(command[0], [command[1], 'true'], { quiet: true, allowFailure: true });
  return code === 0 ? command : [];
}

/** A machine with Node.js and nothing else, as far as an environment can be one. */
class CleanFolder {
  /** A command that the programs run under. */
  prefix = [];

  constructor(folder, node) {
    this.folder = folder;
    this.project = path.join(folder, 'project');
    for (const name of ['bin', 'home', 'project']) mkdirSync(path.join(folder, name));
    this.node = path.join(folder, 'bin/node');
    symlinkSync(node, this.node);
    const [bin, HOME] = ['bin', 'home'].map((name) => path.join(folder, name));
    this.env = { PATH: bin, HOME, TMPDIR: folder, npm_config_update_notifier: 'false' };
    for (const name of COMPILERS) {
      if (existsSync(path.join(bin, name))) throw new Failure(`${name} is in the clean PATH.`);
    }
  }

  /** Runs Node.js in the project, and gives the lines it printed. */
  async run(args, { network = false } = {}) {
    const [command, ...rest] = [...(network ? [] : this.prefix), this.node, ...args];
    const child = spawn(command, rest, {
      cwd: this.project,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: DEADLINE,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (code !== 0) throw new Failure(`node ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    return { lines: stdout.split('\n').slice(0, -1), stderr };
  }
}

async function pack(folder) {
  const { output } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    quiet: true,
  });
  const [packed] = Object.values(JSON.parse(output.slice(output.search(/^[[{]/m))));
  return packed;
}

function npmProgram() {
  const folder = process.env.PATH.split(path.delimiter).find((name) => existsSync(path.join(name, 'npm')));
  return path.join(folder, 'npm');
}

async function checkPrograms(clean) {
  const programs = path.join(inRoot('scripts/tarball/programs'));
  for (const name of readdirSync(programs)) cpSync(path.join(programs, name), path.join(clean.project, name));

  const answers = ['{"people":709000}', 'city/oslo', 'true', 'v'].join();
  const started = performance.now();
  const esm = await clean.run(['esm.mjs']);
  const first = performance.now() - started;
  expect('an ES module', esm.lines.join(), answers);
  expect('CommonJS', (await clean.run(['commonjs.cjs'])).lines.join(), answers);
  expect('worker threads', (await clean.run(['worker.mjs'])).lines.join(), '[0,0] 200 b99');
  cpSync(path.join(clean.project, 'node_modules'), path.join(clean.project, 'copy/node_modules'), { recursive: true });
  expect('two copies', (await clean.run(['copies.mjs'])).lines.join(), ['true', 'one two', 'ERR_LOCKED', 'one'].join());

  const cli = (...args) => clean.run([path.join('node_modules/.bin/thermocline'), ...args]);
  await cli('put', 'cli-db', 'person/1', 'Kari');
  expect('the command line', (await cli('get', 'cli-db', 'person/1')).lines.join(), 'Kari');
  const { version } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  expect('thermocline --version', (await cli('--version')).lines.join(), version);
  return first;
}

/** Building from source is far too slow to try here; that its scripts are packed and look for a compiler is not. */
async function checkSourceBuild(clean) {
  const script = 'node_modules/thermocline/scripts/from-source.mjs';
  const said = await clean.run([script]).then(
    () => 'It built something.',
    ({ message }) => message,
  );
  if (!/are missing: .*cmake/.test(said)) throw new Failure(`${script} asks for no compiler:\n${said}`);
  for (const name of ['CMakeLists.txt', 'cmake', 'native', 'docs/install.md']) {
    const file = path.join(clean.project, 'node_modules/thermocline', name);
    if (!existsSync(file)) throw new Failure(`The package lacks ${name}, which building from source needs.`);
  }
}

/** The compiler is the checkout's; the package and where its types lead are the installed ones. */
async function checkTypes(clean) {
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  for (const [module, moduleResolution, ...files] of [
    ['node16', 'node16', 'types.mts', 'types.cts'],
    ['esnext', 'bundler', 'types.mts'],
  ]) {
    const options = { module, moduleResolution, target: 'es2022', strict: true, noEmit: true, skipLibCheck: false };
    const compilerOptions = { ...options, types: ['node'], typeRoots: [inRoot('node_modules/@types')] };
    const file = `tsconfig.${moduleResolution}.json`;
    writeFileSync(path.join(clean.project, file), JSON.stringify({ compilerOptions, files }));
    await clean.run([tsc, '-p', file]);
  }
}

await main(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { node: { type: 'string', default: process.execPath } } });
  await setup();
  const { file, bytes } = await placeBinary();
  if (bytes > MAX_BINARY) throw new Failure(`${file} has ${bytes} bytes, more than ${MAX_BINARY}: what was added?`);

  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-tarball-'));
  let registry;
  try {
    const packages = path.join(folder, 'packages');
    mkdirSync(packages);
    registry = await startRegistry(packages);
    const { filename, size, files } = await pack(folder);
    if (!files.some(({ path: name }) => name === file)) throw new Failure(`The tarball lacks ${file}.`);
    const clean = new CleanFolder(folder, path.resolve(values.node));
    clean.prefix = await networkless();

    writeFileSync(path.join(clean.project, 'package.json'), '{ "private": true }\n');
    const npm = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--registry', registry.url];
    const started = performance.now();
    await clean.run([npmProgram(), ...npm, path.join('..', filename)], { network: true });
    const installed = performance.now() - started;
    const first = await checkPrograms(clean);
    await checkTypes(clean);
    await checkSourceBuild(clean);

    const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
    const { lines } = await clean.run(['--version']);
    console.log(`${filename}: ${(size / 1e6).toFixed(1)} MB, of which ${file} ${(bytes / 1e6).toFixed(1)} MB unpacked`);
    console.log(
      `Installed with --ignore-scripts in ${seconds(installed)}, first answer ${seconds(first)} later (Node.js ${lines[0]}, ` +
        `${clean.prefix.length > 0 ? 'without a network' : 'the network could not be taken away'}). ES module, CommonJS, workers, two copies, types and command line work.`,
    );
  } finally {
    registry?.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
