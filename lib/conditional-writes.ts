import { applyConditional, encodeOperations } from './conditions.ts';
import type { WriteOptions } from './durability.ts';
import { ThermoclineError } from './error.ts';
import type { BatchOperation, BatchWriteOptions } from './operations.ts';
import { Packer } from './packer.ts';
import { Outgoing } from './topics/outgoing.ts';
import { DEFAULT_RETRIES, retrying, type TransactionSource } from './transaction.ts';

/**
 * Writes operations of which some have conditions, as a transaction made for them.
 *
 * @internal
 * @throws ERR_CONDITION if one does not hold, and as `transaction`
 */
export async function writeConditional<K, V>(
  source: TransactionSource<K, V>,
  operations: readonly BatchOperation<K, V>[],
  flags: number,
  options: BatchWriteOptions | undefined,
): Promise<void> {
  const messages = options?.messages ?? [];
  source.writes.packAll(new Packer(64), operations); // bad operations are refused before anything is read
  new Outgoing().addAll(messages); // likewise
  const encoded = encodeOperations(source.keys, source.values, operations);
  await retrying(source, flags, DEFAULT_RETRIES, options?.signal, (transaction) => {
    for (const message of messages) transaction.send(message);
    return applyConditional(transaction, encoded);
  });
}

const WRITE_NAMES = new Set(['durability', 'signal']);

/**
 * @internal
 * @returns whether the conditions held, so that it was written
 * @throws as {@link writeConditional}, but ERR_CONDITION
 */
export async function writeIfHeld<K, V>(
  source: TransactionSource<K, V>,
  operations: readonly BatchOperation<K, V>[],
  options: WriteOptions,
): Promise<boolean> {
  try {
    const flags = source.writes.settings.check(options, WRITE_NAMES, 'of a conditional write');
    await writeConditional(source, operations, flags, options);
    return true;
  } catch (error) {
    if (error instanceof ThermoclineError && error.code === 'ERR_CONDITION') return false;
    throw error;
  }
}
