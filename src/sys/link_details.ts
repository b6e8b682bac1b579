/** What an interface is to others: its master, the other end's namespace, promiscuous mode. By rtnetlink. */
import { constants } from 'node:os';
import { IFNAMSIZ } from '../abi/if_tun.js';
import { NLM_F_ACK } from '../abi/netlink.js';
import * as rt from '../abi/rtnetlink.js';
import { SysError } from './errors.js';
import { macText } from './netlink.js';
import { cString, decodeAttributes, textOf, u32, viewOf } from './netlink_codec.js';
import { dump, request } from './netlink_socket.js';

const { ENODEV } = constants.errno;

export interface LinkDetails {
  readonly index: number;
  readonly name: string;
  /** `aa:bb:cc:dd:ee:ff`; empty for a link without an Ethernet address. */
  readonly mac: string;
  /** ARPHRD_*: 1 is Ethernet. */
  readonly hardware: number;
  readonly loopback: boolean;
  /** Administratively up. */
  readonly up: boolean;
  /** Up, and its other side too. */
  readonly carrier: boolean;
  /** The root qdisc: `noqueue`, `fq_codel`, …. */
  readonly qdisc: string;
  /** Bytes behind the Ethernet header. */
  readonly mtu: number;
  /** `veth`, `tun`, …; empty for hardware. */
  readonly kind: string;
  /** Index of the bridge, bond, … it belongs to; 0: none. */
  readonly master: number;
  /** `bridge`, `bond`, …; empty without a master. */
  readonly masterKind: string;
  /** Index of the one it stands on (a VLAN's, a macvlan's), or of its other end (a veth's); of `crossesNamespace`. 0: none. */
  readonly lower: number;
  /** The MAC that its hardware came with, as text; empty: none, as of most virtual ones. */
  readonly permanent: string;
  /** What it is a function of: `0000:00:03.0`; empty: nothing. */
  readonly parent: string;
  /** The other end of a veth (or the lower device) is in another network namespace. */
  readonly crossesNamespace: boolean;
  /** How many have asked for promiscuous mode, the kernel for want of a unicast filter among them. */
  readonly promiscuity: number;
}

/** The interface called `name` in the caller's network namespace, or undefined. Throws SysError. */
export function linkDetails(name: string): LinkDetails | undefined {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) >= IFNAMSIZ) return undefined;
  return ask(new Uint8Array(rt.IFINFO_SIZE), name);
}

/** The same by index, for who was renamed meanwhile. */
export function linkDetailsOf(ifindex: number): LinkDetails | undefined {
  const header = new Uint8Array(rt.IFINFO_SIZE);
  viewOf(header).setInt32(rt.IFINFO_INDEX, ifindex, true);
  return ask(header);
}

/** All interfaces of the caller's network namespace. Throws SysError. */
export function linkDetailsList(): LinkDetails[] {
  return dump('RTM_GETLINK', rt.RTM_GETLINK, new Uint8Array(rt.IFINFO_SIZE), [
    [rt.IFLA_EXT_MASK, u32(rt.RTEXT_FILTER_SKIP_STATS)],
  ]).map(({ payload }) => details(payload));
}

/** Those that belong to it now, as to a bond, a team, a bridge, a failover pair. Throws SysError. */
export function slavesOf(ifindex: number): LinkDetails[] {
  const answers = dump('RTM_GETLINK', rt.RTM_GETLINK, new Uint8Array(rt.IFINFO_SIZE), [
    [rt.IFLA_EXT_MASK, u32(rt.RTEXT_FILTER_SKIP_STATS)],
    [rt.IFLA_MASTER, u32(ifindex)],
  ]);
  return answers.map(({ payload }) => details(payload)).filter(({ master }) => master === ifindex);
}

function ask(header: Uint8Array, name?: string): LinkDetails | undefined {
  try {
    const [answer] = request('RTM_GETLINK', name ?? '', rt.RTM_GETLINK, NLM_F_ACK, header, [
      [rt.IFLA_EXT_MASK, u32(rt.RTEXT_FILTER_SKIP_STATS)],
      ...(name === undefined ? [] : ([[rt.IFLA_IFNAME, cString(name)]] as [number, Uint8Array][])),
    ]);
    return answer && details(answer.payload);
  } catch (error) {
    if (error instanceof SysError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

function details(payload: Uint8Array): LinkDetails {
  const view = viewOf(payload);
  const attributes = decodeAttributes(payload.subarray(rt.IFINFO_SIZE));
  const info = decodeAttributes(attributes.get(rt.IFLA_LINKINFO) ?? new Uint8Array());
  const text = (value: Uint8Array | undefined) => (value ? textOf(value) : '');
  const number = (type: number) => {
    const value = attributes.get(type);
    return value && value.length >= 4 ? viewOf(value).getUint32(0, true) : 0;
  };
  const mac = attributes.get(rt.IFLA_ADDRESS);
  const permanent = attributes.get(rt.IFLA_PERM_ADDRESS);
  return {
    index: view.getInt32(rt.IFINFO_INDEX, true),
    name: text(attributes.get(rt.IFLA_IFNAME)),
    mac: mac?.length === 6 ? macText(mac) : '',
    hardware: view.getUint16(rt.IFINFO_TYPE, true),
    loopback: (view.getUint32(rt.IFINFO_FLAGS, true) & rt.IFF_LOOPBACK) !== 0,
    up: (view.getUint32(rt.IFINFO_FLAGS, true) & rt.IFF_UP) !== 0,
    carrier: (view.getUint32(rt.IFINFO_FLAGS, true) & rt.IFF_LOWER_UP) !== 0,
    qdisc: text(attributes.get(rt.IFLA_QDISC)),
    mtu: number(rt.IFLA_MTU),
    kind: text(info.get(rt.IFLA_INFO_KIND)),
    master: number(rt.IFLA_MASTER),
    masterKind: text(info.get(rt.IFLA_INFO_SLAVE_KIND)),
    lower: number(rt.IFLA_LINK),
    permanent: permanent?.length === 6 ? macText(permanent) : '',
    parent: text(attributes.get(rt.IFLA_PARENT_DEV_NAME)),
    crossesNamespace: attributes.has(rt.IFLA_LINK_NETNSID),
    promiscuity: number(rt.IFLA_PROMISCUITY),
  };
}
