// npm test: the engine's GoogleTest suites and the uvu suites of test/, set up first.
//
//   node scripts/test.mjs [--native | --js] [--jobs N] [--coverage] [text...]
//
// --native or --js: one kind alone. text: only the uvu files (GoogleTest suites) whose names contain one of these.
// --jobs: how many uvu files, and processes of the engine's tests, run at once; by default two, or one on a single
// processor.
// --coverage: counts the lines that run meanwhile, and fails under a threshold (coverage.mjs).
// Every uvu file runs in a process of its own with a deadline, because uvu has none and runs all in one process.
// What a file prints after "note: " is shown, also if it passes.
// The randomised uvu tests get a seed, a new one for every file, unless THERMOCLINE_TEST_SEED is set.
// The last line is "N passed, N failed", before it stands a line for every file that failed, with the tests' names and the
// seed. The exit code is non-zero if any failed or none ran.

import { randomInt } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { clock, Failure, inRoot, main, run } from './common.mjs';
import {
  buildCountingEngineTests,
  countingEnvironment,
  reportEngineCoverage,
  reportLibraryCoverage,
  verdict,
} from './coverage.mjs';
import { engineFailures, uvuFailures } from './failures.mjs';
import { buildEngineTests } from './native.mjs';
import { prepare, setup } from './setup.mjs';

const FILE_DEADLINE = 5 * 60_000;
const ENGINE_DEADLINE = 15 * 60_000; // for coverage they take some three minutes on two cores

/** @typedef {{ passed: number, failed: number, named: string[] }} Count named: lines about those that failed */

