import { invalid } from './error.ts';

/** Refuses names that are not in `known`, so that a misspelt option is not silently without effect. */
export function checkNames(options: object, known: ReadonlySet<string>, where: string): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw invalid(`unknown option '${name}' ${where}; known are ${[...known].join(', ')}`);
    }
  }
}

/** The options object of any method: absent, or an object with known names alone. */
export function checkObject(
  options: unknown,
  known: ReadonlySet<string>,
  where: string,
): Record<string, unknown> | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(`the options ${where} must be an object`);
  }
  checkNames(options, known, where);
  return options as Record<string, unknown>;
}

/** `undefined`, or a boolean. @throws ERR_INVALID_ARGUMENT */
export function boolean(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`${name} must be true or false`);
}

/** `undefined`, or a whole number in a range. @throws ERR_INVALID_ARGUMENT */
export function integer(value: unknown, name: string, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(`${name} must be a whole number from ${least} to ${most}`);
}
