/**
 * A client's byte stream: requests in, answers and events out, in order. A client that does not read costs
 * a bounded amount of memory: while its stream is full none of its requests is read, equal events wait as
 * one, and past its quota it is disconnected.
 */
import type { Duplex } from 'node:stream';
import { XENSTORE_PAYLOAD_MAX, XS_ERROR, XS_WATCH_EVENT } from '../../../abi/xs_wire.js';
import { encodeMessage, type Message, MessageDecoder } from '../../wire/message.js';
import { packStrings } from '../../wire/payload.js';
import { XsError } from '../../xenstore.js';
import type { Domain } from './domain.js';
import { runRequest } from './requests.js';
import { Session, type SessionServer } from './session.js';

/** Requests handled, or milliseconds spent on them, before other connections have a turn. */
const TURN_REQUESTS = 256;
const TURN_MS = 2;
/** Answers kept back before they are handed to the stream, bytes. */
const FLUSH_AT = 64 * 1024;

export interface ConnectionStats {
  readonly domid: number;
  /** Waiting here because the client does not read: messages, and their bytes. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Waiting in the stream; bounded by its high-water mark and one flush. */
  readonly streamBytes: number;
  readonly watches: number;
  readonly transactions: number;
}

export class Connection {
  readonly domain: Domain;
  readonly #stream: Duplex;
  readonly #server: SessionServer;
  readonly #session: Session;
  readonly #decoder = new MessageDecoder();
  /** In sending order. Events have their content as key, so an equal one is not queued twice. */
  readonly #queue = new Map<string | number, Buffer>();
  #queuedBytes = 0;
  #answers = 0;
  /** The stream asked to wait for its `drain`. */
  #full = false;
  #flushing = false;
  #pumping = false;
  /** Had its turn; others come first. */
  #resting = false;
  #ended = false;

  /** @param onEnd called once, when nothing of the connection is left */
  constructor(server: SessionServer, domain: Domain, stream: Duplex, onEnd: () => void) {
    this.domain = domain;
    this.#server = server;
    this.#stream = stream;
    this.#session = new Session(server, domain, (path, token) => this.#event(path, token));
    stream.on('readable', () => this.#pump());
    stream.on('drain', () => {
      this.#full = false;
      this.#flush();
    });
    // Resets are how processes die; 'close' follows.
    stream.on('error', () => this.#end(onEnd));
    stream.on('end', () => {
      this.#flush();
      stream.end();
      this.#end(onEnd);
    });
    stream.on('close', () => this.#end(onEnd));
    this.#pump();
  }

  stats(): ConnectionStats {
    return {
      domid: this.domain.domid,
      queuedMessages: this.#queue.size,
      queuedBytes: this.#queuedBytes,
      streamBytes: this.#stream.writableLength,
      watches: this.#session.watches,
      transactions: this.#session.transactions,
    };
  }

  close(): void {
    this.#session.reset();
    this.#stream.destroy();
  }

  #end(onEnd: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#session.reset();
    this.#queue.clear();
    this.#queuedBytes = 0;
    onEnd();
  }

  get #gone(): boolean {
    return this.#ended || this.#stream.destroyed;
  }

  /** Handles requests as long as there are any and the client takes the answers. */
  #pump(): void {
    if (this.#pumping || this.#resting) return;
    this.#pumping = true;
    const until = performance.now() + TURN_MS;
    try {
      for (let handled = 0; !this.#gone && !this.#full && this.#queuedBytes < FLUSH_AT; ) {
        if (handled === TURN_REQUESTS || performance.now() > until) {
          this.#resting = true;
          setImmediate(() => {
            this.#resting = false;
            this.#pump();
          });
          break;
        }
        const message = this.#decoder.next();
        if (message) {
          this.#handle(message);
          handled++;
          continue;
        }
        const chunk: Uint8Array | null = this.#stream.read();
        if (chunk === null) break;
        this.#decoder.push(chunk);
      }
    } catch (error) {
      // A length beyond the protocol's: what follows cannot be told from payload any more. Or a fault of
      // ours, which must not cost the others.
      this.#server.log(`domain ${this.domain.domid} disconnected: ${String(error)}`);
      this.close();
    } finally {
      this.#pumping = false;
    }
  }

  #handle({ type, reqId, txId, payload }: Message): void {
    let answer: Buffer;
    try {
      answer = encodeMessage(type, reqId, txId, runRequest(this.#session, type, txId, payload));
    } catch (error) {
      if (!(error instanceof XsError)) throw error;
      answer = encodeMessage(XS_ERROR, reqId, txId, packStrings([error.code]));
    }
    this.#enqueue(this.#answers++, answer);
  }

  #event(path: string, token: string): void {
    const key = `${path}\0${token}`;
    if (this.#gone || this.#queue.has(key)) return;
    const payload = packStrings([path, token], 'latin1');
    // As the C daemon: no client could take it.
    if (payload.length > XENSTORE_PAYLOAD_MAX) return;
    this.#enqueue(key, encodeMessage(XS_WATCH_EVENT, 0, 0, payload));
    if (this.#queuedBytes > this.domain.quotas.queuedBytes) {
      this.#server.log(`domain ${this.domain.domid} disconnected: it does not read its watch events`);
      this.close();
    }
  }

  #enqueue(key: string | number, bytes: Buffer): void {
    if (this.#gone) return;
    this.#queue.set(key, bytes);
    this.#queuedBytes += bytes.length;
    if (this.#flushing || this.#full) return;
    // Once per turn, so that a burst is one system call and its equal events one event.
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#gone || this.#full) return;
    this.#stream.cork();
    for (const [key, bytes] of this.#queue) {
      this.#queue.delete(key);
      this.#queuedBytes -= bytes.length;
      if (!this.#stream.write(bytes)) {
        this.#full = true;
        break;
      }
    }
    this.#stream.uncork();
    if (!this.#full) this.#pump();
  }
}
