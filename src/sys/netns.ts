/** Network namespaces by descriptor: a thread goes into another one for the length of a call. */
import { openSync } from 'node:fs';
import { CLONE_NEWNET } from '../abi/sched.js';
import { SetupError } from './errors.js';
import { check, libc } from './libc.js';

const setns = libc.func('int setns(int fd, int kind)');

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
