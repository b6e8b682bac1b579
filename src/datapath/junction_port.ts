/**
 * One end of the way between two datapath threads, to its own thread a port like any other: what is pushed to it is copied
 * into a ring that the other thread reads (assembly/junction.ts), and what that one pushed comes in here. Its frames were
 * checked where they came from.
 */
import { C_EVENTS, C_NOTIFICATIONS } from '../../assembly/counters.js';
import { BURST } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from './counters.js';
import { fillList, portBlock } from './frames.js';
import type { Port } from './port.js';

export interface JunctionOptions {
  readonly id: number;
  readonly name: string;
  /** PORT_BLOCK zeroed bytes. */
  readonly block: number;
  /** JUNCTION_SIZE zeroed bytes each: what this thread writes, and what it reads. Shared with the other end. */
  readonly outbox: number;
  readonly inbox: number;
  /** Readable when the other thread signals. */
  readonly descriptors: readonly number[];
  /** Wakes the other thread. */
  readonly notify: () => void;
}

export class JunctionPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  /** The bytes are copied here, by this thread. */
  readonly takesGrants = false;
  readonly descriptors: readonly number[];
  readonly fenced = 0;
  readonly #u32: Uint32Array;
  readonly #loops: Loops;
  readonly #outbox: number;
  readonly #inbox: number;
  readonly #notify: () => void;

  constructor(arena: Arena, loops: Loops, options: JunctionOptions) {
    this.id = options.id;
    this.name = options.name;
    this.descriptors = options.descriptors;
    this.#u32 = arena.u32;
    this.#loops = loops;
    this.#outbox = options.outbox;
    this.#inbox = options.inbox;
    this.#notify = options.notify;
    const block = portBlock(options.block);
    this.list = block.list;
    this.counters = block.counters;
    fillList(arena, block);
  }

  pull(waiting: number): number {
    const list = this.list + waiting * 4;
    return waiting + this.#loops.junctionPull(this.#inbox, this.id, this.counters, list, BURST - waiting);
  }

  push(list: number, n: number, now: number): void {
    this.#loops.junctionPush(this.#outbox, this.counters, list, n, now);
  }

  localize(): void {} // its frames lie in the ring

  release(n: number): number {
    return this.#loops.junctionRelease(this.#inbox, this.list, n);
  }

  flush(): void {
    if (this.#loops.junctionPublish(this.#outbox) !== 0) this.#wakeOther();
  }

  /** The other thread may wait for room. */
  answer(): void {
    if (this.#loops.junctionRelieved(this.#inbox) !== 0) this.#wakeOther();
  }

  arm(waiting: number): boolean {
    return waiting < BURST && this.#loops.junctionArm(this.#inbox) !== 0;
  }

  wake(): void {
    countUp(this.#u32, this.counters, C_EVENTS);
  }

  close(): void {}

  #wakeOther(): void {
    countUp(this.#u32, this.counters, C_NOTIFICATIONS);
    this.#notify();
  }
}
