import { type Command, Option } from 'commander';
import type { Durability } from '../../index.ts';
import { type BytesDatabase, writing } from '../database.ts';
import { durabilityOf, durabilityOption } from '../durability.ts';
import { CliError, usageError } from '../errors.ts';
import { type Kind, kindOf, kinds } from '../import/kind.ts';
import { openClassicLevel, openRocksdb } from '../import/level.ts';
import { openLmdb } from '../import/lmdb.ts';
import type { Source, SourceOptions } from '../import/source.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { startProgress } from '../progress.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount, formatRate, formatSeconds, plural } from '../text.ts';

interface Flags extends SourceOptions {
  from?: Kind;
  durability?: Durability;
  resume?: boolean;
  intoExisting?: boolean;
  verify?: boolean;
}

/** What an import did. */
interface Result {
  records: number;
  bytes: number;
  seconds: number;
  verified: number | undefined;
  interrupted: boolean;
}

/** `thermocline import <db> <source>` */
export function addImport(program: Command, output: Output): void {
  program
    .command('import')
    .description('copy a database of lmdb, classic-level or RocksDB; keys and values keep their bytes')
    .argument('<db>', 'folder of the database; created if there is none')
    .argument('<source>', 'the database to copy; no program may have it open')
    .addOption(new Option('--from <store>', 'which store made the source, otherwise told by its files').choices(kinds))
    .option('--name <name>', 'lmdb: a named database within the source')
    .option('--decode', 'lmdb: decode what the lmdb package encodes by default; keys become text, values JSON')
    .option('--resume', 'go on behind the last key that the database holds; for one that only this import writes to')
    .option('--into-existing', 'import into a database that holds records; those of equal keys are replaced')
    .option('--verify', 'read everything again afterwards and compare it with the source')
    .addOption(durabilityOption())
    .addHelpText('after', help)
    .action((location: string, source: string, flags: Flags) => run(location, source, flags, output));
}

const help = `
The package that reads the source (lmdb, classic-level, @nxtedition/rocksdb) is loaded from the folder you are in:
install it there. After Ctrl-C or a crash the database holds the records up to some key, and --resume goes on there.
classic-level and RocksDB recover a source's log when they open it, which writes to its folder; lmdb only reads.

Examples:
  thermocline import people.db ./old-level-db
  thermocline import people.db ./old.mdb --name people --decode
  thermocline import people.db ./old-rocksdb --resume --verify`;

async function run(location: string, from: string, flags: Flags, output: Output): Promise<void> {
  const kind = flags.from ?? kindOf(from);
  if (kind !== 'lmdb' && (flags.name !== undefined || flags.decode)) {
    throw usageError('--name and --decode are for lmdb alone');
  }
  if (flags.resume && flags.intoExisting) throw usageError('give --resume or --into-existing, not both');
  if (flags.resume && flags.decode) {
    throw usageError('with --decode the order of keys changes, so there is no place to resume at; import anew');
  }
  const source = await openSource(kind, from, flags);
  let result: Result;
  try {
    result = await writing(location, durabilityOf(flags), (db) => copy(source, db, location, flags));
  } finally {
    await source.close();
  }
  await output.write(summary(result, location, output.isTerminal));
  if (result.interrupted) {
    const kept = `${plural(result.records, 'record')} of it ${result.records === 1 ? 'is' : 'are'} kept in ${location}`;
    const next = flags.decode ? '--into-existing begins anew' : '--resume goes on there';
    throw new CliError(`interrupted; ${kept}, and ${next}`, { exitCode: interruptedExitCode });
  }
}

function openSource(kind: Kind, from: string, flags: Flags): Promise<Source> {
  switch (kind) {
    case 'lmdb':
      return openLmdb(from, flags);
    case 'classic-level':
      return openClassicLevel(from);
    case 'rocksdb':
      return openRocksdb(from);
  }
}

/**
 * Copies in key order. Puts are acknowledged and logged in the order in which they were made, so whatever ends a copy, the
 * database holds the source's records up to some key, and that is all that resuming needs to know.
 */
async function copy(source: Source, db: BytesDatabase, location: string, flags: Flags): Promise<Result> {
  const last = await db.keys({ reverse: true, limit: 1 }).next();
  if (last !== undefined && !flags.resume && !flags.intoExisting) {
    throw new CliError(
      `${location} holds records already: --resume goes on behind the last one, --into-existing replaces those of equal keys`,
    );
  }
  const from = flags.resume ? last : undefined;
  const progress = startProgress(from === undefined ? source.count : undefined);
  const interrupt = catchInterrupts();
  const started = performance.now();
  let records = 0;
  let bytes = 0;
  async function* entries(): AsyncGenerator<[Buffer, Buffer]> {
    for await (const chunk of source.records(from)) {
      if (interrupt.signal.aborted) return;
      for (const record of chunk) {
        bytes += record[0].length + record[1].length;
        yield record;
      }
      records += chunk.length;
      progress.update(records, records);
    }
  }
  try {
    const written = await db.putMany(entries());
    const interrupted = interrupt.signal.aborted;
    if (!interrupted) await db.flush();
    const seconds = (performance.now() - started) / 1000;
    const verified = flags.verify && !interrupted ? await verify(source, db, interrupt.signal) : undefined;
    return { records: written, bytes, seconds, verified, interrupted: interrupt.signal.aborted };
  } finally {
    progress.stop();
    interrupt.dispose();
  }
}

/** @returns how many records were compared @throws CliError if any differs */
async function verify(source: Source, db: BytesDatabase, signal: AbortSignal): Promise<number> {
  let compared = 0;
  let different = 0;
  for await (const chunk of source.records(undefined)) {
    if (signal.aborted) break;
    const values = await db.getMany(chunk.map(([key]) => key));
    for (const [i, [, value]] of chunk.entries()) if (!values[i]?.equals(value)) different++;
    compared += chunk.length;
  }
  if (different > 0) {
    throw new CliError(
      `${plural(different, 'record')} of ${formatCount(compared)} differ from the source; did a program write to either?`,
    );
  }
  return compared;
}

function summary({ records, bytes, seconds, verified }: Result, location: string, terminal: boolean): string {
  if (!terminal) {
    return formatTabs([
      ['records', String(records)],
      ['bytes', String(bytes)],
      ['seconds', seconds.toFixed(3)],
      ...(verified === undefined ? [] : [['verified', String(verified)] as [string, string]]),
    ]);
  }
  const rows = [
    ['records', formatCount(records)],
    ['keys and values', formatBytes(bytes)],
    ['time', `${formatSeconds(seconds)}, ${formatRate(records, seconds)}`],
    ...(verified === undefined ? [] : [['verified', `${formatCount(verified)}, all alike`]]),
    ['database', location],
  ];
  return formatTable({ rows }, true);
}
