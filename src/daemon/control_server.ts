/** The control socket's server: HTTP with JSON, see api.ts. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SetupError } from '../sys/errors.js';
import type { GuestInfo, Refusal, Status, Vif } from './api.js';
import { UnknownGuest } from './toolstack.js';

/** What can be asked of a daemon. */
export interface Controlled {
  status(): Status;
  vifs(): Vif[];
  guests(): GuestInfo[];
  /** Resolves once it is gone. Rejects with UnknownGuest when there is none. */
  removeGuest(name: string): Promise<void>;
}

export class ControlServer {
  readonly #daemon: Controlled;
  readonly #server: Server;

  constructor(daemon: Controlled) {
    this.#daemon = daemon;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => refuse(response, 500, error));
    });
  }

  /** Listens at `path`, mode 0600. Whoever was there before must be gone. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), 500).unref();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { pathname } = new URL(request.url ?? '/', 'http://netferry');
    const guest = /^\/v1\/guests\/([a-z0-9-]+)$/.exec(pathname)?.[1];
    if (request.method === 'DELETE' && guest !== undefined) {
      try {
        await this.#daemon.removeGuest(guest);
      } catch (error) {
        return refuse(response, error instanceof UnknownGuest ? 404 : 500, error);
      }
      response.writeHead(204).end();
      return;
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

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function refuse(response: ServerResponse, status: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const refusal: Refusal = { error: message, hint: error instanceof SetupError ? error.hint : '' };
  reply(response, status, refusal);
}
