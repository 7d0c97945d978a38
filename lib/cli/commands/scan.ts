import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import type { DatabaseIterator } from '../../index.ts';
import { reading } from '../database.ts';
import { usageError } from '../errors.ts';
import type { Output } from '../output.ts';
import { addRangeOptions, type RangeFlags, toRange, wholeNumber } from '../range.ts';
import { printable } from '../text.ts';

interface Flags extends RangeFlags {
  limit?: number;
  reverse?: boolean;
  keys?: boolean;
  values?: boolean;
  json?: boolean;
  base64?: boolean;
}

/** `thermocline scan <db>` */
export function addScan(program: Command, output: Output): void {
  const command = program
    .command('scan')
    .description('print records in the order of their keys: key, tab, value')
    .argument('<db>', 'folder of the database');
  addRangeOptions(command)
    .option('--limit <count>', 'at most so many records', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--reverse', 'from the last key to the first')
    .option('--keys', 'print the keys alone')
    .option('--values', 'print the values alone')
    .option('--json', 'one JSON object a line; what is not UTF-8 comes in base64 as keyBase64 or valueBase64')
    .option('--base64', 'print values in base64')
    .action(async (location: string, flags: Flags) => {
      if (flags.keys && flags.values) throw usageError('give --keys or --values, not both');
      const { limit, reverse } = flags;
      const range = { ...toRange(flags), ...(limit === undefined ? {} : { limit }), reverse: reverse === true };
      const forms = flags.json ? jsonForms(flags.base64) : lineForms(flags.base64);
      await reading(location, (db) => {
        if (flags.keys) return print(db.keys(range), forms.key, output);
        if (flags.values) return print(db.values(range), forms.value, output);
        return print(db.iterator(range), ([key, value]) => forms.record(key, value), output);
      });
    });
}

/** Prints page by page until the records, or whoever reads them, come to an end. */
async function print<T>(
  iterator: DatabaseIterator<Buffer, Buffer, T>,
  form: (record: T) => string,
  output: Output,
): Promise<void> {
  // The first page is small, so that `| head` is quick.
  for (let size = 100; !output.closed; size = 1000) {
    const page = await iterator.nextMany(size);
    if (page.length === 0) break;
    let text = '';
    for (const record of page) text += `${form(record)}\n`;
    await output.write(text);
  }
  await iterator.close();
}

/** How a line of output is made. */
interface Forms {
  key(key: Buffer): string;
  value(value: Buffer): string;
  record(key: Buffer, value: Buffer): string;
}

function lineForms(base64 = false): Forms {
  const form = base64 ? (value: Buffer) => value.toString('base64') : printable;
  return { key: printable, value: form, record: (key, value) => `${printable(key)}\t${form(value)}` };
}

function jsonForms(base64 = false): Forms {
  const keyField = (key: Buffer) => field('key', key, false);
  const valueField = (value: Buffer) => field('value', value, base64);
  return {
    key: (key) => JSON.stringify(keyField(key)),
    value: (value) => JSON.stringify(valueField(value)),
    record: (key, value) => JSON.stringify({ ...keyField(key), ...valueField(value) }),
  };
}

function field(name: string, bytes: Buffer, base64: boolean): Record<string, string> {
  if (base64 || !isUtf8(bytes)) return { [`${name}Base64`]: bytes.toString('base64') };
  return { [name]: bytes.toString('utf8') };
}
