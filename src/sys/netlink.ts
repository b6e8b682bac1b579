/**
 * Links, addresses and routes by rtnetlink(7), synchronously.
 *
 * Every call opens its own socket and closes it: it acts in the network namespace its thread is in at that
 * moment, and no state is left between calls. These are set-up calls; none belongs on a hot path.
 * They throw SysError when the kernel refuses (its own words are the error's hint) and SetupError for a
 * malformed address.
 */
import { constants } from 'node:os';
import { IFNAMSIZ } from '../abi/if_tun.js';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL } from '../abi/netlink.js';
import * as rt from '../abi/rtnetlink.js';
import { AF_INET, AF_INET6 } from '../abi/socket.js';
import { SetupError, SysError } from './errors.js';
import { formatAddress, parseAddress, parseCidr } from './inet.js';
import {
  type Attribute,
  cString,
  decodeAttributes,
  type NetlinkMessage,
  textOf,
  u32,
  viewOf,
} from './netlink_codec.js';
import { dump, request } from './netlink_socket.js';

const { ENODEV } = constants.errno;

/** A network interface as the kernel describes it. */
export interface LinkInfo {
  index: number;
  name: string;
  /** Lower-case `aa:bb:cc:dd:ee:ff`; empty for a link without an Ethernet address. */
  mac: string;
  mtu: number;
  /** Administratively up. */
  up: boolean;
  /** Up, and its other side too. */
  carrier: boolean;
  /** `tun`, `veth`, `dummy`, …; absent for hardware. */
  kind?: string;
  txQueueLen: number;
  /** Largest GSO / GRO frame in bytes; 0 when the kernel does not say. */
  gsoMaxSize: number;
  groMaxSize: number;
}

/** What linkSet changes; whatever is absent stays. */
export interface LinkChange {
  up?: boolean;
  mtu?: number;
  /** 6 bytes, or `aa:bb:cc:dd:ee:ff`. */
  mac?: Uint8Array | string;
  /** Bytes. */
  gsoMaxSize?: number;
  /** Bytes. */
  groMaxSize?: number;
  /** The new name. */
  name?: string;
  /** Frames. */
  txQueueLen?: number;
}

export interface LinkAddress {
  /** Interface index. */
  index: number;
  family: 4 | 6;
  address: string;
  prefix: number;
}

/** struct ifinfomsg; `flags` are set where `change` has ones. */
function ifinfo(index = 0, flags = 0, change = 0): Uint8Array {
  const header = new Uint8Array(rt.IFINFO_SIZE);
  const view = viewOf(header);
  view.setInt32(rt.IFINFO_INDEX, index, true);
  view.setUint32(rt.IFINFO_FLAGS, flags, true);
  view.setUint32(rt.IFINFO_CHANGE, change, true);
  return header;
}

const skipStatistics: Attribute = [rt.IFLA_EXT_MASK, u32(rt.RTEXT_FILTER_SKIP_STATS)];

function toLinkInfo({ payload }: NetlinkMessage): LinkInfo {
  const view = viewOf(payload);
  const flags = view.getUint32(rt.IFINFO_FLAGS, true);
  const attributes = decodeAttributes(payload.subarray(rt.IFINFO_SIZE));
  const number = (type: number) => {
    const value = attributes.get(type);
    return value && value.length >= 4 ? viewOf(value).getUint32(0, true) : 0;
  };
  const mac = attributes.get(rt.IFLA_ADDRESS);
  const kind = decodeAttributes(attributes.get(rt.IFLA_LINKINFO) ?? new Uint8Array()).get(rt.IFLA_INFO_KIND);
  return {
    index: view.getInt32(rt.IFINFO_INDEX, true),
    name: textOf(attributes.get(rt.IFLA_IFNAME) ?? new Uint8Array()),
    mac: mac?.length === 6 ? macText(mac) : '',
    mtu: number(rt.IFLA_MTU),
    up: (flags & rt.IFF_UP) !== 0,
    carrier: (flags & rt.IFF_LOWER_UP) !== 0,
    ...(kind ? { kind: textOf(kind) } : {}),
    txQueueLen: number(rt.IFLA_TXQLEN),
    gsoMaxSize: number(rt.IFLA_GSO_MAX_SIZE),
    groMaxSize: number(rt.IFLA_GRO_MAX_SIZE),
  };
}

