/** Unix sockets that carry descriptors: sendmsg(2)/recvmsg(2) with SCM_RIGHTS, and who the peer is. */
import {
  AF_UNIX,
  CMSG_HEADER_SIZE,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSGHDR_SIZE,
  SCM_RIGHTS,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  SUN_PATH_MAX,
} from '../abi/socket.js';
import { SetupError, SysError } from './errors.js';
import { addressOf, check, close, errno, libc } from './libc.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const connect = libc.func('int connect(int fd, intptr_t address, unsigned int length)');
const socketpair = libc.func('int socketpair(int family, int type, int protocol, intptr_t fds)');
const sendmsg = libc.func('intptr_t sendmsg(int fd, intptr_t message, int flags)');
const recvmsg = libc.func('intptr_t recvmsg(int fd, intptr_t message, int flags)');
const getsockopt = libc.func('int getsockopt(int fd, int level, int name, intptr_t value, intptr_t length)');

const MAX_FDS = 16;

/** One struct msghdr with its iovec and room for MAX_FDS descriptors. */
class Message {
  readonly control = new DataView(new ArrayBuffer(CMSG_HEADER_SIZE + 4 * MAX_FDS));
  readonly iov = new BigUint64Array(2);
  readonly header = new DataView(new ArrayBuffer(MSGHDR_SIZE));

  constructor(data: Uint8Array, controlLength: number) {
    this.iov[0] = BigInt(addressOf(data));
    this.iov[1] = BigInt(data.byteLength);
    this.header.setBigUint64(16, BigInt(addressOf(new Uint8Array(this.iov.buffer))), true); // msg_iov
    this.header.setBigUint64(24, 1n, true); // msg_iovlen
    if (controlLength > 0) {
      this.header.setBigUint64(32, BigInt(addressOf(new Uint8Array(this.control.buffer))), true); // msg_control
      this.header.setBigUint64(40, BigInt(controlLength), true); // msg_controllen
    }
  }

  get pointer(): number {
    return addressOf(new Uint8Array(this.header.buffer));
  }
}

/** Sends all of `data` and `fds` at once, or throws SysError (EAGAIN when the peer does not read). */
export function sendWithFds(fd: number, data: Uint8Array, fds: readonly number[]): void {
  const length = fds.length === 0 ? 0 : CMSG_HEADER_SIZE + 4 * fds.length;
  const message = new Message(data, length);
  if (length > 0) {
    message.control.setBigUint64(0, BigInt(length), true); // cmsg_len; the last item needs no padding
    message.control.setInt32(8, SOL_SOCKET, true);
    message.control.setInt32(12, SCM_RIGHTS, true);
    for (const [i, passed] of fds.entries()) message.control.setInt32(CMSG_HEADER_SIZE + 4 * i, passed, true);
  }
  const sent = check('sendmsg', sendmsg(fd, message.pointer, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent !== data.byteLength) throw new SysError('sendmsg', 11);
}

/** Blocks for the next bytes and the descriptors with them (close-on-exec; the caller owns them). */
export function receiveWithFds(fd: number, into: Uint8Array): { length: number; fds: number[] } {
  const message = new Message(into, CMSG_HEADER_SIZE + 4 * MAX_FDS);
  let length: number;
  do {
    length = recvmsg(fd, message.pointer, MSG_CMSG_CLOEXEC);
  } while (length === -1 && errno() === 4); // EINTR
  check('recvmsg', length);
  const fds: number[] = [];
  if (message.header.getBigUint64(40, true) >= BigInt(CMSG_HEADER_SIZE)) {
    const end = Number(message.control.getBigUint64(0, true));
    for (let at = CMSG_HEADER_SIZE; at + 4 <= end; at += 4) fds.push(message.control.getInt32(at, true));
  }
  return { length, fds };
}

/** A connected blocking stream socket to the Unix socket at `path`; the caller owns it. */
export function connectUnix(path: string): number {
  const name = Buffer.from(path);
  if (name.length >= SUN_PATH_MAX) {
    throw new SetupError(
      `${path}: socket path longer than ${SUN_PATH_MAX - 1} bytes`,
      'choose a shorter --dir',
    );
  }
  const address = new Uint8Array(2 + SUN_PATH_MAX);
  address[0] = AF_UNIX;
  address.set(name, 2);
  const fd = check('socket', socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd, addressOf(address), address.length) === -1) {
    const code = errno();
    close(fd);
    throw new SysError('connect', code, path);
  }
  return fd;
}

/** Two connected stream sockets; the caller owns both. */
export function unixPair(): [number, number] {
  const fds = new Int32Array(2);
  check(
    'socketpair',
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, addressOf(new Uint8Array(fds.buffer))),
  );
  return [fds[0], fds[1]];
}

/** Process, user and group at the other end when it connected (SO_PEERCRED). */
export function peerOf(fd: number): { pid: number; uid: number; gid: number } {
  const credentials = new Int32Array(3);
  const length = new Int32Array([12]);
  const result = getsockopt(
    fd,
    SOL_SOCKET,
    SO_PEERCRED,
    addressOf(new Uint8Array(credentials.buffer)),
    addressOf(new Uint8Array(length.buffer)),
  );
  check('getsockopt SO_PEERCRED', result);
  return { pid: credentials[0], uid: credentials[1], gid: credentials[2] };
}
