// Writes numbered batches into a database without a log, flushes now and then, and reports what a flush has covered.

import { open } from '../../../lib/index.ts';
import { programArgument } from './program.ts';
import { report } from './report.ts';

export interface UnloggedWriter {
  location: string;
  /** Keys of each batch, spread over the shards. */
  width: number;
  /** Batches between two flushes. */
  every: number;
}

const { location, width, every } = programArgument<UnloggedWriter>();
// A small write buffer, so that memtables are also flushed by themselves in the middle of everything.
const db = await open(location, { durability: 'none', valueEncoding: 'utf8', memory: { writeBuffer: '1MB' } });
for (let batch = 0; ; batch++) {
  const value = `${batch}`.padEnd(200, '.');
  await db.batch(Array.from({ length: width }, (_, i) => ({ type: 'put', key: `${i}/${batch}`, value })));
  if (batch % every !== 0) continue;
  await db.flush();
  report(`${batch}`);
}
