/** When to try again what failed on an interface: a second later, then after twice as long each time. */

/** ms. */
const FIRST = 1000;
const LONGEST = 16_000;

export class Backoff {
  /** The interface on which it failed; 0: none. */
  #ifindex = 0;
  #wait = 0;
  #next = 0;

  /** Another interface, though of the same name, is tried at once. `now`: ms of any clock. */
  isDue(ifindex: number, now: number = performance.now()): boolean {
    return ifindex !== this.#ifindex || now >= this.#next;
  }

  failed(ifindex: number, now: number = performance.now()): void {
    this.#wait = ifindex === this.#ifindex ? Math.min(2 * this.#wait, LONGEST) : FIRST;
    this.#ifindex = ifindex;
    this.#next = now + this.#wait;
  }

  succeeded(): void {
    this.#ifindex = 0;
  }
}
