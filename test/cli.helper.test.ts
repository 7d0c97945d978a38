// What the suites of the command line share: child processes with a deadline, and folders that are removed at the end.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';

const root = fileURLToPath(new URL('..', import.meta.url));
/** lib/ compiled: dist/esm, or where `npm run coverage` has it with source maps. */
const compiled = process.env.THERMOCLINE_TEST_DIST ?? join(root, 'dist/esm');

/** A program of the command line as it is packed: compiled, which also starts three times as fast. */
export function programFile(program: 'main' | 'quickstart'): string {
  return join(compiled, 'cli', `${program}.js`);
}

/** How a child process ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A running child process, and how it ends. */
export interface Running {
  child: ChildProcessWithoutNullStreams;
  ended: Promise<Ended>;
}

/** Starts a program of the command line. */
export function start(program: 'main' | 'quickstart', args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  return startNode([programFile(program), ...args], env);
}

/** Runs a program of examples/ to its end. @param name with its ending unless that is .ts */
export function runExample(name: string, args: readonly string[], input = ''): Promise<Ended> {
  const example = join(root, 'examples', `${name}${name.includes('.') ? '' : '.ts'}`);
  const { child, ended } = startNode(['--import', 'tsx', example, ...args], {});
  child.stdin.end(input);
  return ended;
}

function startNode(args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const { THERMOCLINE_DEBUG: _, ...inherited } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...inherited, ...env },
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  // A child that ends before it has read its input is no fault of the test.
  child.stdin.on('error', () => {});
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const stdout = Buffer.from(output.stdout, 'latin1').toString('utf8');
      resolve({ code, stdout, stderr: output.stderr });
    });
  });
  return { child, ended };
}

/** Runs `thermocline` to its end. */
export function thermocline(
  args: readonly string[],
  input: string | Buffer = '',
  env?: NodeJS.ProcessEnv,
): Promise<Ended> {
  const { child, ended } = start('main', args, env);
  child.stdin.end(input);
  return ended;
}

/** Runs `thermocline`, which must succeed, and gives its standard output. */
export async function succeed(args: readonly string[], input?: string | Buffer): Promise<string> {
  const { code, stdout, stderr } = await thermocline(args, input);
  assert.equal(code, 0, `thermocline ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** A folder for one suite. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'thermocline-cli-'));

  /** The path of something in the folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a file into the folder and gives its path. */
  file(name: string, content: string | Buffer): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until a folder that a child process writes to holds so many bytes. */
export async function untilHolds(folder: string, bytes: number): Promise<void> {
  for (let held = 0; held < bytes; ) {
    await sleep(5);
    const names = existsSync(folder) ? readdirSync(folder, { recursive: true }) : [];
    const sizes = names.map((name) => statSync(join(folder, String(name)), { throwIfNoEntry: false })?.size ?? 0);
    held = sizes.reduce((sum, size) => sum + size, 0);
  }
}

/** The lines of a text that ends with a line feed. */
export function lines(text: string): string[] {
  assert.ok(
    text === '' || text.endsWith('\n'),
    `the text does not end with a line feed: ${JSON.stringify(text.slice(-40))}`,
  );
  return text.split('\n').slice(0, -1);
}

/** The figures of a summary as `load` prints it into a pipe. */
export function figures(summary: string): Record<string, number> {
  return Object.fromEntries(
    lines(summary).map((line) => {
      const [name, value] = line.split('\t');
      return [name, Number(value)];
    }),
  );
}

const test = suite('command line: helper');

test('a child process gives its exit code and both its streams', async () => {
  const version = await thermocline(['--version']);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.deepEqual([version.code, version.stderr], [0, '']);
  const wrong = await thermocline(['--no-such-option']);
  assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /^thermocline: unknown option '--no-such-option'/);
});

// Other suites import this file; only as a file of its own does it run its test.
if (process.argv[1] === fileURLToPath(import.meta.url)) test.run();
