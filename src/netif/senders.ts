/** The IP addresses that a vif's guest may be sender of, where the loops look them up (assembly/senders_layout.ts). */
import {
  SENDER_V4_SIZE,
  SENDER_V6_SIZE,
  SENDERS_MAX,
  SENDERS_V4,
  SENDERS_V4_FIRST,
  SENDERS_V6,
  SENDERS_V6_FIRST,
} from '../../assembly/senders_layout.js';
import type { Arena } from '../arena/arena.js';
import { SetupError } from '../sys/errors.js';
import { linkLocal, parseAddress } from '../sys/inet.js';

/**
 * Writes them into SENDERS_SIZE bytes at `at`. `addresses`: `10.0.0.2` or, for all of a network, `10.1.0.0/16`. With an
 * IPv6 one among them the link-local address is let through that stacks make of their MAC (RFC 4291, appendix A).
 * One made otherwise (RFC 7217: NetworkManager) has to be listed, or all of fe80::/64: whoever
 * may solicit from any link-local address can be its neighbours' router (RFC 4861, 7.2.3). Throws SetupError for what
 * is no address.
 */
export function writeSenders(arena: Arena, at: number, addresses: readonly string[], mac: Uint8Array): void {
  const networks = addresses.map(parseNetwork);
  if (networks.some(({ bytes }) => bytes.length === 16))
    networks.push({ bytes: linkLocal(mac), prefix: 128 });
  if (networks.length > SENDERS_MAX) throw new SetupError(`a vif has no more than ${SENDERS_MAX} addresses`);
  let v4 = 0;
  let v6 = 0;
  for (const { bytes, prefix } of networks) {
    const entry =
      bytes.length === 4
        ? SENDERS_V4_FIRST + v4++ * SENDER_V4_SIZE
        : SENDERS_V6_FIRST + v6++ * SENDER_V6_SIZE;
    arena.u8.set(bytes, at + entry);
    arena.u8.set(maskOf(prefix, bytes.length), at + entry + bytes.length);
  }
  arena.u32[(at + SENDERS_V4) / 4] = v4;
  arena.u32[(at + SENDERS_V6) / 4] = v6;
}

function parseNetwork(text: string): { bytes: Uint8Array; prefix: number } {
  const [address, length, ...more] = text.split('/');
  const { bytes } = parseAddress(address);
  const bits = bytes.length * 8;
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : bits + 1;
  if (prefix > bits || more.length > 0)
    throw new SetupError(
      `${JSON.stringify(text)} is not an address or a network`,
      'write it like 10.0.0.1 or fd00::/64',
    );
  return { bytes, prefix };
}

/** Octets with the first `bits` bits set. */
function maskOf(bits: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 0xff00 >> Math.min(8, Math.max(0, bits - i * 8)));
}
