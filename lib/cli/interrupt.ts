/** Ctrl-C (SIGINT) and SIGTERM as an abort signal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Gives the signals back their ordinary meaning. */
  dispose(): void;
}

/** Exit code of a command that was interrupted. */
export const interruptedExitCode = 130;

/** The first signal asks the command to end cleanly; a second one ends the process at once. */
export function catchInterrupts(): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
