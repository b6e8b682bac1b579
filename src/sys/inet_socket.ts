/**
 * Blocking and non-blocking IPv4 sockets for load generators: calls on addresses from `pinned`, so that a burst
 * allocates nothing. Set-up throws SysError; transfers return a count, or a negative errno.
 */
import { IPPROTO_TCP, TCP_CONGESTION } from '../abi/inet.js';
import { POLLFD_EVENTS, POLLFD_FD, POLLFD_SIZE } from '../abi/poll.js';
import * as abi from '../abi/socket.js';
import { IOV_BASE, IOV_LEN, IOVEC_SIZE } from '../abi/uio.js';
import { parseAddress } from './inet.js';
import { check, errno, libc, pinned } from './libc.js';

const socketCall = libc.func('int socket(int family, int type, int protocol)');
const bindCall = libc.func('int bind(int fd, void *address, uint32_t length)');
const connectCall = libc.func('int connect(int fd, void *address, uint32_t length)');
const listenCall = libc.func('int listen(int fd, int backlog)');
const acceptCall = libc.func('int accept4(int fd, intptr_t address, intptr_t length, int flags)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const sendCall = libc.func('intptr_t send(int fd, intptr_t data, size_t length, int flags)');
const recvCall = libc.func('intptr_t recv(int fd, intptr_t data, size_t length, int flags)');
const sendmmsg = libc.func('int sendmmsg(int fd, intptr_t messages, unsigned int count, int flags)');
const recvmmsg = libc.func(
  'int recvmmsg(int fd, intptr_t messages, unsigned int count, int flags, intptr_t timeout)',
);
const pollCall = libc.func('int poll(intptr_t fds, unsigned long count, int timeout)');

/** struct sockaddr_in. */
function inet(address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(abi.SOCKADDR_IN_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(abi.SIN_FAMILY, abi.AF_INET, true);
  view.setUint16(abi.SIN_PORT, port);
  bytes.set(parseAddress(address).bytes, abi.SIN_ADDR);
  return bytes;
}

function option(fd: number, level: number, name: number, value: Uint8Array, subject: string): void {
  check('setsockopt', setsockopt(fd, level, name, value, value.length), subject);
}

const int = (value: number) => new Uint8Array(new Int32Array([value]).buffer);

/** A datagram socket. */
export function udpSocket(): number {
  return check('socket', socketCall(abi.AF_INET, abi.SOCK_DGRAM | abi.SOCK_CLOEXEC, 0));
}

/** A stream socket with this congestion control from its first segment on. */
export function tcpSocket(congestion: string): number {
  const fd = check('socket', socketCall(abi.AF_INET, abi.SOCK_STREAM | abi.SOCK_CLOEXEC, 0));
  option(fd, IPPROTO_TCP, TCP_CONGESTION, Buffer.from(`${congestion}\0`), `congestion control ${congestion}`);
  return fd;
}

/** On all of the namespace's addresses, at once after an earlier socket there closed. */
export function bindPort(fd: number, port: number): void {
  option(fd, abi.SOL_SOCKET, abi.SO_REUSEADDR, int(1), 'SO_REUSEADDR');
  check('bind', bindCall(fd, inet('0.0.0.0', port), abi.SOCKADDR_IN_SIZE), `port ${port}`);
}

export function connectTo(fd: number, address: string, port: number): void {
  check('connect', connectCall(fd, inet(address, port), abi.SOCKADDR_IN_SIZE), `${address}:${port}`);
}

export function listen(fd: number, backlog: number): void {
  check('listen', listenCall(fd, backlog));
}

/** The next connection, non-blocking. Throws SysError EAGAIN when none comes within the listener's time-out. */
export function accept(fd: number): number {
  return check('accept', acceptCall(fd, 0, 0, abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC));
}

/** Room for what arrives. The kernel doubles it, and grants at most net.core.rmem_max. */
export function receiveBuffer(fd: number, bytes: number): void {
  option(fd, abi.SOL_SOCKET, abi.SO_RCVBUF, int(bytes), 'SO_RCVBUF');
}

/** Calls that wait (also connect and accept) end with EAGAIN after so long. */
export function timeout(fd: number, ms: number): void {
  const time = new BigInt64Array([BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1000)]);
  for (const name of [abi.SO_RCVTIMEO, abi.SO_SNDTIMEO])
    option(fd, abi.SOL_SOCKET, name, new Uint8Array(time.buffer), 'time-out');
}

/** `flags`: MSG_DONTWAIT or 0. A connection that is gone is an errno, not a signal. */
export function send(fd: number, data: number, length: number, flags: number): number {
  const result = sendCall(fd, data, length, flags | abi.MSG_NOSIGNAL) as number;
  return result < 0 ? -errno() : result;
}

export function receive(fd: number, data: number, length: number, flags: number): number {
  const result = recvCall(fd, data, length, flags) as number;
  return result < 0 ? -errno() : result;
}

/** Descriptors to wait for, in the kernel's form. */
export class PollSet {
  readonly #fds: { bytes: Uint8Array; address: number };
  readonly #count: number;

  /** `events`: POLLIN or POLLOUT, for all. */
  constructor(fds: readonly number[], events: number) {
    this.#count = fds.length;
    this.#fds = pinned(fds.length * POLLFD_SIZE);
    const view = new DataView(this.#fds.bytes.buffer);
    for (const [i, fd] of fds.entries()) {
      view.setInt32(i * POLLFD_SIZE + POLLFD_FD, fd, true);
      view.setInt16(i * POLLFD_SIZE + POLLFD_EVENTS, events, true);
    }
  }

  /** How many are ready, after `ms` at most. */
  wait(ms: number): number {
    return pollCall(this.#fds.address, this.#count, ms) as number;
  }
}

/** Messages of one buffer each, `length` bytes, handed to the kernel `count` a call. */
export class Datagrams {
  readonly #messages: { bytes: Uint8Array; address: number };
  readonly #count: number;

  constructor(count: number, length: number) {
    this.#count = count;
    this.#messages = pinned(count * abi.MMSGHDR_SIZE);
    const vectors = pinned(count * IOVEC_SIZE);
    const data = pinned(count * length);
    const headers = new DataView(this.#messages.bytes.buffer);
    const iovs = new DataView(vectors.bytes.buffer);
    for (let i = 0; i < count; i++) {
      iovs.setBigUint64(i * IOVEC_SIZE + IOV_BASE, BigInt(data.address + i * length), true);
      iovs.setBigUint64(i * IOVEC_SIZE + IOV_LEN, BigInt(length), true);
      const vector = BigInt(vectors.address + i * IOVEC_SIZE);
      headers.setBigUint64(i * abi.MMSGHDR_SIZE + abi.MSGHDR_IOV, vector, true);
      headers.setBigUint64(i * abi.MMSGHDR_SIZE + abi.MSGHDR_IOVLEN, 1n, true);
    }
  }

  /** How many went out; 0 when the first was refused. */
  send(fd: number): number {
    return Math.max(0, sendmmsg(fd, this.#messages.address, this.#count, 0) as number);
  }

  /** Waits for one and takes what else is there; 0 after the socket's time-out. */
  receive(fd: number): number {
    const { address } = this.#messages;
    return Math.max(0, recvmmsg(fd, address, this.#count, abi.MSG_WAITFORONE, 0) as number);
  }
}
