/** eventfd(2): what carries an event channel on the embedded platform. */
import { EFD_CLOEXEC, EFD_NONBLOCK } from '../abi/eventfd.js';
import { RWF_NOWAIT } from '../abi/uio.js';
import { addressOf, check, libc } from './libc.js';

const eventfd = libc.func('int eventfd(unsigned int initial, int flags)');
const write = libc.func('intptr_t write(int fd, intptr_t data, size_t length)');
const read = libc.func('intptr_t read(int fd, intptr_t data, size_t length)');

const one = new Uint8Array(8);
one[0] = 1;
const onePointer = addressOf(one);
const sink = new Uint8Array(8);
const sinkPointer = addressOf(sink);

/** A new non-blocking event counter; the caller owns the descriptor. */
export function createEventFd(): number {
  return check('eventfd', eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/** Wakes the other end. A full counter (EAGAIN) already holds a wake-up, so the result is not looked at. */
export function signal(fd: number): void {
  write(fd, onePointer, 8);
}

/** Takes the pending count, so that the next signal is an edge again. Never blocks on our own counters. */
export function clear(fd: number): void {
  read(fd, sinkPointer, 8);
}

const preadv2 = libc.func('intptr_t preadv2(int fd, intptr_t iov, int count, int64_t offset, int flags)');
const sinkVector = new BigUint64Array([BigInt(sinkPointer), 8n]);
const sinkVectorPointer = addressOf(new Uint8Array(sinkVector.buffer));

/** Empties a counter whose O_NONBLOCK a hostile holder may have cleared: never blocks. */
export function drain(fd: number): void {
  preadv2(fd, sinkVectorPointer, 1, -1, RWF_NOWAIT);
}
