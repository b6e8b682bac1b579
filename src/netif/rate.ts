/**
 * What a guest may send, as a token bucket: so many bytes of credit come with each interval, and a frame is read when there
 * is credit for all of it. What is too much stays in the ring, and the guest's own queues fill: nothing is dropped. After
 * a pause a burst of one interval's bytes may follow, or of 128 KiB, as in Linux netback (tx_add_credit): two of the largest
 * frames.
 */

import { RATE_CREDIT, RATE_WANTED } from '../../assembly/netif_layout.js';
import type { Arena } from '../arena/arena.js';

const BURST_LEAST = 131_072;

export interface Rate {
  readonly bytes: number;
  /** µs. */
  readonly interval: number;
}

export class RateLimit {
  readonly #f64: Float64Array;
  readonly #u32: Uint32Array;
  readonly #at: number;
  readonly #rate: Rate;
  readonly #burst: number;
  readonly #clock: () => number;
  /** ms clock: when credit came last. */
  #since: number;

  /** `at`: RATE_SIZE zeroed bytes that the loops take the credit from; `clock`: milliseconds, of any resolution. */
  constructor(arena: Arena, at: number, rate: Rate, clock: () => number) {
    this.#f64 = new Float64Array(arena.memory.buffer);
    this.#u32 = arena.u32;
    this.#at = at;
    this.#rate = rate;
    this.#burst = Math.max(BURST_LEAST, rate.bytes);
    this.#clock = clock;
    this.#since = clock();
    this.#f64[(at + RATE_CREDIT) / 8] = rate.bytes;
  }

  /** A frame waits for credit. */
  get short(): boolean {
    return this.#u32[(this.#at + RATE_WANTED) / 4] !== 0;
  }

  /** ms clock: when there will be enough for it; Infinity when none waits. */
  get deadline(): number {
    const wanted = this.#u32[(this.#at + RATE_WANTED) / 4];
    if (wanted === 0) return Number.POSITIVE_INFINITY;
    const missing = wanted - this.#f64[(this.#at + RATE_CREDIT) / 8];
    return this.#since + (Math.ceil(missing / this.#rate.bytes) * this.#rate.interval) / 1000;
  }

  /** Adds the credit of the intervals that have passed; what waited may be tried again. */
  refill(): void {
    const interval = this.#rate.interval / 1000;
    const passed = Math.floor((this.#clock() - this.#since) / interval);
    if (passed <= 0) return;
    this.#since += passed * interval;
    const credit = this.#f64[(this.#at + RATE_CREDIT) / 8] + passed * this.#rate.bytes;
    this.#f64[(this.#at + RATE_CREDIT) / 8] = Math.min(this.#burst, credit);
    this.#u32[(this.#at + RATE_WANTED) / 4] = 0;
  }
}
