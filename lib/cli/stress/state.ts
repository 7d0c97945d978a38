import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { CliError } from '../errors.ts';
import { type Group, Model } from './model.ts';

/** What stays the same for a database over all runs and rounds of a stress test. */
export interface StressShape {
  workers: number;
  records: number;
  /** Bytes of a value's body on average. */
  valueSize: number;
  /** Sum of all accounts between which the transactions move amounts. */
  accounts: number;
}

interface Header {
  format: 1;
  shape: StressShape;
  count: number;
  inFlight: Group[];
}

/** The file beside a database that holds what the database must hold. */
export function stateFile(location: string): string {
  return `${location.replace(/\/+$/, '')}.stress`;
}

export function saveState(file: string, shape: StressShape, model: Model): void {
  const header: Header = { format: 1, shape, count: model.count, inFlight: [...model.inFlight.values()] };
  const text = Buffer.from(`${JSON.stringify(header)}\n`);
  const arrays = [model.acknowledged, model.announced, model.deleted];
  const bytes = arrays.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  const temporary = `${file}.new`;
  writeFileSync(temporary, Buffer.concat([text, ...bytes]));
  renameSync(temporary, file);
}

/** @throws CliError if the file is not whole */
export function loadState(file: string): { shape: StressShape; model: Model } {
  const bytes = readFileSync(file);
  const end = bytes.indexOf(10);
  let header: Header | undefined;
  try {
    header = JSON.parse(bytes.toString('utf8', 0, end)) as Header;
  } catch {
    // Told below.
  }
  if (header?.format !== 1 || bytes.length !== end + 1 + 3 * 4 * header.count) {
    throw new CliError(`${file} is no state of a stress test, or is damaged`);
  }
  const model = new Model(header.count);
  let at = end + 1;
  for (const array of [model.acknowledged, model.announced, model.deleted]) {
    for (let i = 0; i < header.count; i++, at += 4) array[i] = bytes.readUInt32LE(at);
  }
  for (const group of header.inFlight) model.inFlight.set(group.id, group);
  return { shape: header.shape, model };
}

export function hasState(file: string): boolean {
  return existsSync(file);
}

export function removeState(file: string): void {
  rmSync(file, { force: true });
}
