import { isIP } from 'node:net';
import { checkObject } from '../checks.ts';
import { invalid } from '../error.ts';

/** Where the live page listens, and whom it answers. */
export interface ServeOptions {
  /** Default 7379; 0: any that is free. */
  port?: number;
  /** Address to listen on. Default `'127.0.0.1'`. Any that is not a loopback address needs a `token`. */
  host?: string;
  /** What callers must present, at least 16 characters: as `Authorization: Bearer <token>`, or once as `/?token=<token>`. */
  token?: string;
  /** Names besides addresses and `localhost` under which callers may ask for the page, such as a proxy. Default: none. */
  names?: string[];
}

/** @internal */
export interface ServeSettings {
  port: number;
  host: string;
  token: string | undefined;
  names: readonly string[];
}

const NAMES = new Set(['port', 'host', 'token', 'names']);
const LEAST_TOKEN = 16;

/** @internal @throws ERR_INVALID_ARGUMENT */
export function serveSettings(options: unknown): ServeSettings {
  const { port = 7379, host = '127.0.0.1', token, names = [] } = checkObject(options, NAMES, 'of serve') ?? {};
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw invalid('port must be a whole number from 0 to 65535');
  }
  if (typeof host !== 'string' || (isIP(host) === 0 && host !== 'localhost')) {
    throw invalid("host must be an address of this machine, or 'localhost'");
  }
  if (token !== undefined && (typeof token !== 'string' || token.length < LEAST_TOKEN)) {
    throw invalid(`token must be a string of at least ${LEAST_TOKEN} characters`);
  }
  if (!isLoopback(host) && token === undefined) {
    throw invalid(`whoever reaches ${host} could read the figures of the database: give a token`);
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw invalid('names must be an array of host names');
  }
  return { port, host, token, names: names.map((name: string) => name.toLowerCase()) };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
