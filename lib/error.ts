/**
 * The stable codes of every failure; `docs/errors.md` has a heading for each. Where the addon does not load, importing the
 * package throws an Error with the code ERR_UNSUPPORTED.
 */
export type ErrorCode =
  | 'ERR_CLOSED'
  | 'ERR_LOCKED'
  | 'ERR_CORRUPTION'
  | 'ERR_IO'
  | 'ERR_NO_SPACE'
  | 'ERR_READ_ONLY'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_CONFLICT'
  | 'ERR_CONDITION'
  | 'ERR_BACKPRESSURE'
  | 'ERR_FORMAT_VERSION'
  | 'ERR_NOT_FOUND'
  | 'ERR_ABORTED'
  | 'ERR_GAP'
  | 'ERR_FROZEN';

const BRAND = Symbol.for('thermocline.error');

/**
 * Every failure of this package. Program against {@link ThermoclineError.code}, never the message.
 *
 * @example
 * ```ts
 * try {
 *   await open('./data');
 * } catch (error) {
 *   if (error instanceof ThermoclineError && error.code === 'ERR_LOCKED') retryLater();
 * }
 * ```
 */
export class ThermoclineError extends Error {
  /** The stable code, such as `'ERR_LOCKED'`. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  override get name(): string {
    return 'ThermoclineError';
  }

  /** @internal */
  get [BRAND](): true {
    return true;
  }

  /** True for errors of the package's ESM and CommonJS builds alike, which a program may load side by side. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

/** @internal */
export function invalid(message: string): ThermoclineError {
  return new ThermoclineError('ERR_INVALID_ARGUMENT', message);
}
