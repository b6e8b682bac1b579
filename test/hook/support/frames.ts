/** Frames as bytes, for programs' test runs and for packet sockets. */

import { parseAddress } from '../../../src/sys/inet.js';
import { macBytes } from '../../../src/sys/netlink.js';

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

export function bytes(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part])));
}

const u16 = (value: number) => [value >> 8, value & 0xff];
const address = (text: string) => parseAddress(text).bytes;

/** Ethernet with tags in band, padded to 60 bytes. */
export function frame(
  to: string,
  from: string,
  type: number,
  payload: Uint8Array = new Uint8Array(),
  tags: readonly [type: number, tci: number][] = [],
): Uint8Array {
  const inBand = tags.flatMap(([tag, tci]) => [...u16(tag), ...u16(tci)]);
  const whole = bytes(macBytes(to), macBytes(from), inBand, u16(type), payload);
  const padded = new Uint8Array(Math.max(60, whole.length));
  padded.set(whole);
  return padded;
}

/** An ARP packet's payload: operation 1 asks, 2 answers. */
export function arp(operation: number, mac: string, ip: string, target: string): Uint8Array {
  const sender = bytes(macBytes(mac), address(ip));
  return bytes(u16(1), u16(0x0800), 6, 4, u16(operation), sender, new Uint8Array(6), address(target));
}

export function ipv4(
  from: string,
  to: string,
  protocol = 17,
  payload: Uint8Array = new Uint8Array(8),
): Uint8Array {
  const length = u16(20 + payload.length);
  return bytes(0x45, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0, address(from), address(to), payload);
}

export function ipv6(from: string, to: string, next: number, payload: Uint8Array): Uint8Array {
  return bytes(0x60, 0, 0, 0, u16(payload.length), next, 255, address(from), address(to), payload);
}

/** A datagram of 8 bytes and `data`. The checksum is left out. */
export function udp(from: number, to: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  return bytes(u16(from), u16(to), u16(8 + data.length), 0, 0, data);
}

/** An IPv6 fragment header: `offset` in bytes, a multiple of 8. */
export function fragment(next: number, offset: number, more: boolean, payload: Uint8Array): Uint8Array {
  return bytes(next, 0, u16(offset | (more ? 1 : 0)), 1, 2, 3, 4, payload);
}

/** LLC and SNAP in front of what an ethertype would be in front of. `oui`: the three bytes as one number. */
export function snap(type: number, payload: Uint8Array, oui = 0): Uint8Array {
  return bytes(0xaa, 0xaa, 3, oui >> 16, u16(oui & 0xffff), u16(type), payload);
}

/** An IPv6 extension header of 8 bytes in front of `payload`. */
export function extension(next: number, payload: Uint8Array): Uint8Array {
  return bytes(next, 0, [1, 4, 0, 0, 0, 0], payload);
}

export const ND = { routerSolicit: 133, routerAdvert: 134, solicit: 135, advert: 136, redirect: 137 };

/** Option 1 is the sender's link-layer address, 2 the target's. */
export function option(kind: 1 | 2, mac: string): Uint8Array {
  return bytes(kind, 1, macBytes(mac));
}

/** A neighbour discovery message with a target, and options. The checksum is left out: nobody here looks at it. */
export function nd(type: number, target: string, ...options: Uint8Array[]): Uint8Array {
  return bytes(type, 0, 0, 0, 0, 0, 0, 0, address(target), ...options);
}
