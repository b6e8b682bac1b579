/** What a hostile holder of an event channel's open file does to it. */
import { readFileSync } from 'node:fs';
import { F_GETFL, F_SETFL, O_NONBLOCK } from '../../src/abi/fcntl.js';
import { libc } from '../../src/sys/libc.js';

const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
const write = libc.func('intptr_t write(int fd, void *data, size_t length)');
const MOST = new Uint8Array(new BigUint64Array([0xfffffffffffffffen]).buffer);

/** The counter takes no more: of a non-blocking one that is at 0. */
export function fill(fd: number): void {
  write(fd, MOST, 8);
}

export function setBlocking(fd: number): void {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) & ~O_NONBLOCK);
}

export function setNonBlocking(fd: number): void {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
}

/** What the counter is at; it stays so. */
export function countOf(fd: number): bigint {
  const count = /^eventfd-count:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
  return BigInt(`0x${count?.[1]}`);
}
