// Compiled only: the types as CommonJS sees them.
import thermocline = require('thermocline');
import level = require('thermocline/level');

async function main(): Promise<number | undefined> {
  const db = await thermocline.open('./db', { keyEncoding: 'buffer', valueEncoding: thermocline.json<number>() });
  // @ts-expect-error keys are Buffers
  await db.get('k');
  // @ts-expect-error values are numbers
  await db.put(Buffer.from('k'), 'v');
  const all: level.ThermoclineLevel<string, string> = new level.ThermoclineLevel('./level');
  await all.close();
  return db.getSync(Buffer.from('k'));
}

export = main;
