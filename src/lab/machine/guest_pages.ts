/**
 * A guest kernel's page allocator as a network driver sees it: a list of the CPU's own, last in first out, over a
 * large pool, first in first out (Linux: per-cpu page lists over the buddy allocator). Most packets get a page that
 * was used a moment ago; a share of them gets one that was not, because others allocate and free pages meanwhile.
 */

/** Linux: pcp->high and pcp->batch of a small machine's zone. */
const HIGH = 512;
const BATCH = 63;

export class GuestPages {
  readonly #hot: number[] = [];
  /** A ring: `#count` pages from `#first` on. */
  readonly #cold: Uint32Array;
  #first = 0;
  #count: number;
  readonly #fresh: number;
  readonly #random: () => number;

  /** `pages`: their numbers; `fresh`: share (0 … 1) of allocations that come from the pool; `random`: 0 … 1. */
  constructor(pages: readonly number[], fresh: number, random: () => number) {
    this.#cold = Uint32Array.from(pages);
    this.#count = pages.length;
    this.#fresh = fresh;
    this.#random = random;
  }

  /** Throws RangeError when all are in use. */
  take(): number {
    const hot = this.#random() >= this.#fresh ? this.#hot.pop() : undefined;
    if (hot !== undefined) return hot;
    if (this.#count === 0) {
      const page = this.#hot.pop();
      if (page === undefined) throw new RangeError('no page is free');
      return page;
    }
    const page = this.#cold[this.#first];
    this.#first = (this.#first + 1) % this.#cold.length;
    this.#count--;
    return page;
  }

  give(page: number): void {
    this.#hot.push(page);
    if (this.#hot.length <= HIGH) return;
    // The pages unused for longest go back to the pool's end.
    for (const old of this.#hot.splice(0, BATCH)) {
      this.#cold[(this.#first + this.#count) % this.#cold.length] = old;
      this.#count++;
    }
  }
}
