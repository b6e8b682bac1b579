/** A datapath thread's half of the embedded platform: grants of the domains that have a vif here, eventfds. */
import { PAGE_SIZE } from '../../../assembly/layout.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { Epoll } from '../../sys/epoll.js';
import { signal } from '../../sys/eventfd.js';
import type { Channel, EventSource } from '../event_channels.js';
import type { GrantTable } from '../grant_table.js';
import type { EmbeddedStart, ThreadPlatform } from '../platform.js';
import { EmbeddedGrantTable } from './grants.js';

const EINVAL = -22;

export class EmbeddedThread implements ThreadPlatform {
  readonly grants: GrantTable;
  readonly events: EventSource;
  readonly records: number;
  readonly pins = false;
  readonly #arena: Arena;
  /** RAM files, which their owner closes after `forget`. */
  readonly #ramOf = new Map<number, number>();

  /** `signalling`: index in arena.u32 of the word that says which descriptor is being signalled right now, + 1. */
  constructor(arena: Arena, loops: Loops, start: EmbeddedStart, epoll: Epoll, signalling: number) {
    this.#arena = arena;
    this.records = start.records;
    this.grants = new EmbeddedGrantTable(arena, loops, start.records, start.iovecs, (domid) =>
      this.#ramOf.get(domid),
    );
    this.events = new EventFds(arena, epoll, signalling);
  }

  admit(domid: number, ramFd: number): void {
    this.#ramOf.set(domid, ramFd);
  }

  forget(domid: number): void {
    this.#ramOf.delete(domid);
  }

  mapPage(domid: number, address: number, page: number, writable: boolean): number {
    const ramFd = this.#ramOf.get(domid);
    if (ramFd === undefined) return EINVAL;
    return this.#arena.tryMap(address, PAGE_SIZE, ramFd, page * PAGE_SIZE, writable);
  }

  unmapPage(address: number): number {
    return this.#arena.tryUnmap(address, PAGE_SIZE);
  }

  unmapWindow(address: number, bytes: number): void {
    this.#arena.unmap(address, bytes);
  }

  close(): void {}
}

/** Each channel is two eventfds, which the thread's epoll watches one by one. */
class EventFds implements EventSource {
  readonly #u32: Uint32Array;
  readonly #epoll: Epoll;
  readonly #signalling: number;

  constructor(arena: Arena, epoll: Epoll, signalling: number) {
    this.#u32 = arena.u32;
    this.#epoll = epoll;
    this.#signalling = signalling;
  }

  add(channel: Channel, token: number): boolean {
    this.#epoll.add(channel.waitFd, token);
    return false; // the eventfd keeps it
  }

  remove(channel: Channel): void {
    this.#epoll.remove(channel.waitFd);
  }

  notifier({ notifyFd }: Channel): () => void {
    return () => {
      // A peer can make this write block (it shares the open file); the owner watches and drains it then.
      this.#u32[this.#signalling] = notifyFd + 1;
      signal(notifyFd);
      this.#u32[this.#signalling] = 0;
    };
  }

  collect(): number {
    return 0;
  }

  token(): number {
    return 0;
  }

  close(): void {}
}
