/** Options' values: parsed and checked here, so that a typing error is answered before anything is touched. */
import { isIPv4, isIPv6 } from 'node:net';
import { InvalidArgumentError } from 'commander';
import { LEARN_MAX } from '../daemon/api.js';
import type { DaemonOptions } from '../daemon/options.js';
import { THREADS_MAX } from '../daemon/options.js';
import { GUEST_NAME, GUEST_QUEUES_MAX, guestRequest } from '../guest/options.js';

export type TransferName = NonNullable<DaemonOptions['transfer']>;

/** Bad usage: exit code 2. Everything else that goes wrong is exit code 1. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

export const TRANSFERS: readonly TransferName[] = guestRequest.shape.transfer.unwrap().options;
/** IPv4's smallest (RFC 791), and 64 KiB less an Ethernet header. */
export const MTU_MIN = 68;
export const MTU_MAX = 65521;
/** IFNAMSIZ without its NUL. */
const INTERFACE_NAME_MAX = 15;

const quote = (text: string) => JSON.stringify(text);

export function parseMac(text: string): string {
  const hint = 'write it like 02:00:5e:10:00:01';
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new UsageError(`${quote(text)} is not a MAC address`, hint);
  const mac = text.toLowerCase();
  if (mac === '00:00:00:00:00:00')
    throw new UsageError('a guest cannot have the MAC address of all zeroes', hint);
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) {
    throw new UsageError(
      `${mac} is a group address: no guest can have it`,
      `${hint} (the first byte is even)`,
    );
  }
  return mac;
}

export function collectMacs(text: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), parseMac(text)];
}

/** An IP address; a prefix length behind it is left away. */
export function collectAddresses(text: string, earlier: readonly string[] | undefined): string[] {
  const [address] = (text.includes('/') ? parseCidr(text) : text).split('/');
  if (!isIPv4(address) && (!isIPv6(address) || address.includes('%'))) {
    throw new UsageError(`${quote(text)} is not an IP address`, 'write it like 10.0.0.2 or fd00::2');
  }
  return [...(earlier ?? []), address];
}

export function parsePortName(text: string): string {
  if (/^[^\s/%:]{1,32}$/.test(text)) return text;
  throw new UsageError(`${quote(text)} is not a port name`, "1 to 32 characters, no spaces, '/', ':' or '%'");
}

/** How many MACs a port may learn. */
export function parseLearn(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= LEARN_MAX) return count;
  throw new UsageError(`${quote(text)} is not a number of MACs`, `a number from 1 to ${LEARN_MAX}`);
}

/** Seconds until a learned MAC is forgotten. */
export function parseAgeing(text: string): number {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds >= 1 && seconds <= 1_000_000) return seconds;
  throw new UsageError(`${quote(text)} is not a time`, 'a number of seconds from 1 to 1000000');
}

export const ATTACH_MODES = ['tcx', 'clsact'] as const;

export function parseMode(text: string): (typeof ATTACH_MODES)[number] {
  const mode = ATTACH_MODES.find((known) => known === text);
  if (mode === undefined)
    throw new UsageError(`${quote(text)} is not a way to attach`, `known: ${ATTACH_MODES.join(', ')}`);
  return mode;
}

/** `10.0.0.2/24` or `fd00::2/64`. */
export function parseCidr(text: string): string {
  const hint = 'write it like 10.0.0.2/24 or fd00::2/64';
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) {
    const bare = isIPv4(text) || isIPv6(text);
    throw new UsageError(
      `${quote(text)} is ${bare ? 'an address without its prefix length' : 'not an address with a prefix length'}`,
      hint,
    );
  }
  const [, address, prefix] = match;
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : 0;
  if (bits === 0) throw new UsageError(`${quote(address)} is not an IP address`, hint);
  if (Number(prefix) > bits)
    throw new UsageError(`${quote(text)}: the prefix length is at most ${bits}`, hint);
  return text;
}

export function collectCidrs(text: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), parseCidr(text)];
}

