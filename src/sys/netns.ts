/** Network namespaces by descriptor: a thread goes into another one for the length of a call. */
import { openSync, readFileSync, readlinkSync } from 'node:fs';
import { CLONE_NEWNET } from '../abi/sched.js';
import { AF_UNIX, SO_NETNS_COOKIE, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET } from '../abi/socket.js';
import { SetupError } from './errors.js';
import { check, close, libc } from './libc.js';
import { u32 } from './netlink_codec.js';

const setns = libc.func('int setns(int fd, int kind)');
const socket = libc.func('int socket(int family, int type, int protocol)');
const getsockopt = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');

/** The network namespace that process `pid` lives in; the caller closes it. Throws SetupError if that is gone. */
export function openNetns(pid: number | 'self'): number {
  try {
    return openSync(`/proc/${pid}/ns/net`, 'r');
  } catch (cause) {
    throw new SetupError(`process ${pid} is gone, and its namespace with it`, '', { cause });
  }
}

/**
 * Runs `work` with the calling thread in the namespace `there`, and comes back to `here`, the thread's own. A socket
 * that it makes stays in that namespace. `work` must be synchronous. Throws SysError: EPERM without CAP_SYS_ADMIN.
 */
export function inNetns<T>(here: number, there: number, work: () => T): T {
  check('setns', setns(there, CLONE_NEWNET));
  try {
    return work();
  } finally {
    check('setns', setns(here, CLONE_NEWNET));
  }
}

/**
 * Names the calling thread's network namespace among all that there ever are: this start of the kernel, and the
 * namespace's cookie. (Before Linux 5.14 its inode, which the next one may have after it.) Throws SysError.
 */
export function netnsName(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  const fd = check('socket', socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'AF_UNIX');
  try {
    const cookie = new Uint8Array(8);
    const got = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, u32(cookie.length)) === 0;
    const name = got
      ? `${new DataView(cookie.buffer).getBigUint64(0, true)}`
      : readlinkSync('/proc/thread-self/ns/net');
    return `${boot} ${name}`;
  } finally {
    close(fd);
  }
}
