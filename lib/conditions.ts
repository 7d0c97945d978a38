import type { BatchOperation } from './database.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import { toBytes } from './packer.ts';
import type { Transaction } from './transaction.ts';

/** What must hold for a conditional write: the key is absent, or its value has exactly these bytes. */
export type Condition<V> = { absent: true } | { equals: V };

/** @internal */
export function checkCondition(condition: unknown, where: string): void {
  if (typeof condition === 'object' && condition !== null) {
    const names = Object.keys(condition);
    if (names.length === 1 && names[0] === 'equals') return;
    if (names.length === 1 && (condition as { absent?: unknown }).absent === true) return;
  }
  throw invalid(`the condition ${where} must be { absent: true } or { equals: value }`);
}

/** Whether a value read from the store meets the condition; values are compared as they are stored. */
export function meets<V>(values: ValueCodec<V>, condition: Condition<V>, stored: V | undefined): boolean {
  if ('absent' in condition) return stored === undefined;
  if (stored === undefined) return false;
  return toBytes(values.encode(stored), 'value').equals(toBytes(values.encode(condition.equals), 'value'));
}

/** @internal Whether any operation of a batch has a condition; checks those that do. */
export function hasConditions(operations: readonly BatchOperation<unknown, unknown>[]): boolean {
  if (!Array.isArray(operations)) return false;
  let found = false;
  for (let i = 0; i < operations.length; i++) {
    const condition = (operations[i] as { if?: unknown } | null | undefined)?.if;
    if (condition === undefined) continue;
    checkCondition(condition, `of operation ${i}`);
    found = true;
  }
  return found;
}

/** @internal Puts a conditional batch into a transaction, if every condition holds at its beginning. */
export async function applyConditional<K, V>(
  transaction: Transaction<K, V>,
  keys: KeyCodec<K>,
  values: ValueCodec<V>,
  operations: readonly BatchOperation<K, V>[],
): Promise<void> {
  const conditional = operations.filter((operation) => operation.if !== undefined);
  for (const { if: condition } of conditional) {
    if (condition !== undefined && 'equals' in condition) toBytes(values.encode(condition.equals), 'value');
  }
  const stored = await transaction.getMany(conditional.map(({ key }) => key));
  conditional.forEach((operation, i) => {
    if (!meets(values, operation.if as Condition<V>, stored[i])) {
      const key = keys.encode(operation.key);
      const shown = typeof key === 'string' ? JSON.stringify(key) : `0x${Buffer.from(key).toString('hex')}`;
      throw new ThermoclineError('ERR_CONDITION', `the condition on ${shown} does not hold: nothing was written`);
    }
  });
  for (const operation of operations) {
    if (operation.type === 'put') {
      transaction.put(operation.key, operation.value, operation.ttl === undefined ? undefined : { ttl: operation.ttl });
    } else {
      transaction.delete(operation.key);
    }
  }
}
