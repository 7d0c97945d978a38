/** Starts one trial as a process of its own, and ends it when it fails, hangs, or the run is interrupted. */

import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TRIAL = fileURLToPath(new URL('trial.mjs', import.meta.url));

/** @type {import('node:child_process').ChildProcess | undefined} */
let running;

/** Ends the trial that runs now, if any. */
export function endTrial() {
  running?.kill('SIGKILL');
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} deadline seconds
 * @param {() => unknown} answer what the child said, once it has ended
 */
function outcome(child, deadline, answer) {
  running = child;
  return new Promise((resolve, reject) => {
    let late = false;
    let errors = '';
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-4000);
    });
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, deadline * 1000);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running = undefined;
      if (late) return reject(new Error(`no answer within ${deadline} s`));
      const { figures, about, error } = answer() ?? {};
      if (figures && code === 0) return resolve({ figures, about });
      reject(new Error(error ?? (errors.trim() || `ended with ${signal ?? `exit code ${code}`}`)));
    });
  });
}

/** @param {import('./trial.mjs').TrialOptions} trial @param {number} deadline seconds */
export function nodeTrial(trial, deadline) {
  const child = fork(TRIAL, [JSON.stringify(trial)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let message;
  child.on('message', (received) => {
    message = received;
  });
  return outcome(child, deadline, () => message);
}

/** @param {string} program @param {(string | number)[]} args @param {number} deadline seconds */
export function plainTrial(program, args, deadline) {
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return outcome(child, deadline, () => {
    try {
      return { figures: JSON.parse(text) };
    } catch {}
  });
}
