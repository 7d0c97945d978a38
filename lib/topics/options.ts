import { checkNames, checkObject } from '../checks.ts';
import type { KeyEncoding, ValueEncoding } from '../encoding.ts';
import { invalid } from '../error.ts';
import type { NativeTopicOptions } from '../native-topics.ts';
import { parseSize, type Size } from '../size.ts';

/** How the messages of an append are compressed together. */
export type TopicCompression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Settings of a topic; kept with it. Unknown names are refused. */
export interface TopicSettings {
  /** Logs that the topic is divided into, 1 to 1,024. Default 1. It can grow, never shrink. */
  partitions?: number;
  /** Default `'none'`: reading then copies nothing. With a level: gzip 1 to 9, zstd -7 to 22, lz4 1 to 22 (faster). */
  compression?: TopicCompression | { codec: TopicCompression; level?: number };
  /** When a segment file is full and the next one begins: whichever comes first. */
  segment?: {
    /** Default 128 MB; 4 KB to 2 GB. */
    bytes?: Size;
    /** Milliseconds since its first message. Default 0: no limit. */
    ms?: number;
    /** Default 0: no limit. */
    messages?: number;
  };
  /** Which segments are deleted, whole and oldest first. Default: none. */
  retention?: {
    /** Milliseconds since the segment's last message. Default 0: no limit. */
    ms?: number;
    /** At least this much is kept of each partition. Default 0: no limit. */
    bytes?: Size;
  };
}

/** How the messages of a topic look to the program. */
export interface TopicEncodings<KE extends KeyEncoding, VE extends ValueEncoding<unknown>> {
  /** Default: the database's. */
  keyEncoding?: KE;
  /** Default: the database's. */
  valueEncoding?: VE;
}

const CODECS: readonly string[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const NAMES = new Set(['partitions', 'compression', 'segment', 'retention']);
const ENCODING_NAMES = new Set(['keyEncoding', 'valueEncoding']);

/** @internal */
export const CREATE_NAMES: ReadonlySet<string> = new Set([...NAMES, ...ENCODING_NAMES]);
/** @internal */
export const OPEN_NAMES: ReadonlySet<string> = ENCODING_NAMES;
/** @internal */
export const CONFIGURE_NAMES: ReadonlySet<string> = NAMES;

/** @internal A whole number, with what it is called in the message. */
export function wholeNumber(value: unknown, name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalid(`${name} must be a whole number from ${least} to ${most}`);
}

function compression(value: TopicSettings['compression']): Pick<NativeTopicOptions, 'codec' | 'level'> {
  const given: { codec?: unknown; level?: unknown } =
    typeof value === 'object' && value !== null ? value : { codec: value };
  checkNames(given, new Set(['codec', 'level']), 'of compression');
  const codec = CODECS.indexOf(given.codec as string);
  if (codec < 0) throw invalid(`compression must be one of ${CODECS.join(', ')}`);
  return { codec, level: given.level === undefined ? 0 : wholeNumber(given.level, 'a compression level', -7, 22) };
}

/** @internal Checks settings and gives what the engine is told. Absent members mean "as it is". */
export function nativeTopicOptions(settings: TopicSettings): NativeTopicOptions {
  const segment = checkObject(settings.segment, new Set(['bytes', 'ms', 'messages']), 'of segment') ?? {};
  const retention = checkObject(settings.retention, new Set(['ms', 'bytes']), 'of retention') ?? {};
  const options: NativeTopicOptions = {};
  if (settings.partitions !== undefined) options.partitions = wholeNumber(settings.partitions, 'partitions', 1, 1024);
  if (settings.compression !== undefined) Object.assign(options, compression(settings.compression));
  if (segment.bytes !== undefined) options.segmentBytes = parseSize(segment.bytes, 'segment.bytes');
  if (segment.ms !== undefined) options.segmentMs = wholeNumber(segment.ms, 'segment.ms');
  if (segment.messages !== undefined) options.segmentRecords = wholeNumber(segment.messages, 'segment.messages');
  if (retention.ms !== undefined) options.retentionMs = wholeNumber(retention.ms, 'retention.ms');
  if (retention.bytes !== undefined) options.retentionBytes = parseSize(retention.bytes, 'retention.bytes');
  return options;
}

/** @internal The settings as a program would write them. */
export function settingsOf(options: Required<NativeTopicOptions>): Required<TopicSettings> {
  const codec = CODECS[options.codec] as TopicCompression;
  return {
    partitions: options.partitions,
    compression: options.level === 0 ? codec : { codec, level: options.level },
    segment: { bytes: options.segmentBytes, ms: options.segmentMs, messages: options.segmentRecords },
    retention: { ms: options.retentionMs, bytes: options.retentionBytes },
  };
}
