import { createInterface } from 'node:readline';
import { type Command, Option } from 'commander';
import type { Durability, Message, Topic, TopicCompression, TopicSettings } from '../../index.ts';
import { type BytesDatabase, reading, writing } from '../database.ts';
import { CliError, usageError } from '../errors.ts';
import { note, type Output } from '../output.ts';
import { wholeNumber } from '../range.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatCount, plural, printable } from '../text.ts';
import { flatten } from './stats.ts';

type BytesTopic = Topic<Buffer, Buffer>;

const CODECS: readonly TopicCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const MOST = Number.MAX_SAFE_INTEGER;
/** Lines that are appended together. */
const LINES = 1000;

const compressionOption = () => new Option('--compression <codec>', 'how messages are compressed').choices(CODECS);

/** `thermocline topic <command>` */
export function addTopic(program: Command, output: Output): void {
  const topic = program
    .command('topic')
    .description('append-only logs of messages: create, append, read, check, repair');
  addCreate(topic);
  addAppend(topic, output);
  addRead(topic, output);
  addTail(topic, output);
  addStats(topic, output);
  addCheck(topic, output);
  addRepair(topic, output);
  topic
    .command('list')
    .description('print the names of all topics')
    .argument('<db>', 'folder of the database')
    .action((location: string) =>
      reading(location, async (db) => {
        for (const name of await db.topics.list()) await output.line(name);
      }),
    );
  topic
    .command('delete')
    .description('delete a topic with its messages')
    .argument('<db>', 'folder of the database')
    .argument('<topic>')
    .action((location: string, name: string) => writing(location, existing, (db) => db.topics.delete(name)));
}

const existing = { createIfMissing: false };

/** A command on one topic. */
function onTopic(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description).argument('<db>', 'folder of the database').argument('<topic>');
}

interface CreateFlags {
  partitions?: number;
  compression?: TopicCompression;
  segmentSize?: string;
  segmentMs?: number;
  segmentMessages?: number;
  retentionMs?: number;
  retentionSize?: string;
}

function addCreate(parent: Command): void {
  onTopic(parent, 'create', 'create a topic, and the database if there is none')
    .option('--partitions <count>', 'logs that it is divided into', wholeNumber(1, 1024))
    .addOption(compressionOption())
    .option('--segment-size <size>', 'size of a segment file, such as 128MB')
    .option('--segment-ms <ms>', 'milliseconds after which a segment ends', wholeNumber(1, MOST))
    .option('--segment-messages <count>', 'messages after which a segment ends', wholeNumber(1, MOST))
    .option('--retention-ms <ms>', 'milliseconds after which messages may go', wholeNumber(1, MOST))
    .option('--retention-size <size>', 'size that each partition is kept to')
    .action(async (location: string, name: string, flags: CreateFlags) => {
      const settings: TopicSettings = {
        segment: given({ bytes: flags.segmentSize, ms: flags.segmentMs, messages: flags.segmentMessages }),
        retention: given({ ms: flags.retentionMs, bytes: flags.retentionSize }),
        ...given({ partitions: flags.partitions, compression: flags.compression }),
      };
      await writing(location, {}, (db) => db.topics.create(name, settings));
    });
}

