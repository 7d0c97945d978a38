import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../errors.ts';
import type { Figures, Trial } from './trial.ts';

/** Runs one trial in a fresh process. @throws what went wrong there; AbortError if `signal` asked for its end */
export function runTrial(trial: Trial, signal: AbortSignal): Promise<Figures> {
  return inProcess<Figures>('trial', trial, signal);
}

/**
 * Runs a program with a task, and gives the result it sends. It dies with `signal`.
 *
 * @param from a file of the folder in which the program is
 */
export function inProcess<T>(
  name: 'trial' | 'probe',
  task: object,
  signal: AbortSignal,
  from: string = import.meta.url,
): Promise<T> {
  // As this file is: compiled, or TypeScript where a loader runs it.
  const program = fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, from));
  return new Promise((resolve, reject) => {
    const child = fork(program, [JSON.stringify(task)], { signal, killSignal: 'SIGKILL' });
    let answer: { result?: T; error?: string } = {};
    child.on('message', (message: typeof answer) => {
      answer = message;
    });
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
      if (child.pid === undefined) reject(error);
    });
    // Only once it has ended is nothing written any more.
    child.on('close', (code, killed) => {
      if (failure !== undefined) return reject(failure);
      if (answer.result !== undefined) return resolve(answer.result);
      const how = answer.error ?? `it ended with ${killed ?? `exit code ${code}`}`;
      reject(new CliError(`the ${'kind' in task ? `${task.kind} trial` : name} failed: ${how}`));
    });
  });
}

/** In such a program: does the task and sends its result. Does nothing where the file is only imported. */
export function answer<Task, T>(run: (task: Task) => Promise<T>): void {
  const task = process.argv[2];
  if (task === undefined || process.send === undefined) return;
  const send = (message: { result: T } | { error: string }) => process.send?.(message, () => process.exit());
  run(JSON.parse(task) as Task).then(
    (result) => send({ result }),
    (error: unknown) => send({ error: error instanceof Error ? error.message : String(error) }),
  );
}
