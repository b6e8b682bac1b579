/**
 * The C library, through koffi. Only this folder calls the kernel.
 * Addresses are plain numbers (user space ends below 2^47, a double holds 2^53), so no call allocates a BigInt.
 * koffi.errno() is read at once after a call failed; nothing else may run in between.
 */
import koffi from 'koffi';
import { SysError } from './errors.js';

export const libc = koffi.load(null);

/** The address of a buffer's first byte. The caller keeps the buffer alive while the kernel may use it. */
export function addressOf(buffer: Uint8Array): number {
  return Number(koffi.address(buffer));
}

const kept: Uint8Array[] = [];

/**
 * A buffer for the life of the process, and its address. (A buffer that only its address refers to is garbage to
 * V8, even one in a module's own constant.)
 */
export function pinned(bytes: number): { bytes: Uint8Array<ArrayBuffer>; address: number } {
  const buffer = new Uint8Array(new ArrayBuffer(bytes));
  kept.push(buffer);
  return { bytes: buffer, address: addressOf(buffer) };
}

export function errno(): number {
  return koffi.errno();
}

/** `result` unless it is -1: then the typed error of that call. */
export function check(call: string, result: number, subject = '', hint = ''): number {
  if (result === -1) throw new SysError(call, koffi.errno(), subject, hint);
  return result;
}

const closeFd = libc.func('int close(int fd)');
/** Closes a descriptor; a second close of the same number would hit a stranger, so owners forget it after. */
export function close(fd: number): void {
  closeFd(fd);
}

export const rawSyscall = libc.func(
  'long syscall(long number, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f)',
);
export const ioctlPointer = libc.func('int ioctl(int fd, unsigned long request, intptr_t argument)');
