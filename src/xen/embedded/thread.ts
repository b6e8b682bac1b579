/** A datapath thread's half of the embedded platform: grants of the domains that have a vif here, eventfds. */
import { PAGE_SIZE } from '../../../assembly/layout.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { Epoll } from '../../sys/epoll.js';
import { SysError } from '../../sys/errors.js';
import { signal } from '../../sys/eventfd.js';
import { KernelSignal } from '../../sys/kernel_signal.js';
import { sleeps } from '../../sys/sched.js';
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
const LONG = 0.05;
/** A signal that sleeps waits for its peer. So many while the thread is watched; one that took VERY_LONG (ms) is as many. */
const STRIKES = 3;
const VERY_LONG = 20;
/** ms for which signals are looked at once there is reason to. */
const WATCHED = 1000;
/** Of all signals one in so many, on average, is timed: no peer knows which. */
const SAMPLED = 32;

/** Signals until the next that is timed. */
export function bySurprise(): number {
  return 1 + Math.floor(Math.random() * (2 * SAMPLED - 1));
}

/**
 * Each channel is two eventfds, which the thread's epoll watches one by one.
 *
 * A peer shares the open file of the one that we signal: it can clear O_NONBLOCK and fill the counter, and write(2) waits
 * until it, or the owner of this thread, reads. So when rounds take long, or one of the few signals that are timed does, all
 * are looked at for a while: did the thread sleep in it? (Who only lost its CPU did not.) A channel that makes it sleep
 * is signalled in the kernel's own way from then on, which never waits, and costs some hundred ns more.
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
  /** Clock until which signals are looked at; 0: they are not. */
  #watched = 0;
  readonly #gap: () => number;
  /** Signals to go until the next that is timed. */
  #next: number;

  /** `wary`: peers are not to be trusted. `gap`: how many signals further the next one is timed. */
  constructor(
    arena: Arena,
    epoll: Epoll,
    signalling: number,
    onBlocked: (fd: number) => void,
    wary: boolean,
    gap: () => number = bySurprise,
  ) {
    this.#u32 = arena.u32;
    this.#epoll = epoll;
    this.#signalling = signalling;
    this.#onBlocked = onBlocked;
    this.#kernel = wary ? openKernelSignal() : undefined;
    this.#gap = gap;
    this.#next = gap();
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
      if (this.#watched !== 0) strikes = this.#watch(notifyFd, strikes);
      else if (--this.#next > 0) signal(notifyFd);
      else this.#sample(notifyFd);
      if (strikes >= STRIKES) {
        strikes = 0;
        kernel = this.#kernel;
        this.#onBlocked(notifyFd);
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

  /** Signals and looks at the clock. */
  #sample(fd: number): void {
    this.#next = this.#gap();
    const begin = performance.now();
    signal(fd);
    if (performance.now() - begin >= LONG) this.suspect();
  }

  /** Signals and looks whether that was waited for. Returns the channel's strikes. */
  #watch(fd: number, strikes: number): number {
    const begin = performance.now();
    const before = sleeps();
    signal(fd);
    const slept = sleeps() !== before;
    const now = performance.now();
    if (slept) return now - begin >= VERY_LONG ? STRIKES : strikes + 1;
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
