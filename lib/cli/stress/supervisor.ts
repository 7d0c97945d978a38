import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { JournalReader } from './journal.ts';
import type { Assignment, Counts, Report } from './messages.ts';
import type { Model } from './model.ts';
import { Random } from './record.ts';
import { type StressShape, saveState } from './state.ts';

/** How a stress run is done. */
export interface StressPlan {
  location: string;
  state: string;
  shape: StressShape;
  /** Options of `open`, as JSON. */
  options: Record<string, unknown>;
  seconds: number;
  /** Mean time between kills in seconds; 0 for none. */
  crashEvery: number;
  seed: number;
  /** Bytes of memory and number of open files above which the run fails. */
  maxMemory: number;
  maxFiles: number;
  /** Milliseconds without any progress after which the run fails. */
  patience: number;
}

/** How a stress run stands, or ended. */
export interface StressStatus {
  round: number;
  seconds: number;
  crashes: number;
  /** Crashes after which the database was opened and checked as a whole. */
  checks: number;
  /** Records read by the whole checks. */
  checkedRecords: number;
  written: number;
  read: number;
  calls: Record<string, number>;
  /** At present, and the most there was. */
  memory: number;
  peakMemory: number;
  files: number;
  peakFiles: number;
  problems: string[];
  interrupted: boolean;
}

/** Kills come this soon after a start in every fifth round: while the database is opened and checked. In milliseconds. */
const EARLY = 400;
/** What a process may take to open, check, finish its writes and close, before it is held to be stuck. */
const GRACE = 10 * 60_000;
/** What a process may take to end after it has reported a problem. */
const FAREWELL = 10_000;

/** Runs rounds of load, kill, reopen and check until the time is over, the signal comes, or something is wrong. */
export class Supervisor {
  readonly #plan: StressPlan;
  readonly #model: Model;
  readonly #random: Random;
  readonly status: StressStatus;
  readonly #started = performance.now();
  /** Of the rounds before the present one. */
  #before = { written: 0, read: 0, calls: {} as Record<string, number> };

  constructor(plan: StressPlan, model: Model) {
    this.#plan = plan;
    this.#model = model;
    this.#random = new Random(plan.seed);
    const none = { written: 0, read: 0, calls: {}, memory: 0, peakMemory: 0, files: 0, peakFiles: 0 };
    const counters = { round: 0, seconds: 0, crashes: 0, checks: 0, checkedRecords: 0 };
    this.status = { ...counters, ...none, problems: [], interrupted: false };
  }

  async run(signal: AbortSignal): Promise<StressStatus> {
    const status = this.status;
    const plan = this.#plan;
    while (status.problems.length === 0 && !signal.aborted && this.#elapsed() < plan.seconds) {
      await this.#round(signal, false);
    }
    // Whatever ended the load, the database is opened once more.
    if (status.problems.length === 0) await this.#round(signal, true);
    status.interrupted = signal.aborted;
    status.seconds = this.#elapsed();
    return status;
  }

