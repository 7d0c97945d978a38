import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Whether a program can be found on the PATH: for tests of what not every machine has. */
export function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
