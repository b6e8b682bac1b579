/** A private network that no interface or route of this machine uses yet. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { SetupError } from '../sys/errors.js';

/** Addresses with prefix lengths, IPv4 first. */
export interface Network {
  readonly number: number;
  readonly host: string[];
  /** Of guest 0, 1, …: up to 250. */
  guest(index: number): string[];
}

/** Prefixes in use: `10.0.0.0/8`. Default routes are not among them: they lead everywhere. */
export function usedPrefixes(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map((address) => address.cidr)
    .filter((cidr) => cidr !== null);
  return [
    ...addresses,
    ...routes4(readProc('/proc/net/route')),
    ...routes6(readProc('/proc/net/ipv6_route')),
  ];
}

/** Of /proc/net/route: little-endian hexadecimal in columns 1 (destination) and 7 (mask). */
export function routes4(table: string): string[] {
  return lines(table)
    .slice(1)
    .map((fields) => {
      const [destination, mask] = [fields[1], fields[7]].map((hex) => Number.parseInt(hex, 16));
      const prefix = mask.toString(2).replaceAll('0', '').length;
      const bytes = [destination, destination >>> 8, destination >>> 16, destination >>> 24];
      return `${bytes.map((byte) => byte & 0xff).join('.')}/${prefix}`;
    })
    .filter((cidr) => !cidr.endsWith('/0'));
}

/** Of /proc/net/ipv6_route: 32 hexadecimal digits and a hexadecimal prefix length. */
export function routes6(table: string): string[] {
  return lines(table)
    .map((fields) => `${fields[0].replace(/.{4}(?=.)/g, '$&:')}/${Number.parseInt(fields[1], 16)}`)
    .filter((cidr) => !cidr.endsWith('/0'));
}

/** Whether one of two prefixes holds the other. */
export function overlap(a: string, b: string): boolean {
  const [left, leftBits] = ipaddr.parseCIDR(a);
  const [right, rightBits] = ipaddr.parseCIDR(b);
  return left.kind() === right.kind() && left.match(right, Math.min(leftBits, rightBits));
}

/** Private (RFC 1918), and where a VPN has taken all of that, the benchmarking range (RFC 2544). */
const IPV4_CANDIDATES = ['10.206', '198.18'];

/**
 * 10.206.N.0/24 (else 198.18.N.0/24) with fd4e:4652:N::/64 (`NF` in ASCII) for the first N ≥ `first` of which
 * neither is in use. Throws SetupError when all are.
 */
export function freeNetwork(first: number, used: readonly string[] = usedPrefixes()): Network {
  for (const candidate of IPV4_CANDIDATES) {
    for (let step = 0; step < 256; step++) {
      const number = (first + step) % 256;
      const [four, six] = [
        `${candidate}.${number}.`,
        `fd4e:4652:${number === 0 ? '' : `${number.toString(16)}:`}:`,
      ];
      if (used.some((prefix) => overlap(prefix, `${four}0/24`) || overlap(prefix, `${six}/64`))) continue;
      const at = (index: number) => [`${four}${index}/24`, `${six}${index.toString(16)}/64`];
      return { number, host: at(1), guest: (index) => at(index + 2) };
    }
  }
  throw new SetupError('no private network is free on this machine', 'name one: netferry up --host-ip …');
}

function lines(table: string): string[][] {
  return table
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/));
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // no IPv6, or no /proc: then nothing is known to be used
  }
}
