/** A xenstore client: the operations as requests over a channel. */
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as xs from '../../abi/xs_wire.js';
import { SetupError } from '../../sys/errors.js';
import {
  formatPermission,
  onlyString,
  packStrings,
  parsePermission,
  unpackStrings,
} from '../wire/payload.js';
import {
  type WatchCallback,
  type XenStore,
  XsError,
  type XsPermission,
  type XsTransaction,
} from '../xenstore.js';
import { Channel } from './channel.js';

/** Attempts before a transaction that others keep disturbing is given up. */
const TRANSACTION_ATTEMPTS = 64;
/** Attempts to read a directory of several messages whose list keeps changing. */
const DIRECTORY_ATTEMPTS = 16;

interface Registration {
  readonly path: string;
  readonly callback: WatchCallback;
}

/** @param stream is the client's from here on */
export function connectXenstore(stream: Duplex): XenStore {
  return new Client(stream);
}

/** A client of the xenstored at a Unix socket. SetupError if nobody listens there. */
export function openXenstore(socketPath: string): Promise<XenStore> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(socketPath);
    const refuse = (cause: Error) => {
      const hint = 'Is the daemon running, and may this user use its socket?';
      reject(new SetupError(`${socketPath}: cannot connect to xenstore (${cause.message})`, hint, { cause }));
    };
    socket.once('error', refuse);
    socket.once('connect', () => {
      socket.off('error', refuse);
      resolve(new Client(socket));
    });
  });
}

class Client implements XenStore {
  readonly closed: Promise<void>;
  readonly #channel: Channel;
  /** By token; two watches may have the same, on different paths. */
  readonly #watches = new Map<string, Set<Registration>>();
  #lastToken = 0;

  constructor(stream: Duplex) {
    this.#channel = new Channel(stream, (path, token) => this.#event(path, token));
    this.closed = this.#channel.closed;
  }

