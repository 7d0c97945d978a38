import type { Compression, OpenOptions } from '../../index.ts';

/** Options with a name, and the size of the program's batches. */
export interface Candidate {
  name: string;
  options: OpenOptions;
  batch: number;
}

/** A question, and the answers to try; each differs from what has been chosen so far in one thing. */
export interface Stage {
  what: string;
  candidates: Candidate[];
  writesOnly: boolean;
}

const MB = 2 ** 20;
/** Bytes of the three budgets of memory. */
export interface Budgets {
  hotCache: number;
  blockCache: number;
  writeBuffer: number;
}

/** What `open` takes by itself (lib/options.ts). */
export const defaultBudgets: Budgets = { hotCache: 64 * MB, blockCache: 128 * MB, writeBuffer: 128 * MB };
export const defaultBatch = 1000;

export const defaults: Candidate = {
  name: 'defaults',
  options: { memory: { ...defaultBudgets } },
  batch: defaultBatch,
};

/** How compression is tried: nothing on the way down, this at the bottom, unless it says otherwise. */
const compressions: [name: string, compression: Compression][] = [
  ['none', 'none'],
  ['snappy', ['none', 'none', 'snappy']],
  ['lz4 at the bottom (default)', ['none', 'none', 'lz4']],
  ['lz4 everywhere', 'lz4'],
  ['zstd:1', ['none', 'none', 'zstd:1']],
  ['zstd:3', ['none', 'none', 'zstd:3']],
  ['zstd:6', ['none', 'none', 'zstd:6']],
  ['zstd:9', ['none', 'none', 'zstd:9']],
  ['zstd:15', ['none', 'none', 'zstd:15']],
  ['zstd:1 with a dictionary of 16 KB', { levels: ['none', 'none', 'zstd:1'], dictionary: '16KB' }],
  ['zstd:3 with a dictionary of 16 KB', { levels: ['none', 'none', 'zstd:3'], dictionary: '16KB' }],
  ['zstd:9 with a dictionary of 64 KB', { levels: ['none', 'none', 'zstd:9'], dictionary: '64KB' }],
];

/** How the memory is divided: shares of hot cache, block cache, write buffer. */
const divisions: [hotCache: number, blockCache: number, writeBuffer: number][] = [
  [0.2, 0.4, 0.4], // the defaults' division
  [0, 0.6, 0.4],
  [0.4, 0.4, 0.2],
  [0.6, 0.2, 0.2],
  [0.1, 0.8, 0.1],
  [0.05, 0.15, 0.8],
];

function stage(what: string, candidates: Candidate[], writesOnly = false): Stage {
  return { what, candidates, writesOnly };
}

export function compressionStage(chosen: Candidate): Stage {
  return stage(
    'compression',
    compressions.map(([name, compression]) => ({ ...chosen, name, options: { ...chosen.options, compression } })),
  );
}

/** @param total bytes of all three budgets together */
export function memoryStage(chosen: Candidate, total: number): Stage {
  const candidates = divisions.map(([hotCache, blockCache, writeBuffer]): Candidate => {
    const memory = {
      hotCache: Math.round((total * hotCache) / MB) * MB,
      blockCache: Math.max(MB, Math.round((total * blockCache) / MB) * MB),
      writeBuffer: Math.max(MB, Math.round((total * writeBuffer) / MB) * MB),
    };
    return { ...chosen, name: memoryName(memory), options: { ...chosen.options, memory } };
  });
  return stage('memory: hot cache / block cache / write buffer', candidates);
}

/** Such as `64 / 128 / 128 MB`. */
export function memoryName({ hotCache, blockCache, writeBuffer }: Budgets): string {
  return `${[hotCache, blockCache, writeBuffer].map((bytes) => Math.round(bytes / MB)).join(' / ')} MB`;
}

/** @param cores of this machine */
export function jobsStage(chosen: Candidate, cores: number): Stage {
  const counts = [...new Set([1, 2, Math.max(2, Math.min(8, cores)), 2 * cores, 8])].filter((n) => n <= 64);
  return stage(
    'background jobs',
    counts
      .sort((a, b) => a - b)
      .map((background) => ({
        ...chosen,
        name: String(background),
        options: { ...chosen.options, threads: { ...chosen.options.threads, background } },
      })),
    true,
  );
}

export function shardsStage(chosen: Candidate): Stage {
  return stage(
    'shards',
    [1, 2, 4, 8, 16].map((shards) => ({ ...chosen, name: String(shards), options: { ...chosen.options, shards } })),
  );
}

export function batchStage(chosen: Candidate): Stage {
  return stage(
    'records in one batch',
    [10, 100, 500, 1000, 5000, 20_000].map((batch) => ({ ...chosen, name: String(batch), batch })),
    true,
  );
}

/**
 * The options with budgets of memory for a sample that is a part of the data: caches are smaller by the same factor, so
 * that they hold the same share.
 *
 * @param factor bytes of the sample for each byte of the data, at most 1
 */
export function scaled(options: OpenOptions, factor: number): OpenOptions {
  const memory = { ...defaultBudgets, ...(options.memory as Partial<Budgets> | undefined) };
  return {
    ...options,
    memory: {
      hotCache: Math.round(memory.hotCache * factor),
      blockCache: Math.max(MB, Math.round(memory.blockCache * factor)),
      writeBuffer: Math.max(MB, Math.round(memory.writeBuffer * factor)),
    },
  };
}
