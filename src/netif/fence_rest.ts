/** How long a front end that was fenced rests before it may begin anew. */

/** ms, the first time and at most. */
const FIRST = 250;
const MOST = 60_000;

export class FenceRest {
  #fences = 0;
  #until = 0;

  /** Who is cut off again and again waits longer each time: what it costs the others is bounded. */
  begin(): void {
    this.#until = Date.now() + Math.min(MOST, FIRST * 2 ** this.#fences++);
  }

  /** ms; not above 0 when it is over. */
  get left(): number {
    return this.#until - Date.now();
  }
}
