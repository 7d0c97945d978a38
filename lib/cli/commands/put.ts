import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Durability } from '../../index.ts';
import { writing } from '../database.ts';
import { durabilityOf, durabilityOption } from '../durability.ts';
import { usageError } from '../errors.ts';

interface Flags {
  base64?: boolean;
  durability?: Durability;
}

/** `thermocline put <db> <key> <value>` */
export function addPut(program: Command): void {
  program
    .command('put')
    .description('write one record; creates the database if there is none')
    .argument('<db>', 'folder of the database')
    .argument('<key>')
    .argument('<value>', 'the value, or - to read it from standard input')
    .option('--base64', 'the value is given in base64')
    .addOption(durabilityOption())
    .action(async (location: string, key: string, text: string, flags: Flags) => {
      const given = text === '-' ? await buffer(process.stdin) : Buffer.from(text);
      const value = flags.base64 ? fromBase64(given.toString('latin1')) : given;
      await writing(location, durabilityOf(flags), (db) => db.put(Buffer.from(key), value));
    });
}

function fromBase64(text: string): Buffer {
  const compact = text.replace(/\s/g, '');
  const value = Buffer.from(compact, 'base64');
  const plain = (base64: string) => base64.replace(/=+$/, '');
  // Buffer passes over what is not base64, and would write something else than was meant.
  if (plain(value.toString('base64')) !== plain(compact)) throw usageError('the value is not base64');
  return value;
}
