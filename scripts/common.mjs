// What the scripts share: where the checkout is, running commands, and saying what went wrong.
// Nothing here needs an installed package: setup.mjs runs in a bare clone.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** A failure that its message explains; main() prints it without a stack. */
export class Failure extends Error {}

export function inRoot(...parts) {
  return path.join(root, ...parts);
}

export function executable(name) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, name)));
}

/**
 * Runs a command in the checkout and shows its output.
 * @param {{ env?: Record<string, string>, quiet?: boolean, onLine?: (line: string) => void, allowFailure?: boolean,
 *   timeout?: number }} [options] quiet: keep the output for a failure; onLine: get its lines instead of showing them;
 *   timeout: milliseconds after which the command and all it started are killed
 * @returns {Promise<{ code: number | null, signal: string | null, output: string }>} output only if it was not shown
 */
export function run(command, args, { env, quiet = false, onLine, allowFailure = false, timeout } = {}) {
  const shown = !quiet && onLine === undefined;
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: shown ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    // Its own group, so that a deadline reaches what it started as well.
    detached: timeout !== undefined,
  });
  let output = '';
  let rest = '';
  const take = (chunk) => {
    output += chunk;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) onLine?.(line);
  };
  child.stdout?.setEncoding('utf8').on('data', take);
  child.stderr?.setEncoding('utf8').on('data', take);
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  const timer = timeout === undefined ? undefined : setTimeout(kill, timeout);
  if (timeout !== undefined) process.once('exit', kill);

  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Failure(`${command} does not start: ${error.message}`)));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      process.off('exit', kill);
      if (code === 0 || allowFailure) return resolve({ code, signal, output });
      const what = [path.basename(command), ...args].join(' ');
      const how = signal === null ? `exit code ${code}` : signal;
      reject(new Failure(`${output}\n${what}\nfailed (${how}).`.trimStart()));
    });
  });
}

/** Minutes and seconds, as 4:07. */
export function clock(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Runs a script's main function if the file was started by itself, not imported. */
export async function main(url, body) {
  if (process.argv[1] !== fileURLToPath(url)) return;
  // The terminal sends Ctrl-C to our children as well, and they tidy up; their failure then ends us.
  let interrupted = false;
  process.on('SIGINT', () => {
    interrupted = true;
    setTimeout(() => process.exit(130), 5000).unref();
  });
  try {
    await body(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`\n${interrupted ? 'Interrupted.' : error.message}`);
    process.exitCode = interrupted ? 130 : 1;
  }
}
