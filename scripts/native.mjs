// Everything CMake builds: RocksDB into its cache, the addon, and the engine's programs in folders of their own.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { clock, inRoot, run } from './common.mjs';

/** A line of ninja's about a file it makes; others are about its own upkeep. */
const STEP = /^\[(\d+)\/(\d+)\] (?:Building|Linking) /;

/** Shows how far a build by ninja is. */
class BuildProgress {
  #title;
  #library;
  #started = Date.now();
  #bar;
  #tick;
  #lastDone = Date.now();
  #done = 0;
  #total = 0;
  #printed = 0;

  /** @param library cli-progress, for a bar; without it, plain lines */
  constructor(title, library) {
    this.#title = title;
    this.#library = library;
  }

  line(text) {
    if (text.startsWith('-- Another checkout')) console.log(text.slice(3));
    const match = STEP.exec(text);
    if (match === null) return;
    const first = this.#total === 0;
    this.#done = Number(match[1]);
    this.#lastDone = Date.now();
    this.#total = Number(match[2]);
    if (first && this.#library) this.#startBar();
    this.#show();
  }

  #startBar() {
    const format = `${this.#title} {bar} {percentage}% | {value}/{total} files | {elapsed} elapsed, {left} left`;
    this.#bar = new this.#library.SingleBar({ format, hideCursor: true }, this.#library.Presets.shades_classic);
    this.#bar.start(this.#total, 0, this.#words());
    this.#tick = setInterval(() => this.#show(), 1000);
  }

  #words() {
    const elapsed = Date.now() - this.#started;
    const each = (this.#lastDone - this.#started) / this.#done;
    const left = Math.max(0, each * this.#total - elapsed);
    return { elapsed: clock(elapsed), left: this.#done === 0 ? '?' : `about ${clock(left)}` };
  }

  #show() {
    const words = this.#words();
    if (this.#bar !== undefined) {
      this.#bar.setTotal(this.#total);
      this.#bar.update(this.#done, words);
    } else if (this.#done * 10 >= this.#printed * this.#total) {
      const percent = Math.floor((this.#done * 100) / this.#total);
      this.#printed = Math.floor(percent / 10) + 1;
      console.log(
        `${this.#title}: ${percent}%, ${this.#done}/${this.#total} files, ${words.elapsed} elapsed, ${words.left} left`,
      );
    }
  }

  stop() {
    clearInterval(this.#tick);
    this.#bar?.stop();
  }
}

async function runWithProgress(title, command, args) {
  const library = process.stdout.isTTY ? (await import('cli-progress')).default : undefined;
  const progress = new BuildProgress(title, library);
  try {
    // The status that BuildProgress reads, whatever the user's environment sets.
    await run(command, args, { env: { NINJA_STATUS: '[%f/%t] ' }, onLine: (line) => progress.line(line) });
  } catch (error) {
    // Of what the compiler said, the lines about files that went well are of no use now.
    error.message = error.message
      .split('\n')
      .filter((line) => !STEP.test(line))
      .join('\n');
    throw error;
  } finally {
    progress.stop();
  }
}

/**
 * Makes sure that RocksDB is in the cache (cmake/rocksdb.cmake).
 * @param {'' | 'address' | 'thread'} [sanitize] which variant
 * @returns {Promise<string>} its prefix
 */
export async function buildRocksdb(sanitize = '') {
  const script = [`-DTHERMOCLINE_SANITIZE=${sanitize}`, '-P', inRoot('cmake/build-rocksdb.cmake')];
  const { output } = await run('cmake', ['-DPRINT_PREFIX=ON', ...script], { quiet: true });
  const prefix = output.trim();
  if (!existsSync(prefix)) {
    const variant = sanitize === '' ? '' : ` (${sanitize} sanitizer)`;
    console.log(`Building RocksDB${variant}, once for all checkouts, into ${path.dirname(prefix)}`);
    await runWithProgress('RocksDB', 'cmake', script);
  }
  return prefix;
}

/**
 * Whether a build folder is configured with these settings; what else changes, ninja sees by itself.
 * @param {Record<string, string | undefined>} settings undefined: set to whatever it is
 */
function isConfigured(folder, settings) {
  try {
    const cache = readFileSync(path.join(folder, 'CMakeCache.txt'), 'utf8').split('\n');
    return Object.entries(settings).every(([name, value]) =>
      cache.some((line) => line.startsWith(`${name}:`) && (value === undefined || line.endsWith(`=${value}`))),
    );
  } catch {
    return false;
  }
}

async function buildTarget(title, folder, target) {
  await runWithProgress(title, 'cmake', ['--build', folder, '--target', target]);
}

/**
 * Builds build/Release/thermocline.node.
 * @param {string} [cmakeJs] the folder of that package
 */
export async function buildAddon(cmakeJs = inRoot('node_modules/cmake-js')) {
  const prefix = await buildRocksdb();
  const folder = inRoot('build');
  // Not by the tests alone, which share the folder and know nothing of Node.
  if (!isConfigured(folder, { THERMOCLINE_ROCKSDB_PREFIX: prefix, CMAKE_JS_INC: undefined })) {
    const program = path.join(cmakeJs, 'bin/cmake-js');
    await run(process.execPath, [program, 'configure', '--generator', 'Ninja'], { quiet: true });
  }
  await buildTarget('Addon', folder, 'thermocline');
}

/**
 * Builds the engine's tests.
 * @param {string} folder where, in the checkout
 * @param {{ sanitize?: 'address' | 'thread', coverage?: boolean }} [options]
 * @returns {Promise<string>} the program
 */
export async function buildEngineTests(folder, { sanitize = '', coverage = false } = {}) {
  const prefix = await buildRocksdb(sanitize);
  const settings = {
    THERMOCLINE_TESTS: 'ON',
    THERMOCLINE_SANITIZE: sanitize,
    THERMOCLINE_COVERAGE: coverage ? 'ON' : 'OFF',
  };
  if (!isConfigured(inRoot(folder), { ...settings, THERMOCLINE_ROCKSDB_PREFIX: prefix })) {
    const definitions = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
    await run('cmake', ['-S', inRoot(), '-B', inRoot(folder), '-G', 'Ninja', ...definitions], { quiet: true });
  }
  await buildTarget(`Engine tests (${folder})`, inRoot(folder), 'thermocline_tests');
  return inRoot(folder, 'thermocline_tests');
}
