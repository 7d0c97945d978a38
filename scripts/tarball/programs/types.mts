// Compiled only: the types as an ES module sees them.
import { type Database, open, type ThermoclineError } from 'thermocline';
import { ThermoclineLevel } from 'thermocline/level';

const db = await open('./db', { valueEncoding: 'json' });
const typed: Database<string, unknown> = db;
const value: unknown = await db.get('k');
// @ts-expect-error keys are strings
await db.get(5);
// @ts-expect-error no such option
await open('./db', { createIfMising: true });
const bytes: Buffer | undefined = (await open('./db')).getSync('k');
const level = new ThermoclineLevel<string, number>('./level', { valueEncoding: 'json' });
const n: number | undefined = await level.get('k');
const code = (error: ThermoclineError): 'ERR_LOCKED' | undefined =>
  error.code === 'ERR_LOCKED' ? error.code : undefined;

export { bytes, code, n, typed, value };
