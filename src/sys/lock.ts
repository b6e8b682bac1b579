/**
 * flock(2): a lock of an open file. It ends with the last descriptor of that open file, so with the process, however
 * it dies; a child that inherits the descriptor keeps it.
 */
import { LOCK_EX, LOCK_NB, LOCK_UN } from '../abi/fcntl.js';
import { SysError } from './errors.js';
import { check, errno, libc } from './libc.js';

const flock = libc.func('int flock(int fd, int operation)');

const EINTR = 4;
const EWOULDBLOCK = 11;

/** Takes the exclusive lock without waiting; false when another open file has it. Throws SysError. */
export function tryLock(fd: number): boolean {
  while (flock(fd, LOCK_EX | LOCK_NB) === -1) {
    const code = errno();
    if (code === EWOULDBLOCK) return false;
    if (code !== EINTR) throw new SysError('flock', code);
  }
  return true;
}

/** Ends the lock now, though others may have inherited the descriptor. Throws SysError. */
export function unlock(fd: number): void {
  check('flock LOCK_UN', flock(fd, LOCK_UN));
}
