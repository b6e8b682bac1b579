/** How long a front end rests before it may begin anew: one that was fenced, and one that begins again and again. */

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

  /**
   * It begins to connect. Each time costs mapped rings, memory, a line or two of log and a moment of the datapath thread:
   * who does nothing else does it a few times a second.
   */
  connects(): void {
    this.#until = Math.max(this.#until, Date.now() + FIRST);
  }

  /** ms; not above 0 when it is over. */
  get left(): number {
    return this.#until - Date.now();
  }
}
