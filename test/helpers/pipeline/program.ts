// Starts the programs of this folder: writers that are killed, or whose memory is measured.

import path from 'node:path';
import { Child, type ChildOptions } from '../child.ts';

const loader = import.meta.resolve('tsx');

/**
 * @param name a file of this folder
 * @param args passed as one JSON argument
 */
export function startProgram(name: string, args: unknown, options: ChildOptions = {}): Child {
  const file = path.join(import.meta.dirname, name);
  const nodeArguments = [...(options.nodeArguments ?? []), '--import', loader, file, JSON.stringify(args)];
  return new Child(nodeArguments, options);
}

/** The argument given to `startProgram`. */
export function programArgument<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T;
}
