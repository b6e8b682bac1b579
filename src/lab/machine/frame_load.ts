/**
 * Frames of any kind, large ones included: the back end alone, on one core and in one process. They go guest → guest through real rings, grants and
 * copies. A load generator plays both front ends between the measured rounds; only the back end's rounds are timed.
 * The yardstick is a plain copy of the same bytes between the same pages.
 */
import { C_CACHE_MISSES } from '../../../assembly/counters.js';
import { BURST, PAGE_SIZE } from '../../../assembly/layout.js';
import type { TransferName } from '../../transfer/transfer.js';
import { Machine } from './machine.js';
import type { RingSample } from './ring_load.js';
import { type FrameKind, PAGES_IN_TURN, pagesOfFrame, RingPair } from './ring_pair.js';

/** Frames of one sample, and bytes: whichever comes first. */
const FRAMES = 96_000;
const BYTES = 128 << 20;

export class FrameLoad {
  readonly kind: FrameKind;
  readonly #machine: Machine;
  readonly #pair: RingPair;
  /** Frames a round: a burst, or as many as a ring holds. */
  readonly #burst: number;
  readonly #rounds: number;
  /** A turn through the pages has found them all mapped. */
  #warm = false;

  /** `frames`: their length, or more about them. `share`: of a usual sample's rounds. */
  constructor(transfer: TransferName, frames: number | FrameKind, machine = new Machine(), share = 1) {
    this.#machine = machine;
    this.kind = typeof frames === 'number' ? { length: frames } : frames;
    const a = machine.addGuest('a', { transfer });
    const b = machine.addGuest('b', { transfer });
    this.#pair = new RingPair(machine, a, b);
    this.#pair.fill(this.kind);
    const slots = pagesOfFrame(this.kind.length) + (this.kind.segment ? 1 : 0);
    this.#burst = Math.min(BURST, Math.floor(PAGES_IN_TURN / slots));
    const wanted = Math.min(FRAMES, BYTES / this.kind.length) * share;
    this.#rounds = Math.max(4, Math.round(wanted / this.#burst));
  }

  /** One sample of each, taking turns by the round so that both meet the same machine. */
  sample(): RingSample {
    let backend = 0;
    let copy = 0;
    const { loops, engine } = this.#machine;
    const { from, to } = this.#pair;
    const stride = pagesOfFrame(this.kind.length) * PAGE_SIZE;
    const turns = Math.max(1, Math.floor((PAGES_IN_TURN * PAGE_SIZE) / (stride * this.#burst)));
    // A cache maps some pages a round: once all have been used, a burst is carried by one.
    while (!this.#warm) {
      const before = this.#misses;
      for (let round = 0; round < turns; round++) {
        this.#pair.send(this.kind, this.#burst, round * this.#burst);
        while (engine.round(1));
        this.#pair.receive(this.kind, this.#burst);
      }
      this.#warm = this.#misses === before;
    }
    for (let round = 0; round < this.#rounds; round++) {
      this.#pair.send(this.kind, this.#burst, round * this.#burst);
      const t0 = performance.now();
      engine.round(1);
      const t1 = performance.now();
      this.#pair.receive(this.kind, this.#burst);
      const t2 = performance.now();
      // Other pages than the round just warmed: either finds its own as the other left them two rounds ago.
      const turn = ((round + (turns >>> 1)) % turns) * this.#burst * stride;
      loops.copyRuns(to + turn, stride, from + turn, stride, this.kind.length, this.#burst);
      const t3 = performance.now();
      backend += t1 - t0;
      copy += t3 - t2;
    }
    const scale = 1e6 / (this.#rounds * this.#burst);
    return { backend: backend * scale, copy: copy * scale };
  }

  /** Pages that were mapped, of either guest. */
  get #misses(): number {
    const { a, b } = this.#pair;
    const of = (counters: number) => this.#machine.arena.u32[(counters + C_CACHE_MISSES * 8) / 4];
    return of(a.netback.counters) + of(b.netback.counters);
  }

  close(): void {
    this.#machine.close();
  }
}
