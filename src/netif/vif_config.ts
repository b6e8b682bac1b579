/**
 * What a toolstack wrote into a vif's back-end directory, validated. libxl writes these nodes (libxl_nic.c), others do
 * as it does; xl-network-configuration(5) says what they mean.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { TRANSFER_NAMES, type TransferName } from '../transfer/transfer.js';
import type { XenStore, XsTransaction } from '../xen/xenstore.js';
import { BadKey } from './frontend_keys.js';

export interface VifConfig {
  /** The front end's directory. */
  readonly frontend: string;
  /** Six bytes in hex with colons, in lower case; a unicast address. */
  readonly mac: string;
  /** What the guest may send: so many bytes in each interval of µs. Undefined: as much as it likes. */
  readonly rate: VifRate | undefined;
  /** Undefined where the toolstack named none. */
  readonly mtu: number | undefined;
  /** Networks that the guest may be sender of, `10.0.0.2` or `10.1.0.0/16`; none: not checked. */
  readonly addresses: readonly string[];
  /** What the device is to be called on this side. */
  readonly vifname: string | undefined;
  /** The bridge that the toolstack had in mind. */
  readonly bridge: string | undefined;
  /** How its bytes are to be moved, where somebody wrote that; a node of our own. */
  readonly transfer: TransferName | undefined;
  /** False: an admin has pulled its cable; a node of our own. */
  readonly link: boolean;
}

export interface VifRate {
  readonly bytes: number;
  readonly interval: number;
}

/** Nodes without which a vif cannot begin; a toolstack may write them one by one. */
export interface Missing {
  readonly missing: string;
}

/** IPv4's smallest (RFC 791), and 64 KiB less an Ethernet header. */
const MTU_MIN = 68;
const MTU_MAX = 65_521;
const ADDRESSES_MAX = 64;
/** IFNAMSIZ without its NUL. */
const NAME_MAX = 15;
/** An interval longer than that is no rate: 2³² µs, over an hour. */
const INTERVAL_MAX = 0xffffffff;

/** Reads the nodes under `directory` of the vif of domain `domid`. Throws BadKey for a value that makes no sense. */
export async function readVifConfig(
  store: XenStore,
  directory: string,
  domid: number,
  tx?: XsTransaction,
): Promise<VifConfig | Missing> {
  const keys = [
    'frontend',
    'frontend-id',
    'mac',
    'rate',
    'mtu',
    'ip',
    'vifname',
    'bridge',
    'transfer',
    'link',
  ];
  const values = await Promise.all(keys.map((key) => store.tryRead(`${directory}/${key}`, tx)));
  const [frontend, frontendId, mac, rate, mtu, ip, vifname, bridge, transfer, link] = values;
  if (!frontend) return { missing: 'frontend' };
  if (!mac) return { missing: 'mac' };
  if (!frontend.startsWith('/')) throw new BadKey('frontend', frontend, 'must be a path');
  if (frontendId !== undefined && frontendId !== String(domid)) {
    throw new BadKey('frontend-id', frontendId, `the directory is domain ${domid}'s`);
  }
  return {
    frontend,
    mac: parseMac(mac),
    rate: rate === undefined ? undefined : parseRate(rate),
    mtu: mtu === undefined ? undefined : parseMtu(mtu),
    addresses: parseAddresses(ip ?? ''),
    vifname: vifname ? parseName(vifname) : undefined,
    bridge: bridge || undefined,
    transfer: transfer === undefined ? undefined : parseTransfer(transfer),
    link: link === undefined || parseLink(link),
  };
}

function parseMac(text: string): string {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text))
    throw new BadKey('mac', text, 'must be six hex bytes with colons');
  if (Number.parseInt(text.slice(1, 2), 16) & 1) throw new BadKey('mac', text, 'is a group address');
  if (/^[0:]+$/.test(text)) throw new BadKey('mac', text, "is no guest's address");
  return text.toLowerCase();
}

/** `BYTES,MICROSECONDS`: the credit, and how often it is given (netback: xen_net_read_rate). */
function parseRate(text: string): VifRate {
  const match = /^(\d{1,20}),(\d{1,10})$/.exec(text);
  // More than a double holds is more than any guest sends.
  const bytes = Math.min(Number(match?.[1]), Number.MAX_SAFE_INTEGER);
  const interval = Number(match?.[2]);
  if (!match || bytes === 0 || interval === 0 || interval > INTERVAL_MAX)
    throw new BadKey('rate', text, 'must be BYTES,MICROSECONDS');
  return { bytes, interval };
}

function parseMtu(text: string): number {
  const mtu = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(mtu >= MTU_MIN && mtu <= MTU_MAX))
    throw new BadKey('mtu', text, `must be a number from ${MTU_MIN} to ${MTU_MAX}`);
  return mtu;
}

/** Separated by spaces (vif-common.sh: `for addr in $ip`), each an address or a network. */
function parseAddresses(text: string): string[] {
  const words = text.split(/[ \t]+/).filter(Boolean);
  if (words.length > ADDRESSES_MAX)
    throw new BadKey('ip', text, `must be at most ${ADDRESSES_MAX} addresses`);
  for (const word of words) {
    const [address, prefix, ...more] = word.split('/');
    const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : -1;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (bits < 0 || length < 0 || length > bits || more.length > 0)
      throw new BadKey('ip', text, 'must be IP addresses with spaces between');
  }
  return words;
}

function parseTransfer(text: string): TransferName {
  const name = TRANSFER_NAMES.find((known) => known === text);
  if (name === undefined) throw new BadKey('transfer', text, `must be one of ${TRANSFER_NAMES.join(', ')}`);
  return name;
}

function parseLink(text: string): boolean {
  if (text !== 'up' && text !== 'down') throw new BadKey('link', text, 'must be up or down');
  return text === 'up';
}

function parseName(text: string): string {
  if (/^[^\s/%:\p{Cc}]+$/u.test(text) && Buffer.byteLength(text) <= NAME_MAX && text !== '.' && text !== '..')
    return text;
  throw new BadKey('vifname', text, `must be an interface's name, at most ${NAME_MAX} bytes`);
}
