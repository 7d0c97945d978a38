// Another program with a database: holder.ts <location> <options as JSON>
// Prints "open" or the code of the failure, then answers lines: put <key> <value>, get <key>, close.

import { createInterface } from 'node:readline';
import { type OpenOptions, open, ThermoclineError } from '../../../lib/index.ts';

const [location, options] = process.argv.slice(2) as [string, string];

async function answer(work: () => Promise<unknown>): Promise<void> {
  try {
    console.log(String(await work()));
  } catch (error) {
    console.log(error instanceof ThermoclineError ? error.code : `not ours: ${String(error)}`);
  }
}

let db: Awaited<ReturnType<typeof opened>> | undefined;
async function opened() {
  return open(location, { ...(JSON.parse(options) as OpenOptions), keyEncoding: 'utf8', valueEncoding: 'utf8' });
}

await answer(async () => {
  db = await opened();
  return 'open';
});
if (db !== undefined) {
  const held = db;
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, key = '', value = ''] = line.split(' ');
    if (command === 'put') await answer(() => held.put(key, value).then(() => 'written'));
    if (command === 'get') await answer(() => held.get(key));
    if (command === 'close') await answer(() => held.close().then(() => 'closed'));
  }
}
