import { type ErrorCode, ThermoclineError } from './error.ts';
import { native } from './native.ts';
import { shared } from './shared.ts';

interface Waiter {
  resolve(payload: never): void;
  reject(error: Error): void;
}

export function toError(code: number, message: string): ThermoclineError {
  return new ThermoclineError((native.codes[code] ?? 'ERR_IO') as ErrorCode, message);
}

const state = shared('dispatcher', () => {
  const waiting = new Map<number, Waiter>();
  // All work that finished since the last call, as (ticket, code, payload or message) triples: one crossing for all.
  native.setDispatcher((triples) => {
    for (let i = 0; i < triples.length; i += 3) {
      const ticket = triples[i] as number;
      const waiter = waiting.get(ticket);
      if (waiter === undefined) continue;
      waiting.delete(ticket);
      const code = triples[i + 1] as number;
      if (code === 0) waiter.resolve(triples[i + 2] as never);
      else waiter.reject(toError(code, triples[i + 2] as string));
    }
  });
  return { waiting, lastTicket: 0 };
});

/** Names a piece of work; one of the two functions is called when the engine has finished it. */
export function issueTicket<T>(resolve: (payload: T) => void, reject: (error: Error) => void): number {
  const ticket = ++state.lastTicket;
  state.waiting.set(ticket, { resolve, reject });
  return ticket;
}

/** For work that ended at once, without the dispatcher. */
export function withdrawTicket(ticket: number): void {
  state.waiting.delete(ticket);
}

/** Starts an operation of the engine and gives its promise. */
export function call<T>(start: (ticket: number) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => start(issueTicket(resolve, reject)));
}

/** The error behind a synchronous call that failed. */
export function takeError(): ThermoclineError {
  const [code, message] = native.takeError();
  return toError(code, message);
}
