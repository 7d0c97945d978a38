// Child processes with a deadline: for crashes, exits, locks and signals.

import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const programs = path.join(import.meta.dirname, 'programs');
const loader = import.meta.resolve('tsx');
const DEADLINE = 90_000;

export interface ChildOptions {
  /** Milliseconds after which it is killed and the promise of `end` rejects. */
  deadline?: number;
  /** Arguments of node itself. */
  nodeArguments?: string[];
  cwd?: string;
  env?: Record<string, string>;
}

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export class Child {
  readonly process: ChildProcess;
  /** How it ended; rejects if it had to be killed by its deadline. */
  readonly end: Promise<Ending>;
  #stdout = '';
  #stderr = '';
  #taken = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(nodeArguments: string[], { deadline = DEADLINE, cwd, env }: ChildOptions = {}) {
    this.process = spawn(process.execPath, nodeArguments, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      cwd,
    });
    const kill = () => this.process.kill('SIGKILL');
    process.once('exit', kill);
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake?.();
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.process.stdin?.on('error', () => {}); // it may end before it has read what was sent
    this.end = new Promise<Ending>((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        kill();
      }, deadline);
      this.process.once('error', reject);
      this.process.once('close', (code, signal) => {
        clearTimeout(timer);
        process.off('exit', kill);
        this.#ended = true;
        this.#wake?.();
        const ending = { code, signal, stdout: this.#stdout, stderr: this.#stderr };
        if (late) reject(new Error(`the child did not end by itself in ${deadline} ms\n${this.#lastWords()}`));
        else resolve(ending);
      });
    });
    this.end.catch(() => {}); // reported to whoever awaits it
  }

  send(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  /** The next line it prints; undefined once it has ended. One caller at a time. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#stdout.indexOf('\n', this.#taken);
      if (at >= 0) {
        const line = this.#stdout.slice(this.#taken, at);
        this.#taken = at + 1;
        return line;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Waits for a line, and fails with all that was printed if another comes. */
  async expect(expected: string): Promise<void> {
    const line = await this.line();
    if (line === expected) return;
    this.process.kill('SIGKILL');
    await this.end;
    throw new Error(`expected '${expected}' but the child said:\n${this.#lastWords()}`);
  }

  /** The end of what it printed: some print without end. */
  #lastWords(): string {
    return this.#stdout.slice(-2000) + this.#stderr.slice(-8000);
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ending> {
    this.process.kill(signal);
    return this.end;
  }
}

/** Starts a program of test/helpers/programs. */
export function start(program: string, args: string[] = [], options: ChildOptions = {}): Child {
  const file = path.join(programs, program);
  return new Child([...(options.nodeArguments ?? []), '--import', loader, file, ...args], options);
}

/** Starts a piece of plain JavaScript, as an ES module unless told otherwise. */
export function startScript(script: string, options: ChildOptions & { type?: 'module' | 'commonjs' } = {}): Child {
  const { nodeArguments = [], type = 'module' } = options;
  return new Child([...nodeArguments, `--input-type=${type}`, '--eval', script], options);
}

/** For scripts: the URL of a file of the checkout. */
export function urlOf(file: string): string {
  return pathToFileURL(path.join(import.meta.dirname, '../..', file)).href;
}
