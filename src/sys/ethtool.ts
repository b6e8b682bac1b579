/**
 * Features of an interface (ethtool -k): read and changed by ioctl, in the caller's network namespace. Their names are
 * the kernel's own: `rx-lro`, `tx-checksum-ip-generic`. Throws SysError (ENODEV: no such interface).
 */
import * as abi from '../abi/ethtool.js';
import { IFNAMSIZ, IFREQ_SIZE } from '../abi/if_tun.js';
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from '../abi/socket.js';
import { addressOf, check, close, libc } from './libc.js';
import { textOf } from './netlink_codec.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');

const BITS = 32;

export interface Feature {
  readonly on: boolean;
  /** Not fixed by the driver. */
  readonly changeable: boolean;
}

/** Bit n's name is the n-th; '' for bits without one. The same for all interfaces. */
let known: readonly string[] | undefined;

/** All features that this kernel knows. */
export function features(name: string): Map<string, Feature> {
  const names = namesOf(name);
  const blocks = Math.ceil(names.length / BITS);
  const view = new DataView(new ArrayBuffer(abi.FEATURES_BLOCKS + blocks * abi.GET_FEATURES_BLOCK_SIZE));
  view.setUint32(0, abi.ETHTOOL_GFEATURES, true);
  view.setUint32(abi.FEATURES_COUNT, blocks, true);
  call('ETHTOOL_GFEATURES', name, view);
  const bit = (i: number, field: number) => {
    const block = abi.FEATURES_BLOCKS + Math.floor(i / BITS) * abi.GET_FEATURES_BLOCK_SIZE;
    return ((view.getUint32(block + field, true) >>> (i % BITS)) & 1) === 1;
  };
  const entries = names.map((feature, i): [string, Feature] => [
    feature,
    { on: bit(i, abi.GET_FEATURES_ACTIVE), changeable: bit(i, abi.GET_FEATURES_AVAILABLE) },
  ]);
  return new Map(entries.filter(([feature]) => feature !== ''));
}

/** Switches features on or off; the kernel leaves what it cannot change as it is, without a word. */
export function setFeatures(name: string, wanted: Readonly<Record<string, boolean>>): void {
  const names = namesOf(name);
  const blocks = Math.ceil(names.length / BITS);
  const view = new DataView(new ArrayBuffer(abi.FEATURES_BLOCKS + blocks * abi.SET_FEATURES_BLOCK_SIZE));
  view.setUint32(0, abi.ETHTOOL_SFEATURES, true);
  view.setUint32(abi.FEATURES_COUNT, blocks, true);
  for (const [feature, on] of Object.entries(wanted)) {
    const i = names.indexOf(feature);
    if (i < 0) continue; // this kernel does not know it
    const block = abi.FEATURES_BLOCKS + Math.floor(i / BITS) * abi.SET_FEATURES_BLOCK_SIZE;
    const mask = (1 << (i % BITS)) >>> 0;
    const add = (field: number) =>
      view.setUint32(block + field, (view.getUint32(block + field, true) | mask) >>> 0, true);
    add(abi.SET_FEATURES_VALID);
    if (on) add(abi.SET_FEATURES_REQUESTED);
  }
  call('ETHTOOL_SFEATURES', name, view);
}

function namesOf(name: string): readonly string[] {
  known ??= askNames(name);
  return known;
}

function askNames(name: string): string[] {
  const info = new DataView(new ArrayBuffer(abi.SSET_INFO_DATA + 4));
  info.setUint32(0, abi.ETHTOOL_GSSET_INFO, true);
  info.setBigUint64(abi.SSET_INFO_MASK, 1n << BigInt(abi.ETH_SS_FEATURES), true);
  call('ETHTOOL_GSSET_INFO', name, info);
  const count = info.getUint32(abi.SSET_INFO_DATA, true);
  const strings = new DataView(new ArrayBuffer(abi.GSTRINGS_DATA + count * abi.ETH_GSTRING_LEN));
  strings.setUint32(0, abi.ETHTOOL_GSTRINGS, true);
  strings.setUint32(abi.GSTRINGS_SET, abi.ETH_SS_FEATURES, true);
  strings.setUint32(abi.GSTRINGS_LEN, count, true);
  call('ETHTOOL_GSTRINGS', name, strings);
  return Array.from({ length: count }, (_, i) =>
    textOf(new Uint8Array(strings.buffer, abi.GSTRINGS_DATA + i * abi.ETH_GSTRING_LEN, abi.ETH_GSTRING_LEN)),
  );
}

/** `argument` as the kernel left it: whoever holds the answer keeps the memory alive meanwhile. */
function call(what: string, name: string, argument: DataView): Uint8Array {
  const ifreq = new Uint8Array(IFREQ_SIZE);
  ifreq.set(Buffer.from(name).subarray(0, IFNAMSIZ - 1));
  const data = new Uint8Array(argument.buffer);
  new DataView(ifreq.buffer).setBigUint64(abi.IFREQ_DATA, BigInt(addressOf(data)), true);
  const fd = check('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'AF_INET');
  try {
    check(what, ioctl(fd, abi.SIOCETHTOOL, ifreq), name);
    return data;
  } finally {
    close(fd);
  }
}
