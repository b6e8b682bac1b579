/**
 * Requests and answers over one byte stream. Requests are pipelined: each has an id of its own, which its
 * answer carries. A server that breaks the protocol ends the connection, and every promise with it.
 */
import type { Duplex } from 'node:stream';
import { XS_ERROR, XS_WATCH_EVENT } from '../../abi/xs_wire.js';
import { encodeMessage, type Message, MessageDecoder } from '../wire/message.js';
import { onlyString, unpackStrings } from '../wire/payload.js';
import { XsError } from '../xenstore.js';

interface Pending {
  readonly type: number;
  readonly subject: string;
  resolve(payload: Buffer): void;
  reject(error: XsError): void;
}

export class Channel {
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #onEvent: (path: string, token: string) => void;
  readonly #decoder = new MessageDecoder();
  readonly #pending = new Map<number, Pending>();
  #lastRequest = 0;
  /** Why nothing more can be asked. */
  #failure: XsError | undefined;

  /** @param stream is the channel's from here on */
  constructor(stream: Duplex, onEvent: (path: string, token: string) => void) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    this.closed = new Promise((resolve) => {
      const ended = (cause?: Error) => {
        this.#fail(new XsError('ENOTCONN', 'connection ended', { cause }));
        resolve();
      };
      stream.on('error', ended);
      stream.on('end', () => stream.destroy());
      stream.on('close', () => ended());
    });
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  get ended(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * The answer's payload. XsError with the server's code, E2BIG for too much payload, ENOTCONN or EPROTO
   * when the connection ended.
   * @param subject what the request is, for messages
   */
  ask(type: number, payload: Buffer, subject: string, txId = 0): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      do this.#lastRequest = (this.#lastRequest + 1) >>> 0;
      while (this.#lastRequest === 0 || this.#pending.has(this.#lastRequest));
      const bytes = encodeMessage(type, this.#lastRequest, txId, payload);
      this.#pending.set(this.#lastRequest, { type, subject, resolve, reject });
      this.#stream.write(bytes);
    });
  }

  close(): void {
    this.#stream.destroy();
    this.#fail(new XsError('ENOTCONN', 'connection closed'));
  }

  /** Ends the connection because the server made no sense; returns the error to throw. */
  broken(what: string): XsError {
    const error = new XsError('EPROTO', what);
    this.#fail(error);
    this.#stream.destroy();
    return error;
  }

  #receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    try {
      for (let m = this.#decoder.next(); m && !this.#failure; m = this.#decoder.next()) this.#dispatch(m);
    } catch (error) {
      if (!(error instanceof XsError)) throw error;
      this.#fail(error);
      this.#stream.destroy();
    }
  }

  #dispatch({ type, reqId, payload }: Message): void {
    if (type === XS_WATCH_EVENT) {
      const [path, token] = unpackStrings(payload);
      if (token === undefined) throw new XsError('EPROTO', 'watch event');
      this.#onEvent(path, token);
      return;
    }
    const pending = this.#pending.get(reqId);
    if (!pending || (type !== pending.type && type !== XS_ERROR)) {
      throw new XsError('EPROTO', `answer of type ${type} to request ${reqId}`);
    }
    this.#pending.delete(reqId);
    if (type !== XS_ERROR) {
      pending.resolve(payload);
      return;
    }
    const code = onlyString(payload);
    const named = code !== undefined && /^E[A-Z0-9]+$/.test(code);
    pending.reject(named ? new XsError(code, pending.subject) : this.broken('error name'));
  }

  #fail(error: XsError): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
