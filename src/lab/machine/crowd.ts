/**
 * Many guests on one back end, in one arena, in pairs: guest 2k sends to guest 2k + 1. Only the back end's rounds are
 * timed. Two things tell what a larger crowd costs by its number from what it costs because its pages no longer fit the
 * CPU's caches: plain copies between the same pages in the same order, and a crowd of two whose guests have as many
 * pages as a large crowd.
 */
import { BURST, PAGE_SIZE } from '../../../assembly/layout.js';
import type { TransferName } from '../../transfer/transfer.js';
import { type Guest, Machine } from './machine.js';
import { type FrameKind, loadDescriptors, PAGES_IN_TURN, pagesOfFrame, RingPair } from './ring_pair.js';

/** A guest of a crowd is small: 16 × 64 KiB to send from are a ring's worth of pages, and all it has fits its cache. */
const SMALL = { txBuffers: 16, cachePages: 1024 } as const;
/** Rounds between looks for quiet ports, as a datapath thread makes them (shard/worker.ts). */
const PARK_EVERY = 4;
/** Address space a guest takes with its vif, generously; only what is touched is memory. */
const BYTES_PER_GUEST = 24 << 20;
/** … and for each page of a pool larger than a ring: in two places in either role, with what a cache knows of it. */
const BYTES_PER_PAGE = 5 * PAGE_SIZE;
/** Pages of a transmit buffer. */
const PAGES_PER_BUFFER = 16;
const BYTES_ALONE = 64 << 20;

export class Crowd {
  readonly vifs: number;
  readonly machine: Machine;
  readonly pairs: readonly RingPair[];
  /** Round of each pair so far, so that its pages are used in turn from sample to sample. */
  #round = 0;

  /** In use by each guest. */
  readonly pages: number;

  /**
   * `vifs`: an even number. Frames of up to `longest` bytes can be sent. `pages`: in use by each guest, a multiple of 64;
   * more than a ring's worth (256) are as much memory as a larger crowd has.
   */
  constructor(transfer: TransferName, vifs: number, longest: number, pages = PAGES_IN_TURN) {
    this.vifs = vifs;
    this.pages = pages;
    const pooled = pages > PAGES_IN_TURN;
    const perGuest = BYTES_PER_GUEST + (pooled ? pages * BYTES_PER_PAGE : 0);
    this.machine = new Machine(BYTES_ALONE + vifs * perGuest);
    const descriptors = loadDescriptors(this.machine);
    const size = pooled
      ? { txBuffers: (2 * pages) / PAGES_PER_BUFFER, cachePages: pages + SMALL.cachePages }
      : SMALL;
    const add = (i: number): Guest => this.machine.addGuest(`g${i}`, { transfer, ...size });
    this.pairs = Array.from({ length: vifs / 2 }, (_, k) => {
      const pair = new RingPair(this.machine, add(2 * k), add(2 * k + 1), descriptors, pages);
      pair.fill({ length: longest });
      return pair;
    });
    // Every page is used and mapped once before anything is measured, and netfront's first ring's worth used up.
    this.sample({ length: longest }, BURST, vifs / 2, PAGES_IN_TURN / BURST + 1);
  }

  /**
   * The back end's ns a frame over `rounds` rounds in which each of the first `busy` pairs sends `burst` frames, after
   * one turn through their pages that is not timed: what others have just done is forgotten in either case then, not
   * only where a turn is short.
   */
  sample(kind: FrameKind, burst: number, busy: number, rounds: number): number {
    const { engine } = this.machine;
    let spent = 0;
    for (let i = -this.#turns(kind, burst); i < rounds; i++) {
      const round = this.#round++;
      for (let k = 0; k < busy; k++) this.pairs[k].send(kind, burst, round);
      const begin = performance.now();
      engine.round(1);
      if (round % PARK_EVERY === 0) engine.park();
      if (i >= 0) spent += performance.now() - begin;
      for (let k = 0; k < busy; k++) this.pairs[k].receive(kind, burst);
    }
    return (spent * 1e6) / (rounds * busy * burst);
  }

  /** ns a frame of the yardstick: plain copies of as many bytes, between the same pages in the same order. */
  copy(kind: FrameKind, burst: number, busy: number, rounds: number): number {
    const { loops } = this.machine;
    const stride = pagesOfFrame(kind.length) * PAGE_SIZE;
    const turns = this.#turns(kind, burst);
    let spent = 0;
    for (let i = -turns; i < rounds; i++) {
      const at = ((i + turns) % turns) * burst * stride;
      const begin = performance.now();
      for (let k = 0; k < busy; k++) {
        const { from, to } = this.pairs[k];
        loops.copyRuns(to + at, stride, from + at, stride, kind.length, burst);
      }
      if (i >= 0) spent += performance.now() - begin;
    }
    return (spent * 1e6) / (rounds * busy * burst);
  }

  /** Rounds in which every page in use has its turn. */
  #turns(kind: FrameKind, burst: number): number {
    return Math.max(1, Math.floor(this.pages / (pagesOfFrame(kind.length) * burst)));
  }

  close(): void {
    this.machine.close();
  }
}
