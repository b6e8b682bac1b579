/**
 * What the kernel says of interfaces and their qdiscs and filters as they change: a netlink socket that is a member of
 * RTMGRP_LINK and RTMGRP_TC, in the network namespace of the thread that opened it. Reading never blocks.
 */
import { constants } from 'node:os';
import {
  NETLINK_ROUTE,
  SOCKADDR_NL_FAMILY,
  SOCKADDR_NL_GROUPS,
  SOCKADDR_NL_PID,
  SOCKADDR_NL_SIZE,
} from '../abi/netlink.js';
import {
  IFINFO_INDEX,
  IFINFO_SIZE,
  IFLA_IFNAME,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_MASTER,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTMGRP_LINK,
  RTMGRP_TC,
} from '../abi/rtnetlink.js';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from '../abi/socket.js';
import { SysError } from './errors.js';
import { check, close, errno, libc } from './libc.js';
import {
  decodeAttributes,
  decodeMessages,
  type NetlinkMessage,
  textOf,
  u32,
  viewOf,
} from './netlink_codec.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const recvfrom = libc.func(
  'intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *address, void *addressLength)',
);

const { EAGAIN, EINTR, ENOBUFS } = constants.errno;
const DATAGRAM_MAX = 65536;
/** Bytes of messages that may wait, as the kernel counts them (some 4000 a message): a start of many containers. */
const QUEUE = 4 << 20;

/** Which interfaces came, went or changed. */
export class InterfaceChanges {
  /** Those that stand on another of this namespace (a VLAN's, a macvlan), or belong to a master, tell of that one too. */
  readonly indexes = new Set<number>();
  /** What they are called. */
  readonly names = new Set<string>();
}

export class InterfaceEvents {
  readonly fd: number;
  readonly #buffer = new Uint8Array(DATAGRAM_MAX);

  /** Throws SysError. */
  constructor() {
    const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.fd = check('socket', socket(AF_NETLINK, type, NETLINK_ROUTE), 'AF_NETLINK');
    // Who may not has the machine's default, and is told of an overrun sooner.
    setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, u32(QUEUE), 4);
    const address = new Uint8Array(SOCKADDR_NL_SIZE);
    viewOf(address).setUint16(SOCKADDR_NL_FAMILY, AF_NETLINK, true);
    viewOf(address).setUint32(SOCKADDR_NL_GROUPS, RTMGRP_LINK | RTMGRP_TC, true);
    try {
      check('bind', bind(this.fd, address, address.length), 'AF_NETLINK');
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  /** Adds what changed since the last call; false: too much to tell. Throws SysError. */
  take(changes: InterfaceChanges): boolean {
    const sender = new Uint8Array(SOCKADDR_NL_SIZE);
    let overrun = false;
    for (;;) {
      const size = u32(SOCKADDR_NL_SIZE);
      const flags = MSG_DONTWAIT | MSG_TRUNC;
      const length = recvfrom(this.fd, this.#buffer, DATAGRAM_MAX, flags, sender, size);
      if (length === -1) {
        const code = errno();
        if (code === EAGAIN) return !overrun;
        if (code === ENOBUFS) overrun = true;
        else if (code !== EINTR) throw new SysError('recvfrom', code, 'AF_NETLINK');
        continue;
      }
      if (viewOf(sender).getUint32(SOCKADDR_NL_PID, true) !== 0) continue; // not from the kernel
      if (length > DATAGRAM_MAX) overrun = true;
      for (const message of decodeMessages(this.#buffer.subarray(0, Math.min(length, DATAGRAM_MAX)))) {
        note(message, changes);
      }
    }
  }

  close(): void {
    close(this.fd);
  }
}

function note({ type, payload }: NetlinkMessage, changes: InterfaceChanges): void {
  if (payload.length < IFINFO_SIZE) return;
  // struct ifinfomsg and struct tcmsg have the index at the same place.
  changes.indexes.add(viewOf(payload).getInt32(IFINFO_INDEX, true));
  if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return;
  const attributes = decodeAttributes(payload.subarray(IFINFO_SIZE));
  const name = attributes.get(IFLA_IFNAME);
  if (name) changes.names.add(textOf(name));
  const lower = attributes.has(IFLA_LINK_NETNSID) ? undefined : attributes.get(IFLA_LINK);
  for (const other of [lower, attributes.get(IFLA_MASTER)]) {
    if (other?.length === 4) changes.indexes.add(viewOf(other).getInt32(0, true));
  }
}
