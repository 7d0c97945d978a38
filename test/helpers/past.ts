/**
 * Writes as if it were `ago` milliseconds earlier: the moment of expiry is taken from the clock of the process when a
 * write is called, so what is written with a shorter ttl has expired already.
 */
export function inThePast<T>(ago: number, write: () => Promise<T>): Promise<T> {
  const { now } = Date;
  Date.now = () => now() - ago;
  try {
    return write();
  } finally {
    Date.now = now;
  }
}
