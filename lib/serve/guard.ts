import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ServeSettings } from './options.ts';

/** @internal Why a request is refused. */
export interface Refusal {
  status: 400 | 401 | 403 | 405 | 413 | 414;
  reason: string;
}

/** What the rules look at. */
export type Asked = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & {
  /** The address at which it arrived, and its port. */
  socket: { localAddress?: string | undefined; localPort?: number | undefined };
};

const LONGEST_URL = 2048;

/** @internal Holds the token of a browser that has presented it once. Browsers do not tell the ports of a host apart. */
export function cookieName(port: number | undefined): string {
  return `thermocline_token_${port ?? 0}`;
}

/**
 * Decides whether to answer a request, before anything else looks at it. Nothing here can be written, so only GET and
 * HEAD without a body pass. The names under which it was asked are checked so that a foreign page cannot read the
 * figures by pointing a name of its own at this address.
 *
 * @internal
 */
export function refusalOf(asked: Asked, settings: ServeSettings): Refusal | undefined {
  const { method, url = '', headers } = asked;
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, reason: 'nothing can be changed here' };
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    return { status: 413, reason: 'a request here has no body' };
  }
  if (url.length > LONGEST_URL) return { status: 414, reason: 'the address is too long' };
  if (!url.startsWith('/') || !URL.canParse(url, 'http://localhost')) {
    return { status: 400, reason: 'the address must be a path' };
  }
  if (!isOurHost(headers.host, asked, settings))
    return { status: 403, reason: 'not asked under a name of this server' };
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${headers.host}` && origin !== `https://${headers.host}`) {
    return { status: 403, reason: 'asked by a page of another origin' };
  }
  if (settings.token !== undefined && !hasToken(asked, settings.token)) {
    return { status: 401, reason: 'the token is missing or wrong' };
  }
  return undefined;
}

function isOurHost(host: string | undefined, { socket }: Asked, settings: ServeSettings): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(host ?? '');
  if (match === null) return false;
  const name = (match[1] as string).toLowerCase().replace(/^\[|\]$/g, '');
  // A proxy stands on a port of its own.
  if (settings.names.includes(name)) return true;
  if (Number(match[2] ?? 80) !== socket.localPort) return false;
  const arrived = socket.localAddress?.replace(/^::ffff:/, '').toLowerCase();
  return name === 'localhost' ? isLocal(arrived) : name === arrived;
}

function isLocal(address: string | undefined): boolean {
  return address === '::1' || address?.startsWith('127.') === true;
}

/** One of them will do: a browser may send the cookie of an earlier token along with the new one. */
function hasToken({ url = '', headers, socket }: Asked, token: string): boolean {
  const bearer = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const given = [bearer, cookieOf(headers.cookie, cookieName(socket.localPort)), tokenIn(url)];
  return given.some((each) => each !== undefined && sameToken(each, token));
}

/** Takes the same time whatever is wrong with it. */
function sameToken(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function cookieOf(header: string | undefined, wanted: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const [name, value] = pair.trim().split('=');
    if (name === wanted && value !== undefined) return decode(value);
  }
  return undefined;
}

/** @internal The token in an address: `/?token=...`. */
export function tokenIn(url: string): string | undefined {
  return new URLSearchParams(url.split('?')[1] ?? '').get('token') ?? undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