  async read(path: string, tx?: XsTransaction): Promise<string> {
    return (await this.#ask(xs.XS_READ, [path], `read ${path}`, tx)).toString();
  }

  async tryRead(path: string, tx?: XsTransaction): Promise<string | undefined> {
    try {
      return await this.read(path, tx);
    } catch (error) {
      if (error instanceof XsError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async directory(path: string, tx?: XsTransaction): Promise<string[]> {
    const subject = `directory ${path}`;
    try {
      return unpackStrings(await this.#ask(xs.XS_DIRECTORY, [path], subject, tx));
    } catch (error) {
      if (!(error instanceof XsError) || error.code !== 'E2BIG') throw error;
    }
    for (let attempt = 0; attempt < DIRECTORY_ATTEMPTS; attempt++) {
      const names = await this.#directoryInParts(path, subject, tx);
      if (names) return names;
    }
    throw new XsError('EAGAIN', subject);
  }

  async write(path: string, value: string, tx?: XsTransaction): Promise<void> {
    // The value is bytes to its end, so only the path is ended by a NUL.
    const payload = Buffer.concat([packStrings([path]), Buffer.from(value)]);
    await this.#channel.ask(xs.XS_WRITE, payload, `write ${path}`, tx?.id);
  }

  async mkdir(path: string, tx?: XsTransaction): Promise<void> {
    await this.#ask(xs.XS_MKDIR, [path], `mkdir ${path}`, tx);
  }

  async rm(path: string, tx?: XsTransaction): Promise<void> {
    await this.#ask(xs.XS_RM, [path], `rm ${path}`, tx);
  }

  async getPermissions(path: string, tx?: XsTransaction): Promise<XsPermission[]> {
    const subject = `permissions of ${path}`;
    const texts = unpackStrings(await this.#ask(xs.XS_GET_PERMS, [path], subject, tx));
    return texts.map((text) => {
      const permission = parsePermission(text);
      if (!permission) throw this.#channel.broken(`permission ${JSON.stringify(text)}`);
      return permission;
    });
  }

  async setPermissions(
    path: string,
    permissions: readonly XsPermission[],
    tx?: XsTransaction,
  ): Promise<void> {
    const texts = permissions.map(formatPermission);
    await this.#ask(xs.XS_SET_PERMS, [path, ...texts], `set permissions of ${path}`, tx);
  }

  async watch(
    path: string,
    given: string | undefined,
    callback: WatchCallback,
  ): Promise<() => Promise<void>> {
    const token = given ?? `watch-${++this.#lastToken}`;
    const registration = { path, callback };
    const registrations = this.#watches.get(token) ?? new Set();
    // Before the answer, for the first event comes with it.
    this.#watches.set(token, registrations.add(registration));
    const forget = () => {
      registrations.delete(registration);
      if (registrations.size === 0) this.#watches.delete(token);
    };
    try {
      await this.#ask(xs.XS_WATCH, [path, token], `watch ${path}`);
    } catch (error) {
      forget();
      throw error;
    }
    return async () => {
      if (!registrations.has(registration)) return;
      forget();
      // With the connection, its watches are gone anyway.
      if (!this.#channel.ended) await this.#ask(xs.XS_UNWATCH, [path, token], `unwatch ${path}`);
    };
  }

  async transaction<T>(fn: (tx: XsTransaction) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < TRANSACTION_ATTEMPTS; attempt++) {
      const answer = onlyString(await this.#ask(xs.XS_TRANSACTION_START, [''], 'begin transaction'));
      const tx = { id: Number(answer) };
      if (!/^\d{1,10}$/.test(answer ?? '') || tx.id === 0 || tx.id > 0xffffffff) {
        throw this.#channel.broken(`transaction ${JSON.stringify(answer)}`);
      }
      let result: T;
      try {
        result = await fn(tx);
      } catch (error) {
        // The error that matters is fn's; if discarding fails too, the connection is gone and all with it.
        await this.#ask(xs.XS_TRANSACTION_END, ['F'], 'discard transaction', tx).catch(() => undefined);
        throw error;
      }
      try {
        await this.#ask(xs.XS_TRANSACTION_END, ['T'], 'commit transaction', tx);
        return result;
      } catch (error) {
        if (!(error instanceof XsError) || error.code !== 'EAGAIN') throw error;
      }
    }
    throw new XsError('EAGAIN', `transaction, ${TRANSACTION_ATTEMPTS} times`);
  }

  async getDomainPath(domid: number): Promise<string> {
    const subject = `path of domain ${domid}`;
    const path = onlyString(await this.#ask(xs.XS_GET_DOMAIN_PATH, [String(domid)], subject));
    if (path === undefined) throw this.#channel.broken(subject);
    return path;
  }

  close(): void {
    this.#channel.close();
    this.#watches.clear();
  }

  /** The names, part by part; undefined if the list changed in between. */
  async #directoryInParts(path: string, subject: string, tx?: XsTransaction): Promise<string[] | undefined> {
    let names = Buffer.alloc(0);
    let generation: string | undefined;
    for (;;) {
      const payload = await this.#ask(xs.XS_DIRECTORY_PART, [path, String(names.length)], subject, tx);
      const nul = payload.indexOf(0);
      const part = payload.subarray(nul + 1);
      // Without any names it would never end.
      if (nul <= 0 || part.length === 0) throw this.#channel.broken(subject);
      const now = payload.toString('latin1', 0, nul);
      generation ??= now;
      if (now !== generation) return undefined;
      // An empty string marks the end: two NULs in a row, or one alone.
      const last = part.at(-1) === 0 && (part.length === 1 || part.at(-2) === 0);
      names = Buffer.concat([names, last ? part.subarray(0, -1) : part]);
      if (last) return unpackStrings(names);
    }
  }

  async #ask(type: number, strings: string[], subject: string, tx?: XsTransaction): Promise<Buffer> {
    return this.#channel.ask(type, packStrings(strings), subject, tx?.id);
  }

  #event(path: string, token: string): void {
    for (const registration of this.#watches.get(token) ?? []) {
      if (!isBelow(path, registration.path)) continue;
      // Its own turn: what a callback throws is no fault of the stream's.
      queueMicrotask(() => {
        if (this.#watches.get(token)?.has(registration)) registration.callback(path, token);
      });
    }
  }
}

/** `path` is `above` or below it. */
function isBelow(path: string, above: string): boolean {
  return above === '/' || path === above || path.startsWith(`${above}/`);
}
