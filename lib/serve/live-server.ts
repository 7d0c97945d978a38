import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AlertBounds } from '../alerts/options.ts';
import { invalid, ThermoclineError } from '../error.ts';
import type { Stats } from '../stats.ts';
import { Frames } from './frames.ts';
import { cookieName, refusalOf, tokenIn } from './guard.ts';
import type { ServeSettings } from './options.ts';
import { type PageFile, pageFile } from './page-files.ts';

/** @internal What the live page needs of its database. */
export interface ServeSource {
  location: string;
  bounds: AlertBounds;
  stats: () => Stats;
  metrics: () => Promise<string>;
  isOpen: () => boolean;
}

const EVERY_MS = 1000;
const MOST_STREAMS = 16;
const MOST_CONNECTIONS = 128;
/** A stream whose reader takes nothing is ended. */
const MOST_UNREAD = 4 << 20;

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** The live page of a database: what `db.serve()` gives. */
export class LiveServer {
  /** Where to point a browser. */
  readonly url: string;
  readonly port: number;
  readonly #server: Server;
  readonly #source: ServeSource;
  readonly #settings: ServeSettings;
  readonly #frames: Frames;
  readonly #streams = new Set<ServerResponse>();
  readonly #timer: NodeJS.Timeout;
  #closed: Promise<void> | undefined;

  /** @internal Use `db.serve()`. */
  static async start(source: ServeSource, settings: ServeSettings): Promise<LiveServer> {
    const server = createServer({ maxHeaderSize: 8192, requestTimeout: 10_000, headersTimeout: 5_000 });
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, settings)));
      server.listen(settings.port, settings.host, resolve);
    });
    // A connection that cannot be accepted, for want of descriptors for example, is no end of the program.
    server.on('error', () => {});
    return new LiveServer(server, source, settings);
  }

  private constructor(server: Server, source: ServeSource, settings: ServeSettings) {
    const { port } = server.address() as AddressInfo;
    this.port = port;
    this.url = `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}/`;
    this.#server = server;
    this.#source = source;
    this.#settings = settings;
    this.#frames = new Frames(source.stats, source.bounds);
    this.#frames.take();
    server.on('request', (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
    this.#timer.unref();
  }

  /**
   * Ends the page and its streams. The database stays open.
   *
   * @example
   * ```ts
   * const page = await db.serve({ port: 0 });
   * await page.close();
   * ```
   */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      clearInterval(this.#timer);
      for (const stream of this.#streams) stream.end();
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    return this.#closed;
  }

  #tick(): void {
    if (!this.#source.isOpen()) return;
    const event = eventOf('frame', { ...this.#frames.take(), over: this.#frames.over });
    for (const stream of this.#streams) {
      if (stream.writableLength > MOST_UNREAD) stream.destroy();
      else stream.write(event);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refusalOf(request, this.#settings);
    if (refusal !== undefined) {
      const { status, reason } = refusal;
      const more: Record<string, string> =
        status === 401 ? { 'www-authenticate': 'Bearer' } : status === 405 ? { allow: 'GET, HEAD' } : {};
      // What was sent with it is not read.
      send(response, status, 'text/plain; charset=utf-8', `${reason}\n`, { ...more, connection: 'close' });
      return;
    }
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const token = tokenIn(request.url ?? '');
    if (pathname === '/' && token !== undefined && this.#settings.token !== undefined) {
      // The token leaves the address, where it would be seen and kept.
      const cookie = `${cookieName(this.port)}=${encodeURIComponent(token)}; HttpOnly; SameSite=Strict; Path=/`;
      send(response, 303, 'text/plain; charset=utf-8', '', { location: '/', 'set-cookie': cookie });
      return;
    }
    if (!this.#source.isOpen()) {
      return send(response, 503, 'application/json', JSON.stringify({ status: 'closed' }));
    }
    switch (pathname) {
      case '/metrics': {
        const text = await this.#source.metrics();
        return send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text);
      }
      case '/stats':
        return send(response, 200, 'application/json', JSON.stringify(this.#source.stats()));
      case '/health': {
        const alerts = this.#frames.active;
        const status = alerts.some(({ severity }) => severity === 'critical') ? 'critical' : 'ok';
        return send(response, 200, 'application/json', JSON.stringify({ status, alerts }));
      }
      case '/events':
        return this.#stream(request, response);
      default: {
        const file: PageFile | undefined = await pageFile(pathname);
        if (file === undefined) return send(response, 404, 'text/plain; charset=utf-8', 'there is no such page\n');
        return send(response, 200, file.type, file.bytes);
      }
    }
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    if (this.#streams.size >= MOST_STREAMS) {
      send(response, 503, 'text/plain; charset=utf-8', 'too many pages are open\n');
      return;
    }
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
    const { location } = this.#source;
    response.write(eventOf('history', { location, points: this.#frames.points }));
    response.write(eventOf('frame', { ...this.#frames.last, over: this.#frames.over }));
  }
}

function eventOf(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': bytes.length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : bytes);
}

function listenError(error: NodeJS.ErrnoException, { host, port }: ServeSettings): Error {
  const where = `${host}:${port}`;
  if (error.code === 'EADDRINUSE') return invalid(`${where} is in use: give another port`);
  if (error.code === 'EADDRNOTAVAIL') return invalid(`${host} is no address of this machine`);
  return new ThermoclineError('ERR_IO', `cannot listen on ${where}: ${error.message}`, { cause: error });
}
