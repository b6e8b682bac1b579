/**
 * One request to rtnetlink(7) and its answers, over a socket that lives no longer than that.
 * The buffers go to koffi as themselves, so they stay alive and in place during the call.
 */
import { constants } from 'node:os';
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_ROUTE,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  SOCKADDR_NL_FAMILY,
  SOCKADDR_NL_PID,
  SOCKADDR_NL_SIZE,
  SOL_NETLINK,
} from '../abi/netlink.js';
import { AF_NETLINK, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW } from '../abi/socket.js';
import { SysError } from './errors.js';
import { check, close, errno, libc } from './libc.js';
import {
  type Attribute,
  decodeError,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  u32,
  viewOf,
} from './netlink_codec.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const sendto = libc.func(
  'intptr_t sendto(int fd, void *data, size_t length, int flags, void *address, uint32_t addressLength)',
);
const recvfrom = libc.func(
  'intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *address, void *addressLength)',
);

const { EINTR, EMSGSIZE } = constants.errno;
/** The kernel sizes a dump's datagrams by the reader, 32 KiB at most. */
const DATAGRAM_MAX = 65536;
/** How often a dump that a concurrent change tore is asked for again. */
const DUMP_ATTEMPTS = 8;

/**
 * Sends one request on a socket of its own and returns the answers before the acknowledgement.
 * `call` and `subject` say in errors what was meant. Throws SysError.
 */
export function request(
  call: string,
  subject: string,
  type: number,
  flags: number,
  header: Uint8Array,
  attributes: Attribute[],
  protocol: number = NETLINK_ROUTE,
): NetlinkMessage[] {
  const fd = check('socket', socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'AF_NETLINK');
  try {
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK]) {
      // A kernel without them (before 4.12) answers without words, and that is all.
      setsockopt(fd, SOL_NETLINK, option, u32(1), 4);
    }
    const seq = 1;
    const message = encodeMessage(type, flags | NLM_F_REQUEST, seq, header, attributes);
    const kernel = new Uint8Array(SOCKADDR_NL_SIZE);
    viewOf(kernel).setUint16(SOCKADDR_NL_FAMILY, AF_NETLINK, true);
    check(call, sendto(fd, message, message.length, 0, kernel, kernel.length), subject);
    return collect(fd, call, subject, seq);
  } finally {
    close(fd);
  }
}

/** Reads until the acknowledgement, the end of the dump, or an error (thrown). */
function collect(fd: number, call: string, subject: string, seq: number): NetlinkMessage[] {
  const answers: NetlinkMessage[] = [];
  const buffer = new Uint8Array(DATAGRAM_MAX);
  const sender = new Uint8Array(SOCKADDR_NL_SIZE);
  for (;;) {
    const senderLength = u32(SOCKADDR_NL_SIZE);
    const length = recvfrom(fd, buffer, buffer.length, MSG_TRUNC, sender, senderLength);
    if (length === -1) {
      const failure = errno();
      if (failure === EINTR) continue;
      throw new SysError(call, failure, subject);
    }
    if (length > buffer.length) throw new SysError(call, EMSGSIZE, subject);
    if (viewOf(sender).getUint32(SOCKADDR_NL_PID, true) !== 0) continue; // not from the kernel
    // The answers outlive the buffer, so they are views into a copy.
    for (const message of decodeMessages(buffer.slice(0, length))) {
      if (message.seq !== seq) continue;
      if (message.type === NLMSG_ERROR) {
        const { errno: failure, words } = decodeError(message);
        if (failure !== 0) {
          throw new SysError(call, failure, subject, words ? `the kernel says: ${words}` : '');
        }
        return answers;
      }
      if (message.type === NLMSG_DONE) return answers;
      answers.push(message);
    }
  }
}

/** Asks for everything of a kind; asks again while a concurrent change tears the answer. */
export function dump(
  call: string,
  type: number,
  header: Uint8Array,
  attributes: Attribute[],
  protocol: number = NETLINK_ROUTE,
): NetlinkMessage[] {
  for (let attempt = 1; ; attempt++) {
    const answers = request(call, '', type, NLM_F_DUMP, header, attributes, protocol);
    const torn = answers.some(({ flags }) => flags & NLM_F_DUMP_INTR);
    if (!torn || attempt === DUMP_ATTEMPTS) return answers;
  }
}
