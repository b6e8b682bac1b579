/** epoll(7): the one wait of a datapath thread. */
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN } from '../abi/epoll.js';
import { addressOf, check, close, libc } from './libc.js';

const epollCreate = libc.func('int epoll_create1(int flags)');
const epollCtl = libc.func('int epoll_ctl(int ep, int operation, int fd, intptr_t event)');
const epollWait = libc.func('int epoll_wait(int ep, intptr_t events, int max, int timeout)');

const MAX_EVENTS = 64;
const EVENT_SIZE = 12; // struct epoll_event is packed on x86-64: u32 events, u64 data

export class Epoll {
  readonly #fd: number;
  readonly #events = new Uint8Array(EVENT_SIZE * MAX_EVENTS);
  readonly #view = new DataView(this.#events.buffer);
  readonly #pointer = addressOf(this.#events);
  readonly #control = new Uint8Array(EVENT_SIZE);

  constructor() {
    this.#fd = check('epoll_create1', epollCreate(EPOLL_CLOEXEC));
  }

  /** Reports `token` (an unsigned 32-bit number) from the next wait on, each time `fd` gets something new. */
  add(fd: number, token: number): void {
    this.#add(fd, token, (EPOLLIN | EPOLLET) >>> 0);
  }

  /** Reports `token` in every wait while `fd` is readable. */
  addLevel(fd: number, token: number): void {
    this.#add(fd, token, EPOLLIN);
  }

  #add(fd: number, token: number, events: number): void {
    const view = new DataView(this.#control.buffer);
    view.setUint32(0, events, true);
    view.setUint32(4, token, true);
    view.setUint32(8, 0, true);
    check('epoll_ctl', epollCtl(this.#fd, EPOLL_CTL_ADD, fd, addressOf(this.#control)), `fd ${fd}`);
  }

  remove(fd: number): void {
    epollCtl(this.#fd, EPOLL_CTL_DEL, fd, addressOf(this.#control));
  }

  /** Waits up to `timeout` ms (-1: for ever); returns how many tokens are ready. */
  wait(timeout: number): number {
    const n = epollWait(this.#fd, this.#pointer, MAX_EVENTS, timeout);
    return Math.max(n, 0); // EINTR: the caller's loop comes round again
  }

  /** The i-th ready token of the last wait. */
  token(i: number): number {
    return this.#view.getUint32(i * EVENT_SIZE + 4, true);
  }

  close(): void {
    close(this.#fd);
  }
}
