/**
 * A hand that plays front ends frame by frame, so that an experiment can time one step and leave the others out:
 * a burst queued from pages of the caller's choosing, a burst taken and its pages posted again.
 */
import {
  BURST,
  F_COOKIE,
  F_FRAGS,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  FRAME_SIZE,
  G_LEN,
} from '../../../assembly/layout.js';
import { COPY_OUT_SIZE } from '../../netif/netfront_port.js';
import type { Guest, Machine } from './machine.js';

export class BurstLoad {
  readonly #machine: Machine;
  /** u32[BURST] and descriptors to send with, and to receive with (and u32[BURST] of scratch behind these). */
  readonly #sending: number;
  readonly #receiving: number;
  /** Private memory of a guest that copies out; 0 = it does not. */
  readonly #private: number;

  constructor(machine: Machine, copyOut = false) {
    this.#machine = machine;
    this.#sending = this.#descriptors();
    this.#receiving = this.#descriptors();
    this.#private = copyOut ? machine.arena.allocate(COPY_OUT_SIZE, 'load generator') : 0;
  }

  /** Queues BURST frames of `length` bytes (a page at most); frame i lies at the start of pages[i], an arena address. */
  send(from: Guest, length: number, pages: Uint32Array): void {
    const { loops, arena } = this.#machine;
    const { u32 } = arena;
    loops.netfrontReap(from.netfront.state);
    for (let i = 0; i < BURST; i++) {
      const frame = u32[this.#sending / 4 + i];
      loops.frameClear(frame, 2);
      u32[(frame + F_LEN) / 4] = length;
      u32[(frame + F_COOKIE) / 4] = pages[i];
      u32[(frame + F_NFRAGS) / 4] = 1;
      u32[(frame + F_FRAGS) / 4] = pages[i];
      arena.view.setUint16(frame + F_FRAGS + G_LEN, length, true);
    }
    const pushed = loops.netfrontPush(from.netfront.state, this.#sending, 0, BURST, 1) & 0xffff;
    if (pushed !== BURST) throw new Error(`the ring took ${pushed} of ${BURST} frames`);
    loops.netfrontPublish(from.netfront.state);
  }

  /** A guest takes all BURST frames, copies them out if it does, and posts the pages again. */
  receive(to: Guest, length: number): void {
    const { loops, arena } = this.#machine;
    const nf = to.netfront.state;
    const list = this.#receiving;
    const n = loops.netfrontPull(nf, list, BURST);
    if (n !== BURST) throw new Error(`${n} of ${BURST} frames arrived`);
    if (arena.u32[(list + BURST * 4 + F_LEN) / 4] !== length) throw new Error('a frame of another length');
    if (this.#private !== 0) loops.netfrontCopyOut(nf, list, n, list + BURST * 4, this.#private);
    for (let i = 0; i < n; i++) arena.u32[(arena.u32[list / 4 + i] + F_SETTLED) / 4] = 1;
    loops.netfrontRelease(nf, list, n, list + BURST * (4 + FRAME_SIZE));
    loops.netfrontPost(nf);
    loops.netfrontPublish(nf);
  }

  #descriptors(): number {
    const { arena } = this.#machine;
    const list = arena.allocate(BURST * (8 + FRAME_SIZE), 'load generator');
    for (let i = 0; i < BURST; i++) arena.u32[list / 4 + i] = list + BURST * 4 + i * FRAME_SIZE;
    return list;
  }
}