  #elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** How long a round lasts until it is killed, in milliseconds; undefined: until the end of the run, without a kill. */
  #lifetime(): number | undefined {
    const { crashEvery } = this.#plan;
    if (crashEvery === 0) return undefined;
    if (this.#random.below(5) === 0 && this.status.crashes > 0) return this.#random.below(EARLY);
    return crashEvery * 1000 * (0.3 + (1.4 * this.#random.below(1000)) / 1000);
  }

  async #round(signal: AbortSignal, checkOnly: boolean): Promise<void> {
    const status = this.status;
    const plan = this.#plan;
    status.round++;
    saveState(plan.state, plan.shape, this.#model);
    const lifetime = checkOnly ? undefined : this.#lifetime();
    const left = Math.max(0, plan.seconds - this.#elapsed()) * 1000;
    const killed = lifetime !== undefined && lifetime < left;
    const child = startChild();
    const { ended, drained } = this.#listen(child);
    const assignment: Assignment = {
      location: plan.location,
      state: plan.state,
      options: plan.options,
      seed: this.#random.next(),
      checkOnly,
    };
    child.send(assignment);

    let closing = false;
    const stop = () => {
      closing = true;
      clearTimeout(end); // it shall end in order now, so it is not killed any more
      if (child.connected) child.send({ stop: true });
    };
    const end = setTimeout(() => (killed ? child.kill('SIGKILL') : stop()), killed ? lifetime : left);
    const watch = this.#watch(child);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    const ending = await ended;
    await drained;
    clearInterval(watch);
    clearTimeout(end);
    signal.removeEventListener('abort', stop);

    if (ending.signal === 'SIGKILL' && killed && !closing) status.crashes++;
    else if (ending.code !== 0 && status.problems.length === 0) {
      status.problems.push(`the process ended by itself: ${ending.signal ?? `exit code ${ending.code}`}`);
    } else if (!ending.closed && status.problems.length === 0) {
      status.problems.push('the process ended without having closed the database');
    }
    saveState(plan.state, plan.shape, this.#model);
    this.#before = { written: status.written, read: status.read, calls: { ...status.calls } };
  }

  #listen(child: ChildProcess) {
    const { status } = this;
    let closed = false;
    const journal = child.stdio[4] as Readable;
    const reader = new JournalReader(this.#model);
    journal.on('data', (chunk: Buffer) => reader.feed(chunk));
    const drained = new Promise<void>((resolve) => journal.once('close', resolve));
    let noise = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      noise = (noise + text).slice(-2000);
    });
    child.on('message', (report: Report) => {
      if (report.kind === 'counts') this.#count(report.counts);
      else if (report.kind === 'problem') status.problems.push(report.text);
      else if (report.kind === 'closed') closed = true;
      else {
        status.checks++;
        status.checkedRecords += report.records;
      }
    });
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; closed: boolean }>((resolve) => {
      child.once('close', (code, signal) => {
        if (signal !== 'SIGKILL' && noise !== '' && code !== 0) status.problems.push(`it said: ${noise.trim()}`);
        resolve({ code, signal, closed });
      });
    });
    return { ended, drained };
  }

  #count({ written, read, calls, memory, files }: Counts): void {
    const { status } = this;
    status.written = this.#before.written + written;
    status.read = this.#before.read + read;
    for (const [call, count] of Object.entries(calls)) status.calls[call] = (this.#before.calls[call] ?? 0) + count;
    status.memory = memory;
    status.peakMemory = Math.max(status.peakMemory, memory);
    status.files = files ?? 0;
    status.peakFiles = Math.max(status.peakFiles, status.files);
  }

  /** Ends a process that takes too much, or that does nothing any more. */
  #watch(child: ChildProcess): NodeJS.Timeout {
    const status = this.status;
    const plan = this.#plan;
    let seen = '';
    let since = performance.now();
    let failedAt: number | undefined;
    const fail = (problem: string) => {
      status.problems.push(problem);
      child.kill('SIGKILL');
    };
    return setInterval(() => {
      status.seconds = this.#elapsed();
      // It said what is wrong; whether it can still end by itself is another matter.
      if (status.problems.length > 0) failedAt ??= performance.now();
      if (failedAt !== undefined && performance.now() - failedAt > FAREWELL) child.kill('SIGKILL');
      const now = `${status.written}/${status.read}/${status.checks}`;
      if (now !== seen) {
        seen = now;
        since = performance.now();
      }
      const still = performance.now() - since;
      if (status.memory > plan.maxMemory) fail(`it has ${status.memory} bytes of memory, more than ${plan.maxMemory}`);
      else if (status.files > plan.maxFiles) fail(`it has ${status.files} open files, more than ${plan.maxFiles}`);
      else if (still > plan.patience + (status.written === this.#before.written ? GRACE : 0)) {
        fail(`it has done nothing for ${Math.round(still / 1000)} seconds`);
      }
    }, 250);
  }
}

function startChild(): ChildProcess {
  const program = fileURLToPath(new URL(`child${extname(import.meta.url)}`, import.meta.url));
  return fork(program, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'] });
}
