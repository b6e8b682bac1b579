/** Mappings and sealed memory files: mmap(2), memfd_create(2), fcntl(2) F_ADD_SEALS. */
import { F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK } from '../abi/fcntl.js';
import {
  MADV_DONTNEED,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from '../abi/mman.js';
import { addressOf, check, close, errno, libc } from './libc.js';

const mmap = libc.func(
  'intptr_t mmap(intptr_t address, size_t length, int prot, int flags, int fd, int64_t offset)',
);
const munmap = libc.func('int munmap(intptr_t address, size_t length)');
const mremap = libc.func(
  'intptr_t mremap(intptr_t from, size_t length, size_t newLength, int flags, intptr_t to)',
);
const madvise = libc.func('int madvise(intptr_t address, size_t length, int advice)');
const memfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)');
const ftruncate = libc.func('int ftruncate(int fd, int64_t length)');
const fcntl = libc.func('int fcntl(int fd, int command, int argument)');

const ZERO_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

/** Where a shared WebAssembly memory begins in this process. It never grows, so it never moves. */
export function baseOf(memory: WebAssembly.Memory): number {
  return addressOf(new Uint8Array(memory.buffer));
}

/** Puts `length` bytes of file `fd` at `address`, over whatever was there. Throws SysError. */
export function mapFixed(
  address: number,
  length: number,
  fd: number,
  offset: number,
  writable: boolean,
): void {
  const prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  check('mmap', mmap(address, length, prot, MAP_SHARED | MAP_FIXED, fd, offset), '', MAP_HINT);
}

/** The same without an error's object: 0, or a negative errno. For who maps page by page. */
export function tryMapFixed(
  address: number,
  length: number,
  fd: number,
  offset: number,
  writable: boolean,
): number {
  const prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  return (mmap(address, length, prot, MAP_SHARED | MAP_FIXED, fd, offset) as number) === -1 ? -errno() : 0;
}

/** Like mapZero: 0, or a negative errno. */
export function tryMapZero(address: number, length: number): number {
  return (mmap(address, length, PROT_READ | PROT_WRITE, ZERO_FLAGS, -1, 0) as number) === -1 ? -errno() : 0;
}

/**
 * Moves the pages of private anonymous memory from one place to another over what was there. The old place stays
 * mapped and reads as zeroes: at no moment is there a hole that another thread's mmap could fall into.
 * 0, or a negative errno (EINVAL before Linux 5.7).
 */
export function movePages(to: number, from: number, length: number): number {
  const result = mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) as number;
  return result === -1 ? -errno() : 0;
}

/** Gives private pages back: the range reads as zeroes from now on. 0, or a negative errno. */
export function dropPages(address: number, length: number): number {
  return (madvise(address, length, MADV_DONTNEED) as number) === -1 ? -errno() : 0;
}

/** Single pages only, so that moving one never has to split a huge one. A kernel without huge pages refuses: fine. */
export function singlePages(address: number, length: number): void {
  madvise(address, length, MADV_NOHUGEPAGE);
}

/** Replaces a mapping by private zero pages: the address stays valid, the foreign memory is gone. */
export function mapZero(address: number, length: number): void {
  check('mmap', mmap(address, length, PROT_READ | PROT_WRITE, ZERO_FLAGS, -1, 0), '', MAP_HINT);
}

/** Maps part of a file where the kernel likes: the address, or a negative errno. */
export function tryMapAnywhere(length: number, fd: number, offset: number, writable: boolean): number {
  const prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = mmap(0, length, prot, MAP_SHARED, fd, offset) as number;
  return address === -1 ? -errno() : address;
}

/** Its opposite. 0, or a negative errno. */
export function tryUnmap(address: number, length: number): number {
  return (munmap(address, length) as number) === -1 ? -errno() : 0;
}

/** Maps a whole file somewhere outside the arena; returns the address. */
export function mapAnywhere(length: number, fd: number): number {
  return check('mmap', mmap(0, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), '', MAP_HINT);
}

/** Maps a part of a file, shared, where the kernel likes; returns the address. Throws SysError. */
export function mapFileAt(fd: number, offset: number, length: number): number {
  return check('mmap', mmap(0, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset), '', MAP_HINT);
}

export function unmap(address: number, length: number): void {
  check('munmap', munmap(address, length));
}

/**
 * A memory file of `length` bytes whose size can never change again: no holder can truncate it under
 * another's mapping (that would be a SIGBUS). The caller owns the descriptor.
 */
export function sealedMemory(name: string, length: number): number {
  const fd = check('memfd_create', memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), name);
  try {
    check('ftruncate', ftruncate(fd, length), name);
    check('fcntl F_ADD_SEALS', fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), name);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** The F_SEAL_* bits of a memory file. */
export function sealsOf(fd: number): number {
  return check('fcntl F_GET_SEALS', fcntl(fd, F_GET_SEALS, 0));
}

const MAP_HINT = 'when it says ENOMEM, raise vm.max_map_count or give vifs a smaller mapping cache';
