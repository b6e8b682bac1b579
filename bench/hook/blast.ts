/**
 * UDP datagrams as fast as one core makes or takes them: sendmmsg(2) and recvmmsg(2), a batch a call.
 *
 *   node blast.js send ADDRESS PORT SECONDS PAYLOAD   prints `sent N CPU`
 *   node blast.js receive PORT WARMUP SECONDS         prints `ready`, then `received N SECONDS CPU`: what came in the
 *                                                     SECONDS after the warm-up, which begins with the first datagram
 *
 * CPU is the process's time on a core for what it counts, in seconds. The sender's holds the whole way of a frame
 * through a veth, up to the receiver's socket: the kernel carries it on in the sender's own time.
 */
import { readFileSync } from 'node:fs';
import {
  AF_INET,
  MSGHDR_IOV,
  MSGHDR_IOVLEN,
  MSGHDR_SIZE,
  SO_RCVBUF,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../../src/abi/socket.js';
import { IOVEC_SIZE } from '../../src/abi/uio.js';
import { parseAddress } from '../../src/sys/inet.js';
import { check, libc, pinned } from '../../src/sys/libc.js';

const BATCH = 64;
/** struct mmsghdr: struct msghdr, u32 length, padding. */
const MMSGHDR_SIZE = MSGHDR_SIZE + 8;
/** sys/socket.h: return with what is there after the first. */
const MSG_WAITFORONE = 0x10000;
const DATAGRAM_MAX = 2048;

const socket = libc.func('int socket(int family, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const connect = libc.func('int connect(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const sendmmsg = libc.func('int sendmmsg(int fd, intptr_t messages, unsigned int count, int flags)');
const recvmmsg = libc.func(
  'int recvmmsg(int fd, intptr_t messages, unsigned int count, int flags, intptr_t timeout)',
);

/** struct sockaddr_in. */
function inet(address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(parseAddress(address).bytes, 4);
  return bytes;
}

/** A batch of messages with one buffer of `length` bytes each; its address. */
function batch(length: number): number {
  const messages = pinned(BATCH * MMSGHDR_SIZE);
  const vectors = pinned(BATCH * IOVEC_SIZE);
  const data = pinned(BATCH * length);
  const headers = new DataView(messages.bytes.buffer);
  const iovs = new DataView(vectors.bytes.buffer);
  for (let i = 0; i < BATCH; i++) {
    iovs.setBigUint64(i * IOVEC_SIZE, BigInt(data.address + i * length), true);
    iovs.setBigUint64(i * IOVEC_SIZE + 8, BigInt(length), true);
    const vector = BigInt(vectors.address + i * IOVEC_SIZE);
    headers.setBigUint64(i * MMSGHDR_SIZE + MSGHDR_IOV, vector, true);
    headers.setBigUint64(i * MMSGHDR_SIZE + MSGHDR_IOVLEN, 1n, true);
  }
  return messages.address;
}

function send(address: string, port: number, seconds: number, payload: number): void {
  const fd = check('socket', socket(AF_INET, SOCK_DGRAM, 0));
  check('connect', connect(fd, inet(address, port), 16), address);
  const messages = batch(payload);
  const end = performance.now() + seconds * 1000;
  const before = cpuSeconds();
  let sent = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 16; i++) sent += Math.max(0, sendmmsg(fd, messages, BATCH, 0));
  }
  console.log(`sent ${sent} ${cpuSeconds() - before}`);
}

function receive(port: number, warmup: number, seconds: number): void {
  const fd = check('socket', socket(AF_INET, SOCK_DGRAM, 0));
  check('bind', bind(fd, inet('0.0.0.0', port), 16));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(new Int32Array([4 << 20]).buffer), 4);
  const messages = batch(DATAGRAM_MAX);
  const pull = () => Math.max(0, recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, 0));
  console.log('ready');
  pull();
  const begin = performance.now() + warmup * 1000;
  while (performance.now() < begin) pull();
  const before = cpuSeconds();
  const start = performance.now();
  const end = start + seconds * 1000;
  let received = 0;
  while (performance.now() < end) received += pull();
  const took = (performance.now() - start) / 1000;
  console.log(`received ${received} ${took} ${cpuSeconds() - before}`);
}

/** This thread's time on a core: Documentation/scheduler/sched-stats.rst. */
function cpuSeconds(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e9;
}

const [, , role, ...args] = process.argv;
if (role === 'send') send(args[0], Number(args[1]), Number(args[2]), Number(args[3]));
else receive(Number(args[0]), Number(args[1]), Number(args[2]));
