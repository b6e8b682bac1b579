/** First fit over runs of free pages, kept sorted and merged. Cold: called when ports come and go. */
export class PageAllocator {
  /** Free runs, ascending, never touching each other. */
  readonly #runs: { start: number; count: number }[];

  /** Hands out pages `first` … `end` - 1. */
  constructor(first: number, end: number) {
    this.#runs = [{ start: first, count: end - first }];
  }

  /** First page of a run of `count` pages; undefined when no run is long enough. */
  take(count: number): number | undefined {
    const at = this.#runs.findIndex((run) => run.count >= count);
    if (at === -1) return undefined;
    const run = this.#runs[at];
    const start = run.start;
    run.start += count;
    run.count -= count;
    if (run.count === 0) this.#runs.splice(at, 1);
    return start;
  }

  /** Takes back what `take` gave. Giving a free page back is a bug of ours: throws. */
  give(start: number, count: number): void {
    let at = this.#runs.findIndex((run) => run.start > start);
    if (at === -1) at = this.#runs.length;
    const before = this.#runs[at - 1];
    const after = this.#runs[at];
    if ((before && before.start + before.count > start) || (after && start + count > after.start)) {
      throw new RangeError(`pages ${start} … ${start + count - 1} are free already`);
    }
    const joinsBefore = before !== undefined && before.start + before.count === start;
    const joinsAfter = after !== undefined && start + count === after.start;
    if (joinsBefore && joinsAfter) {
      before.count += count + after.count;
      this.#runs.splice(at, 1);
    } else if (joinsBefore) {
      before.count += count;
    } else if (joinsAfter) {
      after.start = start;
      after.count += count;
    } else {
      this.#runs.splice(at, 0, { start, count });
    }
  }

  get free(): number {
    return this.#runs.reduce((sum, run) => sum + run.count, 0);
  }
}