function report(name, { passed, failed }, skipped, started, shown) {
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped`);
  console.log(`${failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${parts.join(', ')} (${clock(Date.now() - started)})`);
  if (failed > 0) console.log(shown.replace(/^/gm, '     | '));
}

function howItEnded({ code, signal }, deadline) {
  if (signal === null) return code === 0 ? '' : `It ended with exit code ${code}.`;
  return signal === 'SIGKILL'
    ? `It was killed, perhaps by its deadline of ${clock(deadline)}.`
    : `It died of ${signal}.`;
}

/**
 * Runs a GoogleTest program.
 * @param {string} program
 * @param {object} [options]
 * @param {string} [options.name]
 * @param {string[]} [options.filters]
 * @param {Record<string, string>} [options.env]
 * @param {string[]} [options.wrapper] a command to run it under
 * @param {number} [options.jobs] into how many processes that run at once the tests are dealt out
 * @returns {Promise<Count>}
 */
export async function runEngineTests(program, { name = 'engine', filters = [], env, wrapper = [], jobs = 1 } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'thermocline-gtest-'));
  const started = Date.now();
  const runPart = async (part) => {
    const results = path.join(folder, `${part}.json`);
    const args = [...wrapper, program, `--gtest_output=json:${results}`, '--gtest_color=no'];
    if (filters.length > 0) args.push(`--gtest_filter=${filters.map((text) => `*${text}*`).join(':')}`);
    const [command, ...rest] = args;
    const dealt = jobs === 1 ? {} : { GTEST_TOTAL_SHARDS: String(jobs), GTEST_SHARD_INDEX: String(part) };
    const ended = await run(command, rest, {
      env: { ...env, ...dealt },
      quiet: true,
      allowFailure: true,
      timeout: ENGINE_DEADLINE,
    });
    let total = { tests: 0, failures: 0, disabled: 0 };
    try {
      total = JSON.parse(readFileSync(results, 'utf8'));
    } catch {
      // It died before it could write them; its exit code counts below.
    }
    const failed = Math.max(total.failures, ended.code === 0 ? 0 : 1);
    const passed = Math.max(0, total.tests - total.disabled - failed);
    if (failed === 0) return { passed, failed, skipped: total.disabled, shown: [], named: [] };
    const { shown, named } = engineFailures(ended.output, howItEnded(ended, ENGINE_DEADLINE));
    return { passed, failed, skipped: total.disabled, shown: [shown], named: [`${name}: ${named}`] };
  };
  try {
    const parts = await Promise.all(Array.from({ length: jobs }, (_, part) => runPart(part)));
    const all = (what) => parts.reduce((sum, part) => sum + part[what], 0);
    const named = parts.flatMap((part) => part.named);
    const count = { passed: all('passed'), failed: all('failed'), named };
    report(name, count, all('skipped'), started, parts.flatMap(({ shown }) => shown).join('\n\n'));
    return count;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Adds up what uvu prints for each run in a file. */
function sum(output, label) {
  return [...output.matchAll(new RegExp(`^  ${label}: +(\\d+)$`, 'gm'))].reduce((all, [, n]) => all + Number(n), 0);
}

async function runFile(file, env) {
  const started = Date.now();
  const seed = process.env.THERMOCLINE_TEST_SEED ?? String(randomInt(2 ** 31));
  const ended = await run(process.execPath, ['--expose-gc', '--import', 'tsx', inRoot(file)], {
    env: { ...env, THERMOCLINE_TEST_SEED: seed },
    quiet: true,
    allowFailure: true,
    timeout: FILE_DEADLINE,
  });
  const output = stripVTControlCharacters(ended.output);
  const passed = sum(output, 'Passed');
  // uvu forgets an error thrown by a hook, but the tests it kept from running are missing from those that passed.
  const failed = Math.max(sum(output, 'Total') - passed, ended.code === 0 ? 0 : 1);
  const silent = passed + failed === 0 ? 1 : 0;
  const why = silent ? 'It ran no tests; does it end with test.run()?' : howItEnded(ended, FILE_DEADLINE);
  const { shown, named } = uvuFailures(output, why);
  const repeat = /helpers\/random\.ts/.test(readFileSync(inRoot(file), 'utf8'))
    ? ` (THERMOCLINE_TEST_SEED=${seed})`
    : '';
  const count = { passed, failed: failed + silent, named: failed + silent > 0 ? [`${file}: ${named}${repeat}`] : [] };
  report(file, count, sum(output, 'Skipped'), started, shown);
  for (const [, note] of output.matchAll(/^ *note: (.*)$/gm)) console.log(`     ${note}`);
  return count;
}

async function runFiles(filters, jobs, env) {
  const files = readdirSync(inRoot('test'), { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join('test', name))
    .filter((name) => filters.length === 0 || filters.some((text) => name.includes(text)))
    .sort();
  const counts = [];
  const worker = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) counts.push(await runFile(file, env));
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return counts;
}

await main(import.meta.url, async (args) => {
  const { values, positionals: filters } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      native: { type: 'boolean', default: false },
      js: { type: 'boolean', default: false },
      coverage: { type: 'boolean', default: false },
      jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    },
  });
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new Failure('--jobs takes a whole number from 1.');

  const { coverage } = values;
  await (values.native ? prepare : setup)(coverage ? ['test', 'coverage'] : ['test']);
  const counts = [];
  let covered = true;
  if (!values.js) {
    // The addon's folder: the engine is compiled for both once.
    const program = await (coverage ? buildCountingEngineTests() : buildEngineTests('build'));
    counts.push(await runEngineTests(program, { filters, jobs }));
  }
  if (!values.native) counts.push(...(await runFiles(filters, jobs, coverage ? await countingEnvironment() : {})));
  if (coverage) {
    const engine = values.js || (await reportEngineCoverage());
    const library = values.native || (await reportLibraryCoverage());
    covered = engine && library;
    console.log(`\nLine coverage: native/engine ${verdict(engine)}, lib ${verdict(library)}`);
  }

  const passed = counts.reduce((all, count) => all + count.passed, 0);
  const failed = counts.reduce((all, count) => all + count.failed, 0);
  if (passed + failed === 0) console.log('No test ran.');
  for (const line of counts.flatMap(({ named }) => named)) console.log(`FAIL ${line}`);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || passed === 0 || !covered) process.exitCode = 1;
});
