import { Command, CommanderError } from 'commander';
import { addBackup } from './commands/backup.ts';
import { addBench } from './commands/bench.ts';
import { addCount } from './commands/count.ts';
import { addDel } from './commands/del.ts';
import { addGet } from './commands/get.ts';
import { addImport } from './commands/import.ts';
import { addLoad } from './commands/load.ts';
import { addPut } from './commands/put.ts';
import { addScan } from './commands/scan.ts';
import { addServe } from './commands/serve.ts';
import { addShards } from './commands/shards.ts';
import { addStats } from './commands/stats.ts';
import { addStress } from './commands/stress.ts';
import { addTiers } from './commands/tiers.ts';
import { addTopic } from './commands/topic.ts';
import { addTune } from './commands/tune.ts';
import { Output } from './output.ts';
import { packageVersion } from './version.ts';

/**
 * Runs the command that the arguments name.
 *
 * @param argv as process.argv
 * @returns the exit code: 0, or 2 when commander has said what is wrong with the arguments
 * @throws what the command throws
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    await makeProgram(new Output()).parseAsync(argv);
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // The help and the version come as errors too.
    return error.exitCode === 0 ? 0 : 2;
  }
}

function makeProgram(output: Output): Command {
  const program = new Command('thermocline')
    .description('An embedded key-value store: load files, read, write and scan a database folder.')
    .version(packageVersion(), '-V, --version')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) });
  addLoad(program, output);
  addImport(program, output);
  addGet(program, output);
  addPut(program);
  addDel(program, output);
  addScan(program, output);
  addCount(program, output);
  addStats(program, output);
  addShards(program, output);
  addServe(program, output);
  addBackup(program, output);
  addBench(program, output);
  addStress(program, output);
  addTopic(program, output);
  addTune(program, output);
  addTiers(program, output);
  return program;
}

/** Commander's message as one line in the form of all others. */
function usageLine(text: string): string {
  const message = text
    .replace(/^error: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  return `thermocline: ${message}${message.endsWith(')') ? '' : "; see 'thermocline <command> --help'"}\n`;
}