/** Without the members that are undefined. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}

interface AppendFlags {
  key?: string;
  partition?: number;
  durability?: Exclude<Durability, 'none'>;
}

function addAppend(parent: Command, output: Output): void {
  onTopic(parent, 'append', 'append a message and print its partition and offset')
    .argument('[message]', 'the message; without one, every line of standard input is one')
    .option('--key <key>', 'messages with the same key go to the same partition')
    .option('--partition <number>', 'the partition', wholeNumber(0, 1023))
    .addOption(new Option('--durability <level>', 'what an append survives').choices(['wal', 'fsync']))
    .action(async (location: string, name: string, message: string | undefined, flags: AppendFlags) => {
      const { partition, durability } = flags;
      const options = given({
        partition,
        durability,
        key: flags.key === undefined ? undefined : Buffer.from(flags.key),
      });
      await writing(location, existing, async (db) => {
        const topic = await db.topics.open(name);
        if (message !== undefined) {
          const at = await topic.append({ value: Buffer.from(message) }, options);
          return output.line(`${at.partition}\t${at.offset}`);
        }
        let lines: { value: Buffer }[] = [];
        let appended = 0;
        const send = async () => {
          await topic.append(lines, options);
          appended += lines.length;
          lines = [];
        };
        for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
          if (lines.push({ value: Buffer.from(line) }) === LINES) await send();
        }
        if (lines.length > 0) await send();
        note(`appended ${plural(appended, 'message')}`);
      });
    });
}

interface ReadFlags {
  partition: number;
  offset?: number;
  timestamp?: number;
  limit?: number;
  json?: boolean;
  pastDamage?: boolean;
}

const readHelp = 'partition, offset, key and value, separated by tabs';

function addRead(parent: Command, output: Output): void {
  onTopic(parent, 'read', `print the messages of a partition: ${readHelp}`)
    .option('--partition <number>', 'the partition', wholeNumber(0, 1023), 0)
    .option('--offset <offset>', 'begin with this message', wholeNumber(0, MOST))
    .option('--timestamp <ms>', 'begin with the first that is not older, in Unix milliseconds', wholeNumber(0, MOST))
    .option('--limit <count>', 'at most so many messages', wholeNumber(0, MOST))
    .option('--json', 'one JSON object a line')
    .option('--past-damage', 'go on after damaged messages')
    .action(async (location: string, name: string, flags: ReadFlags) => {
      if (flags.offset !== undefined && flags.timestamp !== undefined) {
        throw usageError('give --offset or --timestamp, not both');
      }
      await reading(location, async (db) => print(await db.topics.open(name), flags, output));
    });
}

async function print(topic: BytesTopic, flags: ReadFlags, output: Output): Promise<void> {
  const { partition, timestamp } = flags;
  const pastDamage = flags.pastDamage === true;
  let left = flags.limit ?? Number.POSITIVE_INFINITY;
  let offset = flags.offset ?? 0;
  let first = timestamp !== undefined;
  while (left > 0 && !output.closed) {
    const from = first && timestamp !== undefined ? { timestamp } : { offset };
    const batch = await topic.read({ partition, pastDamage, ...from });
    for (const { fromOffset, toOffset, segment } of batch.lost) {
      note(`the messages from ${fromOffset} to ${toOffset - 1} are damaged in ${segment}`);
    }
    if (batch.length === 0 && batch.lost.length === 0) break;
    let text = '';
    for (const message of batch) {
      if (left-- <= 0) break;
      text += `${flags.json ? jsonOf(message) : lineOf(message)}\n`;
    }
    await output.write(text);
    offset = batch.nextOffset;
    first = false;
  }
}

function lineOf({ partition, offset, key, value }: Message<Buffer, Buffer>): string {
  return `${partition}\t${offset}\t${key === undefined ? '' : printable(key)}\t${printable(value)}`;
}

function jsonOf({ partition, offset, timestamp, id, key, headers, value }: Message<Buffer, Buffer>): string {
  const texts = headers && Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, printable(text)]));
  const keyText = key && printable(key);
  return JSON.stringify({ partition, offset, timestamp, id, key: keyText, headers: texts, value: printable(value) });
}

function addTail(parent: Command, output: Output): void {
  onTopic(parent, 'tail', `print the last messages of every partition: ${readHelp}`)
    .option('--limit <count>', 'of each partition', wholeNumber(1, MOST), 10)
    .option('--json', 'one JSON object a line')
    .action(async (location: string, name: string, flags: { limit: number; json?: boolean }) => {
      await reading(location, async (db) => {
        const topic = await db.topics.open(name);
        for (const { partition, startOffset, endOffset } of topic.stats().partitions) {
          const offset = Math.max(startOffset, endOffset - flags.limit);
          await print(topic, { ...flags, partition, offset }, output);
        }
      });
    });
}

function addStats(parent: Command, output: Output): void {
  onTopic(parent, 'stats', "print a topic's settings and what it holds")
    .option('--json', 'everything as one JSON object')
    .action(async (location: string, name: string, flags: { json?: boolean }) => {
      const stats = await reading(location, async (db) => (await db.topics.open(name)).stats());
      if (flags.json) return output.line(JSON.stringify(stats, undefined, 2));
      const head = ['partition', 'start', 'end', 'segments', 'bytes'];
      const rows = stats.partitions.map(({ partition, startOffset, endOffset, segments, bytes }) =>
        [partition, startOffset, endOffset, segments, bytes].map(String),
      );
      const content = { head, rows, right: [0, 1, 2, 3, 4] };
      await output.write(output.isTerminal ? formatTable(content, true) : formatTabs([head, ...rows]));
    });
}

function addCheck(parent: Command, output: Output): void {
  onTopic(parent, 'check', 'read every byte of a topic; exit code 1 if something is damaged').action(
    async (location: string, name: string) => {
      const { problems, ...figures } = await reading(location, (db) => db.topics.check(name));
      for (const { path, position, offset, what } of problems) {
        await output.line(`${path}\tbyte ${position}\toffset ${offset}\t${what}`);
      }
      await output.write(figureRows(figures, output));
      if (problems.length > 0) throw new CliError(`${plural(problems.length, 'problem')} in the topic '${name}'`);
    },
  );
}

function addRepair(parent: Command, output: Output): void {
  onTopic(parent, 'repair', 'rewrite damaged segments without what is damaged; other messages keep their offsets')
    .option('--rewrite', 'rewrite every segment in the current format')
    .addOption(compressionOption())
    .action(async (location: string, name: string, flags: { rewrite?: boolean; compression?: TopicCompression }) => {
      if (flags.compression !== undefined && !flags.rewrite) throw usageError('--compression needs --rewrite');
      const repaired = await writing(location, existing, (db: BytesDatabase) => db.topics.repair(name, flags));
      await output.write(figureRows(repaired, output));
    });
}

function figureRows(figures: object, output: Output): string {
  const rows = flatten(figures);
  if (!output.isTerminal) return formatTabs(rows);
  return formatTable(
    { rows: rows.map(([name = '', figure]) => [name, formatCount(Number(figure))]), right: [1] },
    true,
  );
}
