import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CliError } from '../errors.ts';

/**
 * Loads a package that reads another store's databases, from the user's project: it is none of our dependencies.
 *
 * @param from a folder of the project
 * @throws CliError that says what to install
 */
export async function loadPeer<T>(name: string, from: string = process.cwd()): Promise<T> {
  let file: string;
  try {
    file = createRequire(join(from, 'package.json')).resolve(name);
  } catch (cause) {
    const message = `reading this database needs the package ${name}, which is not installed in ${from}; run 'npm install ${name}' there`;
    throw new CliError(message, { code: 'ERR_NOT_FOUND', cause });
  }
  try {
    return (await import(pathToFileURL(file).href)) as T;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(`the package ${name} does not load: ${reason}`, { cause });
  }
}