/** The interface called `name` (or that has it as an alternative name), or undefined. */
export function linkInfo(name: string): LinkInfo | undefined {
  // The kernel's look-up refuses these with EINVAL or ERANGE; no interface can have such a name.
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) >= IFNAMSIZ) return undefined;
  try {
    const [answer] = request('RTM_GETLINK', name, rt.RTM_GETLINK, NLM_F_ACK, ifinfo(), [
      skipStatistics,
      [rt.IFLA_IFNAME, cString(name)],
    ]);
    return answer && toLinkInfo(answer);
  } catch (error) {
    if (error instanceof SysError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

/** The interface index, or undefined when there is no such interface. */
export function linkIndex(name: string): number | undefined {
  return linkInfo(name)?.index;
}

/** Every interface of the namespace. */
export function linkList(): LinkInfo[] {
  return dump('RTM_GETLINK', rt.RTM_GETLINK, ifinfo(), [skipStatistics]).map(toLinkInfo);
}

function indexOf(call: string, name: string): number {
  const index = linkIndex(name);
  if (index === undefined) throw new SysError(call, ENODEV, name);
  return index;
}

/** `02:00:00:00:00:01` */
export function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The six bytes of a MAC address. Throws SetupError. */
export function macBytes(mac: Uint8Array | string): Uint8Array {
  if (typeof mac === 'string' && !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new SetupError(`${JSON.stringify(mac)} is not a MAC address`, 'write it like 02:00:00:00:00:01');
  }
  const bytes =
    typeof mac === 'string' ? Uint8Array.from(mac.split(':'), (hex) => Number.parseInt(hex, 16)) : mac;
  if (bytes.length !== 6) throw new SetupError(`a MAC address has 6 bytes, not ${bytes.length}`);
  return bytes;
}

/** Changes an interface; all in one request, though the kernel may keep the first part if a later one fails. */
export function linkSet(name: string, change: LinkChange): void {
  const attributes: Attribute[] = [];
  const number = (type: number, value: number | undefined) => {
    if (value !== undefined) attributes.push([type, u32(value)]);
  };
  number(rt.IFLA_MTU, change.mtu);
  number(rt.IFLA_TXQLEN, change.txQueueLen);
  number(rt.IFLA_GSO_MAX_SIZE, change.gsoMaxSize);
  number(rt.IFLA_GRO_MAX_SIZE, change.groMaxSize);
  if (change.mac !== undefined) attributes.push([rt.IFLA_ADDRESS, macBytes(change.mac)]);
  if (change.name !== undefined) attributes.push([rt.IFLA_IFNAME, cString(change.name)]);
  const header = ifinfo(
    indexOf('RTM_SETLINK', name),
    change.up ? rt.IFF_UP : 0,
    change.up === undefined ? 0 : rt.IFF_UP,
  );
  request('RTM_SETLINK', name, rt.RTM_SETLINK, NLM_F_ACK, header, attributes);
}

/** Removes an interface that software made (tap, veth, dummy, …). */
export function linkDelete(name: string): void {
  const header = ifinfo(indexOf('RTM_DELLINK', name));
  request('RTM_DELLINK', name, rt.RTM_DELLINK, NLM_F_ACK, header, []);
}

/** Adds `10.0.0.1/24` or `fd00::1/64` to an interface; IPv6 without duplicate detection, so usable at once. */
export function addressAdd(name: string, cidr: string): void {
  const { family, bytes, prefix } = parseCidr(cidr);
  const header = new Uint8Array(rt.IFADDR_SIZE);
  header[rt.IFADDR_FAMILY] = family;
  header[rt.IFADDR_PREFIXLEN] = prefix;
  header[rt.IFADDR_FLAGS] = family === AF_INET6 ? rt.IFA_F_NODAD : 0;
  viewOf(header).setUint32(rt.IFADDR_INDEX, indexOf('RTM_NEWADDR', name), true);
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  // The address itself, and its peer: the same on anything but a point-to-point link.
  request('RTM_NEWADDR', `${cidr} dev ${name}`, rt.RTM_NEWADDR, flags, header, [
    [rt.IFA_LOCAL, bytes],
    [rt.IFA_ADDRESS, bytes],
  ]);
}

/** The addresses of one interface, or of all. */
export function addressList(name?: string): LinkAddress[] {
  const only = name === undefined ? undefined : indexOf('RTM_GETADDR', name);
  const addresses: LinkAddress[] = [];
  for (const { payload } of dump('RTM_GETADDR', rt.RTM_GETADDR, new Uint8Array(rt.IFADDR_SIZE), [])) {
    const index = viewOf(payload).getUint32(rt.IFADDR_INDEX, true);
    if (only !== undefined && index !== only) continue;
    const attributes = decodeAttributes(payload.subarray(rt.IFADDR_SIZE));
    const bytes = attributes.get(rt.IFA_LOCAL) ?? attributes.get(rt.IFA_ADDRESS);
    const family = payload[rt.IFADDR_FAMILY];
    if (bytes === undefined || (family !== AF_INET && family !== AF_INET6)) continue;
    addresses.push({
      index,
      family: family === AF_INET6 ? 6 : 4,
      address: formatAddress(bytes),
      prefix: payload[rt.IFADDR_PREFIXLEN],
    });
  }
  return addresses;
}

/** Adds a route to the main table: `to` a prefix or `default`, through gateway `via` or straight onto `dev`. */
export function routeAdd(route: { to: string; via?: string; dev: string }): void {
  const gateway = route.via === undefined ? undefined : parseAddress(route.via);
  const to = route.to === 'default' ? undefined : parseCidr(route.to);
  const family = to?.family ?? gateway?.family ?? AF_INET;
  if (gateway !== undefined && gateway.family !== family) {
    throw new SetupError(`route to ${route.to} via ${route.via}: one is IPv4, the other IPv6`);
  }
  const header = new Uint8Array(rt.RTMSG_SIZE);
  header[rt.RTMSG_FAMILY] = family;
  header[rt.RTMSG_DST_LEN] = to?.prefix ?? 0;
  header[rt.RTMSG_TABLE] = rt.RT_TABLE_MAIN;
  header[rt.RTMSG_PROTOCOL] = rt.RTPROT_STATIC;
  header[rt.RTMSG_SCOPE] = gateway || family === AF_INET6 ? rt.RT_SCOPE_UNIVERSE : rt.RT_SCOPE_LINK;
  header[rt.RTMSG_TYPE] = rt.RTN_UNICAST;
  const attributes: Attribute[] = [[rt.RTA_OIF, u32(indexOf('RTM_NEWROUTE', route.dev))]];
  if (to) attributes.push([rt.RTA_DST, to.bytes]);
  if (gateway) attributes.push([rt.RTA_GATEWAY, gateway.bytes]);
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request('RTM_NEWROUTE', `${route.to} dev ${route.dev}`, rt.RTM_NEWROUTE, flags, header, attributes);
}
