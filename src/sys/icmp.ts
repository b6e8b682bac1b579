/**
 * ICMP echo through a raw socket: a ping that needs no ping. The caller must be root of its network namespace
 * (CAP_NET_RAW), as a guest's processes are of theirs. Each call blocks its thread until the answer or the
 * deadline.
 */
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../abi/inet.js';
import { AF_INET6, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from '../abi/socket.js';
import { SysError } from './errors.js';
import { parseAddress } from './inet.js';
import { addressOf, check, close, errno, libc } from './libc.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const connect = libc.func('int connect(int fd, intptr_t address, unsigned int length)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, intptr_t value, unsigned int length)',
);
const send = libc.func('intptr_t send(int fd, intptr_t data, size_t length, int flags)');
const recv = libc.func('intptr_t recv(int fd, intptr_t data, size_t length, int flags)');

/** asm-generic/socket.h; struct timeval of two 64-bit numbers. */
const SO_RCVTIMEO = 20;
const EINTR = 4;
const EAGAIN = 11;
/** linux/in.h, linux/in6.h: family, port, address; in IPv6 a flow label before it and a scope behind. */
const SOCKADDR_IN = { size: 16, address: 4 };
const SOCKADDR_IN6 = { size: 28, address: 8 };
/** linux/icmp.h, linux/icmpv6.h: type, code, checksum, identifier, sequence. */
const ECHO = { header: 8, checksum: 2, id: 4, sequence: 6 };
const IPV4_TYPES = { request: 8, reply: 0 };
const IPV6_TYPES = { request: 128, reply: 129 };
/** The largest IP packet. */
const PACKET_MAX = 65536;

/** Echo requests to one address. Whoever makes one closes it. */
export class Pinger {
  readonly #fd: number;
  readonly #six: boolean;
  readonly #id = 1 + Math.floor(Math.random() * 0xfffe);
  readonly #buffer = outside(PACKET_MAX);

  /** `target`: an IPv4 or IPv6 address. Throws SetupError (malformed) or SysError. */
  constructor(target: string) {
    const { family, bytes } = parseAddress(target);
    this.#six = family === AF_INET6;
    const layout = this.#six ? SOCKADDR_IN6 : SOCKADDR_IN;
    const address = outside(layout.size);
    address[0] = family;
    address.set(bytes, layout.address);
    const protocol = this.#six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    const hint = 'ping from inside a guest, or as root';
    this.#fd = check('socket', socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol), 'SOCK_RAW', hint);
    try {
      // A connected raw socket hears its peer alone.
      check('connect', connect(this.#fd, addressOf(address), address.length), target);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /**
   * One request with `size` bytes of payload. Milliseconds until its answer, which must bring the same bytes
   * back; undefined when `timeout` milliseconds went by without. Throws SysError when it cannot be sent.
   */
  ping(sequence: number, size: number, timeout: number): number | undefined {
    const request = this.#request(sequence, size);
    const start = performance.now();
    if (send(this.#fd, addressOf(request), request.length, 0) === -1) throw new SysError('send', errno());
    for (;;) {
      const left = timeout - (performance.now() - start);
      if (left <= 0) return undefined;
      this.#limit(left);
      const length = recv(this.#fd, addressOf(this.#buffer), PACKET_MAX, 0) as number;
      const now = performance.now();
      if (length === -1) {
        const code = errno();
        if (code === EAGAIN || code === EINTR) continue;
        throw new SysError('recv', code);
      }
      if (this.#answers(request, this.#buffer.subarray(0, length))) return now - start;
    }
  }

  close(): void {
    close(this.#fd);
  }

  #request(sequence: number, size: number): Buffer {
    const packet = outside(ECHO.header + size);
    packet[0] = (this.#six ? IPV6_TYPES : IPV4_TYPES).request;
    packet.writeUInt16BE(this.#id, ECHO.id);
    packet.writeUInt16BE(sequence & 0xffff, ECHO.sequence);
    for (let i = 0; i < size; i++) packet[ECHO.header + i] = (i * 7 + sequence) & 0xff;
    // IPv6's covers a pseudo-header, which the kernel knows and fills in (RFC 3542, 3.1).
    if (!this.#six) packet.writeUInt16BE(checksum(packet), ECHO.checksum);
    return packet;
  }

  /** IPv4 raw sockets hand over the IP header too, IPv6 ones do not (RFC 3542, 3). */
  #answers(request: Buffer, packet: Buffer): boolean {
    const reply = this.#six ? packet : packet.subarray((packet[0] & 0xf) * 4);
    return (
      reply.length === request.length &&
      reply[0] === (this.#six ? IPV6_TYPES : IPV4_TYPES).reply &&
      reply.subarray(ECHO.id).equals(request.subarray(ECHO.id))
    );
  }

  #limit(milliseconds: number): void {
    const microseconds = Math.max(1000, Math.ceil(milliseconds * 1000));
    const time = new BigInt64Array([BigInt(Math.floor(microseconds / 1e6)), BigInt(microseconds % 1e6)]);
    const value = addressOf(new Uint8Array(time.buffer));
    check('setsockopt SO_RCVTIMEO', setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, value, time.byteLength));
  }
}

/** Zeroed bytes that stay where they are: V8 moves small typed arrays that do not stand on a buffer of their own. */
function outside(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

/** RFC 1071, over big-endian words. */
function checksum(packet: Buffer): number {
  let sum = 0;
  for (let i = 0; i < packet.length; i += 2) sum += (packet[i] << 8) | (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
