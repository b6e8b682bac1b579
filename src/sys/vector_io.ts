/** readv(2), writev(2) and process_vm_readv(2) on iovecs that lie in the arena. */
import { errno, libc } from './libc.js';

const readvCall = libc.func('intptr_t readv(int fd, intptr_t iov, int count)');
const writevCall = libc.func('intptr_t writev(int fd, intptr_t iov, int count)');
const processVmReadv = libc.func(
  'intptr_t process_vm_readv(int pid, intptr_t local, unsigned long locals, intptr_t remote, unsigned long remotes, unsigned long flags)',
);

/** Bytes read, or a negative errno. */
export function readv(fd: number, iov: number, count: number): number {
  const result = readvCall(fd, iov, count) as number;
  return result < 0 ? -errno() : result;
}

/** Bytes written, or a negative errno. */
export function writev(fd: number, iov: number, count: number): number {
  const result = writevCall(fd, iov, count) as number;
  return result < 0 ? -errno() : result;
}

/** Copies `count` remote iovecs to `count` local ones, both of this process, in one call: bytes, or a negative errno. */
export function copyVectors(local: number, remote: number, count: number): number {
  const result = processVmReadv(process.pid, local, count, remote, count, 0) as number;
  return result < 0 ? -errno() : result;
}
