/** The control socket's server: HTTP with JSON, see api.ts. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { z } from 'zod';
import { SetupError } from '../sys/errors.js';
import {
  type AttachRequest,
  attachRequest,
  type DownRequest,
  downRequest,
  type GuestInfo,
  type LinkRequest,
  linkRequest,
  type Refusal,
  type Status,
  type Vif,
} from './api.js';
import { UnknownPort } from './kernel_port.js';
import { UnknownGuest } from './toolstack.js';

/** What can be asked of a daemon. */
export interface Controlled {
  status(): Status;
  vifs(): Vif[];
  guests(): GuestInfo[];
  /** Resolves once it is gone. Rejects with UnknownGuest when there is none. */
  removeGuest(name: string): Promise<void>;
  /** Rejects with UnknownPort when no guest's vif is called so. */
  setLink(name: string, request: LinkRequest): Promise<void>;
  /** Throws SetupError. */
  attachPort(request: AttachRequest): Promise<Vif>;
  /** Rejects with UnknownPort when there is none. */
  detachPort(name: string): Promise<void>;
  /** Begins to close; the answer to who asked comes first. */
  down(request: DownRequest): void;
}

/** Bytes of a request's body at most. */
const BODY_MAX = 65_536;
/** ms for a request's head, and for all of it: who opens connections and says nothing is not waited for. */
const HEAD_MOST = 5000;
const REQUEST_MOST = 10_000;
/** ms without progress for who does not read the answer. */
const ANSWER_MOST = 15_000;
export const CONNECTIONS_MAX = 512;

export class ControlServer {
  readonly #daemon: Controlled;
  readonly #server: Server;

  /** `answerMost`: for tests. */
  constructor(daemon: Controlled, answerMost = ANSWER_MOST) {
    this.#daemon = daemon;
    const limits = {
      headersTimeout: HEAD_MOST,
      requestTimeout: REQUEST_MOST,
      connectionsCheckingInterval: 1000,
    };
    this.#server = createServer(limits, (request, response) => {
      response.setHeader('connection', 'close');
      // Not before: a guest may take long to leave.
      response.once('prefinish', () => request.socket.setTimeout(answerMost, () => request.socket.destroy()));
      this.#serve(request, response).catch((error: unknown) => refuse(response, 500, error));
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    // A connection is for one question. Of a client that asks thousands in a row the others are not looked at (503).
    this.#server.maxRequestsPerSocket = 1;
  }

  /** Listens at `path`, mode 0600. Whoever was there before must be gone. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    this.#server.on('error', () => {}); // a connection that could not be accepted is its client's loss
    chmodSync(path, 0o600);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), 500).unref();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const pathname = pathOf(request);
    const guest = /^\/v1\/guests\/([a-z0-9-]+)$/.exec(pathname)?.[1];
    const vif = /^\/v1\/vifs\/([^/]+)\/link$/.exec(pathname)?.[1];
    const port = /^\/v1\/ports\/([^/]+)$/.exec(pathname)?.[1];
    try {
      if (request.method === 'DELETE' && (guest ?? port) !== undefined) {
        if (guest !== undefined) await this.#daemon.removeGuest(guest);
        else if (port !== undefined) await this.#daemon.detachPort(decode(port));
        response.writeHead(204).end();
        return;
      }
      if (request.method === 'PUT' && vif !== undefined) {
        await this.#daemon.setLink(decode(vif), parsed('link', linkRequest, body));
        response.writeHead(204).end();
        return;
      }
      if (request.method === 'POST' && pathname === '/v1/ports') {
        return reply(response, 200, await this.#daemon.attachPort(parsed('port', attachRequest, body)));
      }
      if (request.method === 'POST' && pathname === '/v1/down') {
        const wanted = parsed('down', downRequest, body);
        response.writeHead(204).end(() => this.#daemon.down(wanted));
        return;
      }
    } catch (error) {
      return refuse(response, statusOf(error), error);
    }
    const answer = request.method === 'GET' ? this.#read(pathname, guest) : undefined;
    if (answer === undefined)
      return refuse(response, 404, new SetupError(`no ${request.method} ${pathname}`));
    reply(response, 200, answer);
  }

  #read(pathname: string, guest: string | undefined): object | undefined {
    if (pathname === '/v1/status') return this.#daemon.status();
    if (pathname === '/v1/vifs') return this.#daemon.vifs();
    if (pathname === '/v1/guests') return this.#daemon.guests();
    return guest === undefined ? undefined : this.#daemon.guests().find((info) => info.name === guest);
  }
}

/** As it was sent where it makes no sense: nothing is found there. */
function pathOf({ url = '/' }: IncomingMessage): string {
  try {
    return new URL(url, 'http://netferry').pathname;
  } catch {
    return url;
  }
}

/** Throws SetupError. */
function parsed<T>(what: string, schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new SetupError('the request is not JSON', 'src/daemon/api.ts says what it is');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new SetupError(`${what}: ${issues.join('; ')}`, 'src/daemon/api.ts says what it is');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no port is called so
  }
}

function statusOf(error: unknown): number {
  if (error instanceof UnknownGuest || error instanceof UnknownPort) return 404;
  return error instanceof SetupError ? 400 : 500;
}

/** '' for one that is too long. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  request.setEncoding('utf8');
  for await (const chunk of request) if (body.length <= BODY_MAX) body += String(chunk);
  return body.length <= BODY_MAX ? body : '';
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function refuse(response: ServerResponse, status: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const refusal: Refusal = { error: message, hint: error instanceof SetupError ? error.hint : '' };
  reply(response, status, refusal);
}
