/** A datapath thread's half of the embedded platform: grants of the domains that have a vif here, eventfds. */
import { PAGE_SIZE } from '../../../assembly/layout.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { Epoll } from '../../sys/epoll.js';
import { SysError } from '../../sys/errors.js';
import { signal } from '../../sys/eventfd.js';
import { KernelSignal } from '../../sys/kernel_signal.js';
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

  /**
   * `signalling`: index in arena.u32 of the word that says which descriptor is being signalled right now, + 1. `onBlocked`: a
   * peer made signals wait, and cannot any more; by what we signal it.
   */
  constructor(
    arena: Arena,
    loops: Loops,
    start: EmbeddedStart,
    epoll: Epoll,
    signalling: number,
    onBlocked: (fd: number) => void,
  ) {
    this.#arena = arena;
    this.records = start.records;
    this.grants = new EmbeddedGrantTable(arena, loops, start.records, start.iovecs, (domid) =>
      this.#ramOf.get(domid),
    );
    // A guest trusts its back end: nothing else could wake it.
    this.events = new EventFds(arena, epoll, signalling, onBlocked, start.records !== 0);
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

  close(): void {
    this.events.close();
  }
}

/** A signal takes a few µs; one that takes longer (ms) was kept waiting, or the thread lost its CPU. */
const LONG = 0.1;
/** Of those, so many while the thread is watched cannot be chance; one that took so long (ms) counts as all of them. */
const STRIKES = 3;
const VERY_LONG = 20;
/** ms for which signals are timed once there is reason to. */
const WATCHED = 1000;

/**
 * Each channel is two eventfds, which the thread's epoll watches one by one.
 *
 * A peer shares the open file of the one that we signal: it can clear O_NONBLOCK and fill the counter, and write(2) waits
 * until it, or the owner of this thread, reads. So when rounds take long, signals are timed for a while, and a channel that
 * keeps them waiting is signalled in the kernel's own way from then on, which never waits. That is no punishment: who
 * lost its CPU three times in a signal pays some hundred ns for each.
 *
 * What that takes is made at once: a descriptor that came with a guest and stayed would look like one that it left behind.
 */
export class EventFds implements EventSource {
  readonly #u32: Uint32Array;
  readonly #epoll: Epoll;
  readonly #signalling: number;
  readonly #onBlocked: (fd: number) => void;
  /** Undefined where the kernel has none to give, or peers are trusted: then the owner's watch is all there is. */
  readonly #kernel: KernelSignal | undefined;
  /** Clock until which signals are timed; 0: they are not. */
  #watched = 0;

  /** `wary`: peers are not to be trusted. */
  constructor(
    arena: Arena,
    epoll: Epoll,
    signalling: number,
    onBlocked: (fd: number) => void,
    wary: boolean,
  ) {
    this.#u32 = arena.u32;
    this.#epoll = epoll;
    this.#signalling = signalling;
    this.#onBlocked = onBlocked;
    this.#kernel = wary ? openKernelSignal() : undefined;
  }

  add(channel: Channel, token: number): boolean {
    this.#epoll.add(channel.waitFd, token);
    return false; // the eventfd keeps it
  }

  remove(channel: Channel): void {
    this.#epoll.remove(channel.waitFd);
  }

  suspect(): void {
    if (this.#kernel !== undefined) this.#watched = performance.now() + WATCHED;
  }

  notifier({ notifyFd }: Channel, wary = false): () => void {
    let kernel = wary ? this.#kernel : undefined;
    let strikes = 0;
    return () => {
      if (kernel !== undefined) {
        kernel.signal(notifyFd);
        return;
      }
      // The owner watches this word, and empties the counter when it does not change.
      this.#u32[this.#signalling] = notifyFd + 1;
      if (this.#watched === 0) signal(notifyFd);
      else {
        strikes = this.#timed(notifyFd, strikes);
        if (strikes >= STRIKES) {
          strikes = 0;
          kernel = this.#kernel;
          this.#onBlocked(notifyFd);
        }
      }
      this.#u32[this.#signalling] = 0;
    };
  }

  collect(): number {
    return 0;
  }

  token(): number {
    return 0;
  }

  close(): void {
    this.#kernel?.close();
  }

  /** Signals and looks at the clock. Returns the channel's strikes. */
  #timed(fd: number, strikes: number): number {
    const begin = performance.now();
    signal(fd);
    const now = performance.now();
    const took = now - begin;
    if (took >= VERY_LONG) return STRIKES;
    if (took >= LONG) return strikes + 1;
    if (now < this.#watched) return strikes;
    this.#watched = 0;
    return 0;
  }
}

/** One for the thread, if the kernel lets us. */
function openKernelSignal(): KernelSignal | undefined {
  try {
    return new KernelSignal();
  } catch (error) {
    if (error instanceof SysError) return undefined;
    throw error;
  }
}
