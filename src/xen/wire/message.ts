/** xenstore messages to bytes and back (struct xsd_sockmsg, then the payload). No I/O here. */
import {
  XENSTORE_PAYLOAD_MAX,
  XSD_SOCKMSG_LEN,
  XSD_SOCKMSG_REQ_ID,
  XSD_SOCKMSG_SIZE,
  XSD_SOCKMSG_TX_ID,
  XSD_SOCKMSG_TYPE,
} from '../../abi/xs_wire.js';
import { XsError } from '../xenstore.js';

export interface Message {
  /** XS_READ, … */
  readonly type: number;
  /** Chosen by whoever asks, echoed in the answer; 0 in events. */
  readonly reqId: number;
  /** 0 outside transactions. */
  readonly txId: number;
  /** At most XENSTORE_PAYLOAD_MAX bytes. */
  readonly payload: Buffer;
}

/** @param payload at most XENSTORE_PAYLOAD_MAX bytes; XsError E2BIG beyond */
export function encodeMessage(type: number, reqId: number, txId: number, payload: Buffer): Buffer {
  if (payload.length > XENSTORE_PAYLOAD_MAX) throw new XsError('E2BIG', `message of ${payload.length} bytes`);
  const bytes = Buffer.allocUnsafe(XSD_SOCKMSG_SIZE + payload.length);
  bytes.writeUInt32LE(type, XSD_SOCKMSG_TYPE);
  bytes.writeUInt32LE(reqId, XSD_SOCKMSG_REQ_ID);
  bytes.writeUInt32LE(txId, XSD_SOCKMSG_TX_ID);
  bytes.writeUInt32LE(payload.length, XSD_SOCKMSG_LEN);
  payload.copy(bytes, XSD_SOCKMSG_SIZE);
  return bytes;
}

/**
 * Cuts a byte stream into messages: `push` a chunk, then `next` until it returns undefined. It holds one
 * chunk and one unfinished message, never more, and copies every byte once however finely the stream is cut.
 */
export class MessageDecoder {
  #chunk: Uint8Array = new Uint8Array(0);
  #offset = 0;
  readonly #header = Buffer.alloc(XSD_SOCKMSG_SIZE);
  #headerFill = 0;
  #payload: Buffer | undefined;
  #payloadFill = 0;

  /** The chunk is read in place until `next` returned undefined; push no other before. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** The next whole message; its payload is the caller's to keep. XsError EPROTO if the length is a lie. */
  next(): Message | undefined {
    if (this.#payload === undefined) {
      this.#headerFill += this.#fill(this.#header, this.#headerFill);
      if (this.#headerFill < XSD_SOCKMSG_SIZE) return undefined;
      const length = this.#header.readUInt32LE(XSD_SOCKMSG_LEN);
      if (length > XENSTORE_PAYLOAD_MAX) throw new XsError('EPROTO', `message of ${length} bytes`);
      this.#payload = Buffer.allocUnsafe(length);
      this.#payloadFill = 0;
    }
    const payload = this.#payload;
    this.#payloadFill += this.#fill(payload, this.#payloadFill);
    if (this.#payloadFill < payload.length) return undefined;
    this.#payload = undefined;
    this.#headerFill = 0;
    return {
      type: this.#header.readUInt32LE(XSD_SOCKMSG_TYPE),
      reqId: this.#header.readUInt32LE(XSD_SOCKMSG_REQ_ID),
      txId: this.#header.readUInt32LE(XSD_SOCKMSG_TX_ID),
      payload,
    };
  }

  /** Whether the stream stands inside a message. */
  get midMessage(): boolean {
    return this.#headerFill > 0 || this.#offset < this.#chunk.length;
  }

  #fill(into: Buffer, at: number): number {
    const count = Math.min(into.length - at, this.#chunk.length - this.#offset);
    into.set(this.#chunk.subarray(this.#offset, this.#offset + count), at);
    this.#offset += count;
    return count;
  }
}
