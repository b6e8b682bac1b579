/**
 * Netlink messages as bytes, no I/O: struct nlmsghdr, the family's fixed header, then attributes, each
 * padded to 4 (linux/netlink.h). Reading checks every length against the bytes at hand and stops at the
 * first that does not fit.
 */
import {
  NLA_F_NESTED,
  NLA_HDRLEN,
  NLA_LEN,
  NLA_TYPE,
  NLA_TYPE_MASK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_FLAGS,
  NLMSG_HDRLEN,
  NLMSG_LEN,
  NLMSG_PID,
  NLMSG_SEQ,
  NLMSG_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ERROR,
  NLMSGERR_MSG,
  NLMSGERR_SIZE,
} from '../abi/netlink.js';

/** Type and value; a nested attribute's value is its list of attributes. */
export type Attribute = [type: number, value: Uint8Array | Attribute[]];

export interface NetlinkMessage {
  type: number;
  flags: number;
  seq: number;
  /** What follows struct nlmsghdr: the family's header and the attributes. */
  payload: Uint8Array;
}

const align = (length: number) => (length + 3) & ~3;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

/** A string attribute's value: UTF-8 and a NUL. */
export function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, 'utf8');
}

/** The text before the first NUL. */
export function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

export function encodeAttributes(attributes: Attribute[]): Uint8Array {
  const parts = attributes.map(([type, value]) => {
    const nested = Array.isArray(value);
    const body = nested ? encodeAttributes(value) : value;
    const bytes = new Uint8Array(align(NLA_HDRLEN + body.length));
    viewOf(bytes).setUint16(NLA_LEN, NLA_HDRLEN + body.length, true);
    viewOf(bytes).setUint16(NLA_TYPE, nested ? type | NLA_F_NESTED : type, true);
    bytes.set(body, NLA_HDRLEN);
    return bytes;
  });
  return Buffer.concat(parts);
}

/** One whole message; `header` is the family's (its size is a multiple of 4). */
export function encodeMessage(
  type: number,
  flags: number,
  seq: number,
  header: Uint8Array,
  attributes: Attribute[],
): Uint8Array {
  const body = encodeAttributes(attributes);
  const bytes = new Uint8Array(NLMSG_HDRLEN + header.length + body.length);
  const view = viewOf(bytes);
  view.setUint32(NLMSG_LEN, bytes.length, true);
  view.setUint16(NLMSG_TYPE, type, true);
  view.setUint16(NLMSG_FLAGS, flags, true);
  view.setUint32(NLMSG_SEQ, seq, true);
  view.setUint32(NLMSG_PID, 0, true);
  bytes.set(header, NLMSG_HDRLEN);
  bytes.set(body, NLMSG_HDRLEN + header.length);
  return bytes;
}

/** The messages of one datagram; their payloads are views into it. */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + NLMSG_HDRLEN <= datagram.length; ) {
    const length = view.getUint32(at + NLMSG_LEN, true);
    if (length < NLMSG_HDRLEN || length > datagram.length - at) break;
    messages.push({
      type: view.getUint16(at + NLMSG_TYPE, true),
      flags: view.getUint16(at + NLMSG_FLAGS, true),
      seq: view.getUint32(at + NLMSG_SEQ, true),
      payload: datagram.subarray(at + NLMSG_HDRLEN, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The attributes in their order, types without flags; values are views into `bytes`. */
export function* attributesIn(bytes: Uint8Array): Generator<[type: number, value: Uint8Array]> {
  const view = viewOf(bytes);
  for (let at = 0; at + NLA_HDRLEN <= bytes.length; ) {
    const length = view.getUint16(at + NLA_LEN, true);
    if (length < NLA_HDRLEN || length > bytes.length - at) return;
    const type = view.getUint16(at + NLA_TYPE, true) & NLA_TYPE_MASK;
    yield [type, bytes.subarray(at + NLA_HDRLEN, at + length)];
    at += align(length);
  }
}

/** Attributes by type, views into `bytes`; of a type that comes twice, the last. */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  return new Map(attributesIn(bytes));
}

/** An NLMSG_ERROR message: errno (0 = acknowledged) and the kernel's words, if it has any. */
export function decodeError(message: NetlinkMessage): { errno: number; words: string } {
  const { payload, flags } = message;
  if (payload.length < NLMSGERR_SIZE) return { errno: 0, words: '' };
  const view = viewOf(payload);
  const errno = -view.getInt32(NLMSGERR_ERROR, true);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, words: '' };
  // The request comes back whole before the attributes, unless the kernel was asked to leave its payload out.
  const echoed = view.getUint32(NLMSGERR_MSG + NLMSG_LEN, true);
  const start = flags & NLM_F_CAPPED ? NLMSGERR_SIZE : NLMSGERR_MSG + align(echoed);
  const words = decodeAttributes(payload.subarray(start)).get(NLMSGERR_ATTR_MSG);
  return { errno, words: words ? textOf(words) : '' };
}