export function parseMtu(text: string): number {
  const mtu = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(mtu >= MTU_MIN && mtu <= MTU_MAX)) {
    throw new UsageError(`${quote(text)} is not an MTU`, `a number from ${MTU_MIN} to ${MTU_MAX}`);
  }
  return mtu;
}

export function parseQueues(text: string): number {
  const queues = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (queues >= 1 && queues <= GUEST_QUEUES_MAX) return queues;
  throw new UsageError(`${quote(text)} is not a number of queues`, `from 1 to ${GUEST_QUEUES_MAX}`);
}

export function parseThreads(text: string): number {
  const threads = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (threads >= 1 && threads <= THREADS_MAX) return threads;
  throw new UsageError(`${quote(text)} is not a number of threads`, `from 1 to ${THREADS_MAX}`);
}

/** Bits and bytes of xl-network-configuration(5)'s rate units, and µs of its intervals. */
const RATE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9 };
const INTERVALS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };
const INTERVAL = 50_000;

/** `10Mb/s`, `1MB/s@20ms`, as xl's vif specifications have it: bytes in each interval of µs. */
export function parseRate(text: string): { bytes: number; interval: number } {
  const match = /^(\d{1,9})([KMG]?)([bB])\/s(?:@(\d{1,7})(us|ms|s))?$/.exec(text);
  const interval = match?.[4] === undefined ? INTERVAL : Number(match[4]) * INTERVALS[match[5]];
  const perSecond = match ? (Number(match[1]) * RATE_UNITS[match[2]]) / (match[3] === 'b' ? 8 : 1) : 0;
  const bytes = Math.floor((perSecond * interval) / 1e6);
  if (bytes >= 1 && interval >= 1 && interval <= 0xffffffff) return { bytes, interval };
  throw new UsageError(`${quote(text)} is not a rate`, 'write it like 10Mb/s, 1MB/s or 1MB/s@20ms');
}

export function parseTransfer(text: string): TransferName {
  const transfer = TRANSFERS.find((known) => known === text);
  if (transfer === undefined)
    throw new UsageError(`${quote(text)} is not a transfer`, `known: ${TRANSFERS.join(', ')}`);
  return transfer;
}

export const PLATFORMS = ['auto', 'embedded', 'native'] as const;

export function parsePlatform(text: string): (typeof PLATFORMS)[number] {
  const platform = PLATFORMS.find((known) => known === text);
  if (platform === undefined)
    throw new UsageError(`${quote(text)} is not a platform`, `known: ${PLATFORMS.join(', ')}`);
  return platform;
}

export const HOST_DRIVERS = ['tap', 'netfront'] as const;

export function parseHostDriver(text: string): (typeof HOST_DRIVERS)[number] {
  const driver = HOST_DRIVERS.find((known) => known === text);
  if (driver === undefined)
    throw new UsageError(
      `${quote(text)} is not what a host port can be`,
      `known: ${HOST_DRIVERS.join(', ')}`,
    );
  return driver;
}

export function parseGuestName(text: string): string {
  if (GUEST_NAME.test(text)) return text;
  throw new UsageError(`${quote(text)} is not a guest name`, '1 to 32 of a-z, 0-9 and -, no - at either end');
}

/** Number of a vif: xl's devids. */
export function parseVif(text: string): number {
  const vif = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (vif >= 0) return vif;
  throw new UsageError(`${quote(text)} is not the number of a vif`, 'a number from 0 to 9999');
}

export function parseInterfaceName(text: string): string {
  const printable = /^[^\s/%:]+$/.test(text) && text !== '.' && text !== '..';
  if (printable && Buffer.byteLength(text) <= INTERFACE_NAME_MAX) return text;
  throw new UsageError(
    `${quote(text)} is not an interface name`,
    `at most ${INTERFACE_NAME_MAX} bytes, no spaces, '/', ':' or '%'`,
  );
}

/** Seconds between two looks. */
export function parseInterval(text: string): number {
  const seconds = Number(text);
  if (text !== '' && seconds >= 0.1 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError('a number of seconds from 0.1 to 3600');
}
