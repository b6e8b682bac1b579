/** eventfd(2): what carries an event channel on the embedded platform. */
import { EFD_CLOEXEC, EFD_NONBLOCK } from '../abi/eventfd.js';
import { IOVEC_SIZE, RWF_NOWAIT } from '../abi/uio.js';
import { check, libc, pinned } from './libc.js';

const eventfd = libc.func('int eventfd(unsigned int initial, int flags)');
const write = libc.func('intptr_t write(int fd, intptr_t data, size_t length)');
const read = libc.func('intptr_t read(int fd, intptr_t data, size_t length)');

const one = pinned(8);
one.bytes[0] = 1;
const sink = pinned(8);
const sinkVector = pinned(IOVEC_SIZE);
new BigUint64Array(sinkVector.bytes.buffer).set([BigInt(sink.address), 8n]);

/** A new non-blocking event counter; the caller owns the descriptor. */
export function createEventFd(): number {
  return check('eventfd', eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/** Wakes the other end. A full counter (EAGAIN) already holds a wake-up, so the result is not looked at. */
export function signal(fd: number): void {
  write(fd, one.address, 8);
}

/** Takes the pending count, so that the next signal is an edge again. Never blocks on our own counters. */
export function clear(fd: number): void {
  read(fd, sink.address, 8);
}

const preadv2 = libc.func('intptr_t preadv2(int fd, intptr_t iov, int count, int64_t offset, int flags)');

const count = new BigUint64Array(sink.bytes.buffer, sink.bytes.byteOffset, 1);
/** eventfd(2): a counter of this size takes no more. */
const FULL = 0xfffffffffffffffen;

/**
 * Empties a counter whose O_NONBLOCK a hostile holder may have cleared: never blocks. True when it was full, which
 * wake-ups alone never bring about.
 */
export function drain(fd: number): boolean {
  return Number(preadv2(fd, sinkVector.address, 1, -1, RWF_NOWAIT)) === 8 && count[0] === FULL;
}
