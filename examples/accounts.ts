// Accounts with atomic transfers, kept in blocks; blocks that are history sink to the cold store, where they cost less and
// are read as before.
// Run it from a checkout: node --import tsx examples/accounts.ts [folder]
import { createHash } from 'node:crypto';
import { destroy, open } from '../lib/index.ts';

interface Transfer {
  from: string;
  to: string;
  amount: number;
}
interface Block {
  previous: string;
  transfers: Transfer[];
}

const location = process.argv[2] ?? 'accounts-db';
await destroy(location);
const db = await open(location, { valueEncoding: 'json', tiers: { cold: {} } });
const names = ['anna', 'bert', 'carl', 'dora'];
await db.batch(names.map((name) => ({ type: 'put', key: `account/${name}`, value: 100 })));

/** Moves money if it is there. Transfers that meet on an account are run again, one after the other. */
async function transfer({ from, to, amount }: Transfer): Promise<boolean> {
  return db.transaction(
    async (tx) => {
      const [has, gets] = (await tx.getMany([`account/${from}`, `account/${to}`])) as [number, number];
      if (has < amount) return false;
      tx.put(`account/${from}`, has - amount);
      tx.put(`account/${to}`, gets + amount);
      return true;
    },
    { retries: 1000 },
  );
}

const blockKey = (height: number) => `block/${String(height).padStart(8, '0')}`;
const hash = (block: Block | undefined) =>
  createHash('sha256')
    .update(JSON.stringify(block ?? null))
    .digest('hex');

// Ten blocks; the transfers of each are made at once, and a block holds those that went through.
let previous: Block | undefined;
for (let height = 0; height < 10; height++) {
  const wanted = names.flatMap((from, i): Transfer[] => [
    { from, to: names[(i + 1) % names.length] as string, amount: 10 + i * height },
    { from, to: names[(i + 2) % names.length] as string, amount: 7 },
  ]);
  const made = await Promise.all(wanted.map(transfer));
  const block = { previous: hash(previous), transfers: wanted.filter((_, i) => made[i]) };
  await db.put(blockKey(height), block, { durability: 'fsync' });
  previous = block;
}

// All but the last two blocks are history.
const { records } = await db.tiers.migrate({
  from: 'hot',
  to: 'cold',
  filter: (key) => key.startsWith('block/') && key < blockKey(8),
});
const cold = (await db.tiers.report()).tiers.find(({ tier }) => tier === 'cold');
console.log(`${records} blocks sank; the cold store holds ${cold?.records}`);

// The chain is whole, and the money is all there, whichever store a block lies in.
let height = 0;
let before: Block | undefined;
const balances = new Map(names.map((name) => [name, 100]));
for await (const [key, value] of db.iterator({ prefix: 'block/' })) {
  const block = value as Block;
  if (key !== blockKey(height++) || block.previous !== hash(before)) throw new Error(`${key} does not follow`);
  for (const { from, to, amount } of block.transfers) {
    balances.set(from, (balances.get(from) as number) - amount);
    balances.set(to, (balances.get(to) as number) + amount);
  }
  before = block;
}
const accounts = (await db.getMany(names.map((name) => `account/${name}`))) as number[];
console.log(
  'blocks:',
  height,
  'sum:',
  accounts.reduce((sum, balance) => sum + balance),
);
console.log('replayed:', names.every((name, i) => balances.get(name) === accounts[i]) ? 'the same balances' : 'WRONG');
await db.close();
