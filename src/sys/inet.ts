/** IP addresses between text and network byte order, by inet_pton(3) and inet_ntop(3). */
import { AF_INET, AF_INET6 } from '../abi/socket.js';
import { SetupError } from './errors.js';
import { libc } from './libc.js';

const inetPton = libc.func('int inet_pton(int family, const char *text, void *bytes)');
const inetNtop = libc.func('intptr_t inet_ntop(int family, void *bytes, void *text, uint32_t size)');

const TEXT_MAX = 46; // INET6_ADDRSTRLEN

/** An address: 4 bytes (AF_INET) or 16 (AF_INET6), network order. */
export interface InetAddress {
  family: number;
  bytes: Uint8Array;
}

/** An address with the length of its prefix in bits: `10.0.0.1/24`. Host bits are kept. */
export interface Cidr extends InetAddress {
  prefix: number;
}

/** Throws SetupError when `text` is neither an IPv4 nor an IPv6 address. */
export function parseAddress(text: string): InetAddress {
  const family = text.includes(':') ? AF_INET6 : AF_INET;
  const bytes = new Uint8Array(family === AF_INET6 ? 16 : 4);
  // inet_pton reads up to a NUL; a text with one inside is no address.
  if (text.includes('\0') || inetPton(family, text, bytes) !== 1) {
    throw new SetupError(`${JSON.stringify(text)} is not an IP address`, 'write it like 10.0.0.1 or fd00::1');
  }
  return { family, bytes };
}

/** Throws SetupError when the address or the prefix is malformed or out of range. */
export function parseCidr(text: string): Cidr {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const hint = 'write it like 10.0.0.1/24 or fd00::1/64';
  if (match === null) throw new SetupError(`${JSON.stringify(text)} is not an address with a prefix`, hint);
  const address = parseAddress(match[1]);
  const prefix = Number(match[2]);
  if (prefix > address.bytes.length * 8) throw new SetupError(`${text}: prefix out of range`, hint);
  return { ...address, prefix };
}

/** fe80::/64 with the modified EUI-64 of a MAC (RFC 4291, appendix A). */
export function linkLocal(mac: Uint8Array): Uint8Array {
  const address = new Uint8Array(16);
  address.set([0xfe, 0x80]);
  address.set([mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]], 8);
  return address;
}

/** The shortest text form; `bytes` has 4 or 16 of them. */
export function formatAddress(bytes: Uint8Array): string {
  const text = Buffer.alloc(TEXT_MAX);
  inetNtop(bytes.length === 16 ? AF_INET6 : AF_INET, bytes, text, TEXT_MAX);
  return text.toString('latin1', 0, text.indexOf(0));
}
