// Assertions about failures: a ThermoclineError with its code, a real stack, and a message that says enough.

import assert from 'node:assert/strict';
import { type ErrorCode, ThermoclineError } from '../../lib/index.ts';

export function check(error: unknown, code: ErrorCode, message?: RegExp): void {
  assert.ok(error instanceof ThermoclineError, `not a ThermoclineError: ${String(error)}`);
  assert.ok(error instanceof Error);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.length > 10, `a message that says nothing: ${error.message}`);
  assert.match(error.stack ?? '', /^ThermoclineError: /);
  if (message !== undefined) assert.match(error.message, message);
}

/**
 * The call must give a promise (not throw) and the promise must reject.
 * @param call a function that makes the call, or the promise itself
 */
export async function rejects(
  call: (() => PromiseLike<unknown>) | PromiseLike<unknown>,
  code: ErrorCode,
  message?: RegExp,
): Promise<ThermoclineError> {
  let promise: PromiseLike<unknown>;
  if (typeof call === 'function') {
    try {
      promise = call();
    } catch (error) {
      assert.fail(`threw instead of rejecting: ${String(error)}`);
    }
  } else {
    promise = call;
  }
  assert.equal(typeof promise?.then, 'function', 'not a promise');
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    check(error, code, message);
    return error as ThermoclineError;
  }
  assert.fail(`resolved with ${String(value)} instead of ${code}`);
}

export function throws(call: () => unknown, code: ErrorCode, message?: RegExp): ThermoclineError {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    check(error, code, message);
    return error as ThermoclineError;
  }
  if (typeof (value as PromiseLike<unknown> | undefined)?.then === 'function') {
    (value as Promise<unknown>).catch(() => {});
  }
  assert.fail(`returned ${String(value)} instead of throwing ${code}`);
}
