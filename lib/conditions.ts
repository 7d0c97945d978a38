import { expiryOf } from './durability.ts';
import type { KeyCodec, ValueCodec } from './encoding.ts';
import { invalid, ThermoclineError } from './error.ts';
import type { BatchOperation } from './operations.ts';
import { toBytes } from './packer.ts';
import type { Transaction } from './transaction.ts';

/** What must hold for a conditional write: the key is absent, or its value has exactly these bytes. */
export type Condition<V> = { absent: true } | { equals: V };

/** @internal One operation of a conditional batch, encoded once: the caller may reuse its arguments at once. */
export interface EncodedOperation {
  key: Buffer;
  /** Undefined: delete. */
  value: Buffer | undefined;
  expiryMs: number;
  /** Undefined: none. `null`: the key must be absent. Else the bytes that its value must have. */
  condition: Buffer | null | undefined;
}

/** @internal */
export function checkCondition(condition: unknown, where: string): void {
  if (typeof condition === 'object' && condition !== null) {
    const names = Object.keys(condition);
    if (names.length === 1 && names[0] === 'equals') return;
    if (names.length === 1 && (condition as { absent?: unknown }).absent === true) return;
  }
  throw invalid(`the condition ${where} must be { absent: true } or { equals: value }`);
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

/** @internal REQUIRES: operations that the packer accepts. */
export function encodeOperations<K, V>(
  keys: KeyCodec<K>,
  values: ValueCodec<V>,
  operations: readonly BatchOperation<K, V>[],
): EncodedOperation[] {
  return operations.map((operation) => {
    const put = operation.type === 'put';
    const condition = operation.if as Condition<V> | undefined;
    const equals = condition !== undefined && 'equals' in condition ? condition.equals : undefined;
    return {
      key: toBytes(keys.encode(operation.key), 'key'),
      value: put ? toBytes(values.encode(operation.value), 'value') : undefined,
      expiryMs: put && operation.ttl !== undefined ? expiryOf(operation.ttl) : 0,
      condition:
        condition === undefined ? undefined : 'absent' in condition ? null : toBytes(values.encode(equals), 'value'),
    };
  });
}

/** @internal Puts a conditional batch into a transaction, if every condition holds at its beginning. */
export async function applyConditional<K, V>(
  transaction: Transaction<K, V>,
  operations: readonly EncodedOperation[],
): Promise<void> {
  const conditional = operations.filter(({ condition }) => condition !== undefined);
  const stored = await transaction.readBytes(conditional.map(({ key }) => key));
  conditional.forEach(({ key, condition }, i) => {
    const value = stored[i];
    if (condition ? value?.equals(condition) : value === undefined) return;
    throw new ThermoclineError('ERR_CONDITION', `the condition on ${shown(key)} does not hold: nothing was written`);
  });
  for (const { key, value, expiryMs } of operations) transaction.writeBytes(key, value, expiryMs);
}

function shown(key: Buffer): string {
  const text = key.toString();
  return Buffer.from(text).equals(key) ? JSON.stringify(text) : `0x${key.toString('hex')}`;
}
