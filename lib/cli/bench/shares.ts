import type { Device } from './device.ts';
import type { Figures, Trial } from './trial.ts';

/** One result of the store beside what the disk can do. */
export interface Share {
  what: string;
  store: number;
  disk: number;
  unit: 'bytes/s' | 'reads/s' | 'syncs/s' | 'writes/s';
  /** `store` divided by `disk`. Above 1 where the store needs the disk less than once for each. */
  share: number;
  note: string;
}

/** @internal */
export interface Result {
  trial: Trial;
  figures: Figures;
}

/** Puts every result beside the figure of the disk that limits it. */
export function sharesOf(device: Device, results: readonly Result[]): Share[] {
  return results.flatMap(({ trial, figures }) => {
    const { width } = trial;
    const of = (name: string) => figures[name] ?? Number.NaN;
    const share = (what: string, unit: Share['unit'], store: number, disk: number, note: string): Share => {
      return { what, unit, store, disk, share: store / disk, note };
    };
    switch (trial.kind) {
      case 'durable': {
        const who = width === 1 ? '1 writer' : `${width} writers`;
        const perSync = of('writesPerSecond') / of('fsyncsPerSecond');
        const shared = `${perSync.toFixed(1)} writes a sync`;
        return [
          share(`durable puts, ${who}`, 'writes/s', of('writesPerSecond'), device.fsyncsPerSecond, shared),
          share(`  their syncs`, 'syncs/s', of('fsyncsPerSecond'), device.fsyncsPerSecond, ''),
        ];
      }
      case 'load': {
        const disk = device.writeBytesPerSecond;
        return [
          share('load until flushed', 'bytes/s', of('bytesPerSecond'), disk, 'keys and values'),
          share('  what the disk wrote', 'bytes/s', of('diskBytesPerSecond'), disk, 'log, tables, compaction'),
        ];
      }
      case 'read': {
        const reads = device.randomReads.find(({ depth }) => depth === width);
        if (reads === undefined) return [];
        const pages = of('diskBytesPerRead') / 4096;
        const note = `${pages.toFixed(2)} pages of 4 KiB from the disk each`;
        return [share(`cold get, ${width} outstanding`, 'reads/s', of('readsPerSecond'), reads.readsPerSecond, note)];
      }
      case 'scan':
        return [
          share('cold scan', 'bytes/s', of('bytesPerSecond'), device.readBytesPerSecond, 'keys and values'),
          share('  what the disk read', 'bytes/s', of('diskBytesPerSecond'), device.readBytesPerSecond, 'compressed'),
        ];
      default:
        return [];
    }
  });
}
