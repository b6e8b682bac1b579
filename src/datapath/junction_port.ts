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

/** ms that frames for one receiver may hold up others'. */
const HELD_MOST = 10;
/** So often within so many ms they may; after that for not longer than HELD_STRICT, for STRICT ms. */
const OFTEN = 10;
const WITHIN = 1000;
const HELD_STRICT = 3;
const STRICT = 250;

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
  /** Since when, and when last, frames for one receiver held up others'. */
  #heldSince = 0;
  #heldAt = 0;
  /** How often they did for too long, since when. */
  #times = 0;
  #timesSince = 0;
  /** Until when they may hardly do so. */
  #strictUntil = 0;

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

  /** What the other thread has more for others waits behind the oldest frame that waits here. */
  get cramped(): boolean {
    return this.#loops.junctionCramped(this.#inbox) !== 0;
  }

  /**
   * All guests of this thread that get frames from the other share the ring, and a slow one among them, whose frames it is full
   * of, makes all of them wait. A guest that is busy elsewhere does so now and then; where it goes on like this its frames
   * wait no longer. (One that gets all there is may be slow.)
   */
  crowder(waiting: number, now: number): number {
    const port = this.#loops.junctionCrowder(this.#inbox, this.list, waiting);
    if (port === 0 || ((now - this.#heldAt) | 0) > HELD_MOST) this.#heldSince = now;
    this.#heldAt = now;
    if (port === 0) return 0;
    const held = (now - this.#heldSince) | 0;
    const strict = this.#strictUntil !== 0 && ((this.#strictUntil - now) | 0) > 0;
    if (held < (strict ? HELD_STRICT : HELD_MOST)) return 0;
    if (held >= HELD_MOST) this.#again(now);
    return port;
  }

  /** Others were held up for too long. */
  #again(now: number): void {
    this.#heldSince = now;
    if (((now - this.#timesSince) | 0) > WITHIN) {
      this.#timesSince = now;
      this.#times = 0;
    }
    if (++this.#times < OFTEN) return;
    this.#strictUntil = (now + STRICT) | 0;
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
