import { invalid } from './error.ts';
import { parseSize, type Size } from './size.ts';

/** How the blocks of a table are compressed. `'zstd'` is `'zstd:3'`; levels go from 1 (fast) to 22 (small). */
export type CompressionCodec = 'none' | 'lz4' | 'snappy' | 'zstd' | `zstd:${number}`;

/** Compression with all its settings. */
export interface CompressionOptions {
  /**
   * One name for every level, or up to seven: the first for tables just flushed, the next for the level they are merged
   * into, and so on. The last name is for the bottom level, which holds most of the data, and for all levels that have no
   * name of their own. Zstd may have one level at the bottom and one elsewhere.
   */
  levels: CompressionCodec | readonly CompressionCodec[];
  /**
   * Bytes of the dictionary that zstd trains for each table of the bottom level, at most 1 MB; 0, the default, for none.
   * Helps with small values that resemble each other.
   */
  dictionary?: Size;
}

/** A name for all levels, names per level, or all settings. */
export type Compression = CompressionCodec | readonly CompressionCodec[] | CompressionOptions;

/** What crosses to the engine, which knows the names. @internal */
export interface NativeCompression {
  levels: string[];
  dictionaryBytes: number;
}

const SHAPE = "'lz4', ['none', 'lz4', 'zstd:3'] or { levels, dictionary }";

/** @internal @param name of the option, for messages */
export function checkCompression(value: unknown, name: string): NativeCompression | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { levels: names(value, name), dictionaryBytes: 0 };
  }
  for (const member of Object.keys(value)) {
    if (member !== 'levels' && member !== 'dictionary') {
      throw invalid(`unknown option '${member}' of ${name}; known are levels, dictionary`);
    }
  }
  const { levels, dictionary = 0 } = value as { levels?: unknown; dictionary?: unknown };
  return { levels: names(levels, name), dictionaryBytes: parseSize(dictionary, `${name}.dictionary`) };
}

function names(value: unknown, name: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.some((entry) => typeof entry !== 'string')) {
    throw invalid(`${name} must be such as ${SHAPE}`);
  }
  return list as string[];
}
