// Writes one very large batch, reports before and after the commit, and at the end what memory it took.

import { open } from '../../../lib/index.ts';
import { programArgument } from './program.ts';
import { report } from './report.ts';

export interface LargeBatch {
  location: string;
  records: number;
  valueBytes: number;
  /** Stays after its work until it is killed, however early that is done. */
  stays?: boolean;
}

/** Sorts like its number. */
export function largeKey(index: number): string {
  return `key/${String(index).padStart(12, '0')}`;
}

/** The value of a record, different for each. */
export function largeValue(index: number, bytes: number): Buffer {
  const value = Buffer.alloc(bytes, index & 0xff);
  value.writeUInt32LE(index);
  return value;
}

if (import.meta.filename === process.argv[1]) {
  const { location, records, valueBytes, stays = false } = programArgument<LargeBatch>();
  const db = await open(location);
  const before = process.memoryUsage.rss();
  const batch = db.beginBatch({ capacity: records * (valueBytes + 24) });
  for (let i = 0; i < records; i++) batch.put(largeKey(i), largeValue(i, valueBytes));
  const { bytes } = batch;
  report('committing');
  const began = Date.now();
  await batch.commit();
  report(`${JSON.stringify({ bytes, milliseconds: Date.now() - began })}`);
  await db.close();
  report(`${JSON.stringify({ before, peak: process.resourceUsage().maxRSS * 1024 })}`);
  if (stays) setInterval(() => {}, 60_000);
}
