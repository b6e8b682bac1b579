/** Offloads done in software for a receiver that cannot: a checksum completed, a frame segmented. */
import { C_CSUM_FILLED, C_SEGMENTED, DROP_BAD_CSUM, DROP_BAD_GSO } from '../../assembly/counters.js';
import { F_LEN, F_SETTLED, F_VERDICT, FRAME_SIZE, PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from './counters.js';

/** Segments built and pushed at a time. */
export const SOFTWARE_BATCH = 16;
/** Bytes of arena it works in. */
export const SOFTWARE_SIZE = SOFTWARE_BATCH * (4 + FRAME_SIZE);

/** How a port takes the segments of a frame that it cannot take whole. */
export interface SegmentSink {
  readonly counters: number;
  /** Takes `n` segments; there is room for them. */
  pushSegments(list: number, n: number): void;
  /** Whether segments need their checksum completed, too. */
  readonly wantsChecksums: boolean;
}

export class SoftwareOffload {
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #list: number;

  /** Works in SOFTWARE_SIZE bytes at `address`. */
  constructor(arena: Arena, loops: Loops, address: number) {
    this.#arena = arena;
    this.#loops = loops;
    this.#list = address;
    const frames = address + SOFTWARE_BATCH * 4;
    for (let i = 0; i < SOFTWARE_BATCH; i++) arena.u32[address / 4 + i] = frames + i * FRAME_SIZE;
  }

  /** Completes the frame's checksum in place, or drops it (false: settled, counted at `counters`). All bytes are local. */
  checksum(frame: number, counters: number): boolean {
    const done = this.#loops.frameFillCsum(frame) === 0;
    if (done) countUp(this.#arena.u32, counters, C_CSUM_FILLED);
    else this.#drop(frame, counters, DROP_BAD_CSUM);
    return done;
  }

  /** Slots of `room` bytes that the segments of a frame take together; 0 when it is no sound GSO frame. */
  slots(frame: number, room = PAGE_SIZE): number {
    const count = this.#loops.segmentCount(frame);
    if (count === 0) return 0;
    if (this.#loops.segmentInto(frame, 0, this.#arena.u32[this.#list / 4]) !== 0) return 0;
    const length = this.#arena.u32[(this.#arena.u32[this.#list / 4] + F_LEN) / 4];
    return count * Math.ceil(length / room);
  }

  /** Cuts a frame whose bytes are all local and pushes the pieces; there must be room for all. Settles it. */
  segment(frame: number, sink: SegmentSink): void {
    const { u32 } = this.#arena;
    const count = this.#loops.segmentCount(frame);
    for (let done = 0; done < count; ) {
      const n = Math.min(SOFTWARE_BATCH, count - done);
      for (let i = 0; i < n; i++) {
        const out = u32[this.#list / 4 + i];
        if (this.#loops.segmentInto(frame, done + i, out) !== 0) {
          this.#drop(frame, sink.counters, DROP_BAD_GSO);
          return;
        }
        u32[(out + F_VERDICT) / 4] = u32[(frame + F_VERDICT) / 4];
        u32[(out + F_SETTLED) / 4] = 0;
        if (sink.wantsChecksums) this.checksum(out, sink.counters);
      }
      sink.pushSegments(this.#list, n);
      done += n;
    }
    countUp(this.#arena.u32, sink.counters, C_SEGMENTED);
    u32[(frame + F_SETTLED) / 4] = 1;
  }

  refuse(frame: number, counters: number): void {
    this.#drop(frame, counters, DROP_BAD_GSO);
  }

  #drop(frame: number, counters: number, reason: number): void {
    countUp(this.#arena.u32, counters, reason);
    this.#arena.u32[(frame + F_SETTLED) / 4] = 1;
  }
}
