import { readFile } from 'node:fs/promises';
import { invalid, ThermoclineError } from './error.ts';
import { nativeOptions, type OpenOptions } from './options.ts';

/** Options that decide about the program's types or about one call, and so belong in the program. */
const NOT_IN_A_FILE = ['config', 'keyEncoding', 'valueEncoding', 'createIfMissing', 'errorIfExists', 'readOnly'];

/** Options made of members of their own; a member given to `open` leaves the file's other members standing. */
const GROUPS = ['memory', 'threads', 'group', 'temperature', 'alerts', 'slowOperations', 'autoSplit', 'freeze'];

/**
 * The options of the file that `config` names, with those given to `open` over them. Without `config`, what was given.
 *
 * @internal
 * @throws ERR_INVALID_ARGUMENT, naming the file, if it is not there or not right
 */
export async function withConfig(options: unknown): Promise<unknown> {
  if (typeof options !== 'object' || options === null || !('config' in options)) return options;
  const { config, ...given } = options;
  if (config === undefined) return given;
  if (typeof config !== 'string' || config === '') throw invalid('config must be the path of an options file');
  const merged: Record<string, unknown> = { ...(await readOptionsFile(config)) };
  if ('preset' in given && given.preset !== undefined) {
    // It sets both as a whole, so it replaces the file's too.
    delete merged.memory;
    delete merged.compression;
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const both = GROUPS.includes(name) && isObject(value) && isObject(merged[name]);
    merged[name] = both ? { ...(merged[name] as object), ...defined(value) } : value;
  }
  return merged;
}

/**
 * Reads an options file: a JSON object with the names of `OpenOptions`, and `$comment` for people.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
async function readOptionsFile(file: string): Promise<OpenOptions> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? `is no JSON: ${error.message}` : `cannot be read: ${String(error)}`;
    throw new ThermoclineError('ERR_INVALID_ARGUMENT', `the options file ${file} ${why}`, { cause: error });
  }
  if (!isObject(parsed)) throw invalid(`the options file ${file} must hold one object`);
  const { $comment: _, ...options } = parsed as Record<string, unknown>;
  for (const name of NOT_IN_A_FILE) {
    if (name in options) throw invalid(`the options file ${file} cannot set ${name}: pass it to open`);
  }
  try {
    nativeOptions(options);
  } catch (error) {
    if (!(error instanceof ThermoclineError)) throw error;
    throw new ThermoclineError(error.code, `the options file ${file}: ${error.message}`, { cause: error });
  }
  return options as OpenOptions;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function defined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}
