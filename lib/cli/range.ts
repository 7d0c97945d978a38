import { type Command, InvalidArgumentError } from 'commander';
import { usageError } from './errors.ts';

/** The range options as commander hands them over. */
export interface RangeFlags {
  gt?: string;
  gte?: string;
  lt?: string;
  lte?: string;
  prefix?: string;
}

/** Adds the options that say which keys a command covers. */
export function addRangeOptions(command: Command): Command {
  return command
    .option('--gt <key>', 'keys after this one')
    .option('--gte <key>', 'keys from this one on')
    .option('--lt <key>', 'keys before this one')
    .option('--lte <key>', 'keys up to this one')
    .option('--prefix <text>', 'keys that begin with this');
}

/** The range the flags ask for, with keys as bytes. @throws CliError (usage) when two flags set the same end */
export function toRange(flags: RangeFlags): { [K in keyof RangeFlags]?: Buffer } {
  if (flags.gt !== undefined && flags.gte !== undefined) throw usageError('give --gt or --gte, not both');
  if (flags.lt !== undefined && flags.lte !== undefined) throw usageError('give --lt or --lte, not both');
  const range: { [K in keyof RangeFlags]?: Buffer } = {};
  for (const end of ['gt', 'gte', 'lt', 'lte', 'prefix'] as const) {
    const key = flags[end];
    if (key !== undefined) range[end] = Buffer.from(key);
  }
  return range;
}

/** An option's argument that is a whole number in a range. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most) {
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    }
    return number;
  };
}
