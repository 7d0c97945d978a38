import { applyConditional, encodeOperations } from './conditions.ts';
import type { BatchOperation } from './operations.ts';
import { Packer } from './packer.ts';
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
  signal: AbortSignal | undefined,
): Promise<void> {
  source.writes.packAll(new Packer(64), operations); // bad operations are refused before anything is read
  const encoded = encodeOperations(source.keys, source.values, operations);
  await retrying(source, flags, DEFAULT_RETRIES, signal, (transaction) => applyConditional(transaction, encoded));
}
