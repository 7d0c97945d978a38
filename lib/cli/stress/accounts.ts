import type { Database } from '../../index.ts';
import { crc32, type Random } from './record.ts';

/**
 * Accounts between which transactions of all workers move amounts: whatever happens, their sum stays. As many as there
 * are workers, each beginning with `INITIAL`.
 */
export const INITIAL = 1000;

function name(account: number): string {
  return `account/${String(account).padStart(3, '0')}`;
}

function encode(amount: number): Buffer {
  const value = Buffer.alloc(12);
  value.writeDoubleLE(amount, 0);
  value.writeUInt32LE(crc32(value, 8), 8);
  return value;
}

function decode(value: Buffer | undefined): number | undefined {
  if (value?.length !== 12 || value.readUInt32LE(8) !== crc32(value, 8)) return undefined;
  return value.readDoubleLE(0);
}

/** Opens the accounts unless they are there. */
export async function openAccounts(db: Database<string, Buffer>, count: number): Promise<void> {
  if (await db.has(name(0))) return;
  await db.batch(
    Array.from({ length: count }, (_, i) => ({ type: 'put' as const, key: name(i), value: encode(INITIAL) })),
  );
}

/** Moves an amount between two accounts, chosen at random. @throws if an account is missing or damaged */
export async function transfer(db: Database<string, Buffer>, count: number, random: Random): Promise<void> {
  const from = random.below(count);
  const to = (from + 1 + random.below(Math.max(1, count - 1))) % count;
  if (from === to) return;
  const amount = 1 + random.below(10);
  await db.transaction(async (tx) => {
    const [left, right] = (await tx.getMany([name(from), name(to)])).map(decode);
    if (left === undefined || right === undefined) throw new Error('an account is missing or damaged');
    tx.put(name(from), encode(left - amount));
    tx.put(name(to), encode(right + amount));
  });
}

/** @returns the sum, at one moment; undefined before the accounts were opened; or what is wrong */
export async function accountTotal(db: Database<string, Buffer>, count: number): Promise<number | string | undefined> {
  const all = await db.iterator({ prefix: 'account/' }).nextMany(count + 1);
  if (all.length === 0) return undefined;
  if (all.length !== count) return `there are ${all.length} accounts and not ${count}`;
  let total = 0;
  for (const [key, value] of all) {
    const amount = decode(value);
    if (amount === undefined) return `${key} is damaged`;
    total += amount;
  }
  return total;
}
