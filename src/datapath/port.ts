/**
 * A port: where frames enter and leave the datapath. A netif vif, a tap, one end of an in-memory pair.
 *
 * A frame is a descriptor in the arena (assembly/layout.ts). It belongs to the port that pulled it until that
 * port releases it; a port it is pushed to copies what it needs before `push` returns, and settles it, or
 * leaves it pending when its peer has no room now. Nothing here allocates: these run for every burst.
 */
export interface Port {
  readonly id: number;
  /** For people: `web/0`, `nf0`. */
  readonly name: string;
  /** u32[BURST] in the arena: descriptors of this port; the first ones are in flight. */
  readonly list: number;
  /** u64[COUNTERS_MAX] in the arena. */
  readonly counters: number;
  /** Can fragments that are only granted, not mapped, be pushed to it? Else the engine localizes them first. */
  readonly takesGrants: boolean;

  /** Address of netback state that the direct lane (assembly/lane.ts) may work on; 0: frames always have descriptors. */
  readonly direct?: number;
  /** Its own frames have to be looked at, or counted, one by one: none of them takes the direct lane. */
  readonly inspected?: boolean;
  /** Address of the IP addresses that it may be sender of (assembly/senders_layout.ts); 0: any. */
  readonly senders?: number;

  /** Reads what the peer sent behind the `waiting` frames still in flight. Returns the frames in flight. */
  pull(waiting: number): number;
  /** Delivers u32[n] descriptors at `list`. `now`: wrapping ms clock, never 0. */
  push(list: number, n: number, now: number): void;
  /** Makes every byte of its own frames in `list` readable in the arena. */
  localize(list: number, n: number): void;
  /** Gives back the settled ones of the `n` in flight; returns how many still wait, now in front. */
  release(n: number): number;
  /** End of a round: shows the peer what is new and wakes it if it asked for that. */
  flush(): void;
  /**
   * Then, with all ports flushed: tells the peer which of its own frames are done. Whoever dies before leaves them to be
   * delivered again; after this they have been delivered, to receivers that know.
   */
  answer?(): void;
  /** Wakes its peer for what the direct lane showed it, if it asked for that. */
  signal?(): void;
  /** Its peer cannot send before the oldest frame in flight is done with. */
  readonly cramped?: boolean;
  /**
   * Of a port that brings many senders' frames, with `waiting` in flight at time `now`: the receiver whose frames have held up
   * others' for too long, so that they are given up; 0: none.
   */
  crowder?(waiting: number, now: number): number;
  /** Before sleeping, with `waiting` frames in flight: asks to be woken. True when there is work already. */
  arm(waiting: number): boolean;
  /** ms clock (performance.now) at which it has work although nobody wakes it; absent, or Infinity: never. */
  readonly deadline?: number;
  /** Its peer signalled through descriptor number `index` of `descriptors`. */
  wake(index: number): void;
  /** Descriptors whose readiness wakes this port. */
  readonly descriptors: readonly number[];
  /** Why the peer was cut off (FENCE_*), 0 while all is well. */
  readonly fenced: number;
  /** Leaves the datapath; its memory is its creator's to free afterwards. */
  close(): void;
}
