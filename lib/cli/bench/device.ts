import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../errors.ts';
import { inProcess } from './trials.ts';

/** What a disk does by itself. */
export interface Device {
  /** What measured it. */
  source: string;
  /** False where the page cache could not be passed by. */
  direct: boolean;
  fsyncsPerSecond: number;
  fsyncP50Seconds: number;
  fsyncP99Seconds: number;
  writeBytesPerSecond: number;
  readBytesPerSecond: number;
  /** Of 4 KiB, by the number of reads that are always outstanding. */
  randomReads: { depth: number; readsPerSecond: number; p50Seconds: number; p99Seconds: number }[];
}

/** @internal How the disk is measured. */
export interface DeviceOptions {
  /** A folder on it that may be written to. */
  folder: string;
  fileBytes: number;
  /** For each figure. */
  seconds: number;
  depths: readonly number[];
}

/** Measures with fio where it is installed, else with the engine's own probe. */
export async function measureDevice(options: DeviceOptions, signal: AbortSignal): Promise<Device> {
  const version = await output('fio', ['--version'], signal).catch(() => undefined);
  if (version === undefined || process.platform !== 'linux') return measureByProbe(options, signal);
  try {
    return await measureByFio(options, version.trim(), signal);
  } catch (error) {
    // Such as a file system without O_DIRECT, or a kernel without asynchronous I/O.
    if (signal.aborted) throw error;
    return measureByProbe(options, signal);
  }
}

/** The engine's own probe. */
export async function measureByProbe(options: DeviceOptions, signal: AbortSignal): Promise<Device> {
  return { source: 'own probe', ...(await inProcess<Omit<Device, 'source'>>('probe', options, signal)) };
}

/** The part of fio's report that is read here. */
interface FioReport {
  jobs: { error: number; read: FioSide; write: FioSide; sync: { lat_ns: FioLatency } }[];
}
interface FioSide {
  iops: number;
  bw_bytes: number;
  clat_ns: FioLatency;
}
interface FioLatency {
  percentile?: Record<string, number>;
}

async function measureByFio(options: DeviceOptions, version: string, signal: AbortSignal): Promise<Device> {
  const { folder, seconds } = options;
  const names = ['data', 'log'].map((kind) => join(folder, `.thermocline-${kind}-${randomBytes(4).toString('hex')}`));
  const [data = '', log = ''] = names;
  const job = async (file: string, ...parameters: string[]) => {
    const common = ['--name=disk', `--filename=${file}`, '--output-format=json', `--size=${options.fileBytes}`];
    const text = await output('fio', [...common, ...parameters.map((parameter) => `--${parameter}`)], signal);
    // Warnings stand before the report.
    const report = JSON.parse(text.slice(text.indexOf('{'))) as FioReport;
    const [first] = report.jobs;
    if (first === undefined || first.error !== 0) throw new CliError('fio failed');
    return first;
  };
  const timed = ['time_based=1', `runtime=${Math.max(1, Math.round(seconds))}`];
  const direct = ['direct=1', 'ioengine=libaio'];
  const percentile = (latency: FioLatency, name: string) => (latency.percentile?.[name] ?? 0) / 1e9;
  try {
    const write = await job(data, 'rw=write', 'bs=1M', 'iodepth=4', 'end_fsync=1', ...direct);
    const sync = await job(log, 'rw=write', 'bs=4k', 'fdatasync=1', 'ioengine=sync', 'file_append=1', ...timed);
    const randomReads: Device['randomReads'] = [];
    for (const depth of options.depths) {
      const { read } = await job(data, 'rw=randread', 'bs=4k', `iodepth=${depth}`, ...direct, ...timed);
      const [p50Seconds, p99Seconds] = [
        percentile(read.clat_ns, '50.000000'),
        percentile(read.clat_ns, '99.000000'),
      ] as const;
      randomReads.push({ depth, readsPerSecond: read.iops, p50Seconds, p99Seconds });
    }
    const read = await job(data, 'rw=read', 'bs=1M', 'iodepth=4', ...direct, ...timed);
    return {
      source: version,
      direct: true,
      fsyncsPerSecond: sync.write.iops,
      fsyncP50Seconds: percentile(sync.sync.lat_ns, '50.000000'),
      fsyncP99Seconds: percentile(sync.sync.lat_ns, '99.000000'),
      writeBytesPerSecond: write.write.bw_bytes,
      readBytesPerSecond: read.read.bw_bytes,
      randomReads,
    };
  } finally {
    await Promise.all(names.map((name) => rm(name, { force: true })));
  }
}

/** Runs a program to its end and gives what it printed. */
function output(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { signal, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new CliError(`${program} ended with exit code ${code}`));
    });
  });
}
