/** A failure the command line explains itself: one line, an exit code, and no stack. */
export class CliError extends Error {
  override readonly name = 'CliError';
  /** Stable code shown in brackets after the message, if there is one. */
  readonly code: string | undefined;
  /** Exit code of the process: 1 for a failure, 2 for a command that was typed wrongly. */
  readonly exitCode: number;

  /**
   * @param message what went wrong and what to do about it, without a full stop
   * @param options `code` to show in brackets; `exitCode`, 1 unless given
   */
  constructor(message: string, options: { code?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A command that was typed wrongly; the process ends with exit code 2. */
export function usageError(message: string): CliError {
  return new CliError(message, { exitCode: 2 });
}

/** The string `code` of an error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * One line for standard error: `thermocline: <message> (<code>)`. With THERMOCLINE_DEBUG set the stack and the causes
 * follow, for whoever looks for a fault in the program itself.
 */
export function describeError(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, '; ');
  const code = codeOf(error);
  const line = `thermocline: ${message}${code === undefined ? '' : ` (${code})`}`;
  if (!process.env.THERMOCLINE_DEBUG || !(error instanceof Error)) return line;
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return `${line}\n${error.stack}${cause}`;
}

/** The exit code a failed command ends with. */
export function exitCodeOf(error: unknown): number {
  return error instanceof CliError ? error.exitCode : 1;
}

/** Turns a failure to read a file into one line that names the file. */
export function fileError(file: string, error: unknown): CliError {
  const code = codeOf(error);
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'this user may not read it',
    EISDIR: 'it is a folder',
  };
  const reason = (code && reasons[code]) ?? (error instanceof Error ? error.message : String(error));
  return new CliError(`cannot read ${file}: ${reason}`, { ...(code ? { code } : {}), cause: error });
}
