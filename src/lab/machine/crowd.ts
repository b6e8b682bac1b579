/**
 * Many guests on one back end, in one arena, in pairs: guest 2k sends to guest 2k + 1. Only the back end's rounds are
 * timed, less what the clock itself takes. Two things tell what a larger crowd costs by its number from what it costs
 * because its pages no longer fit the CPU's caches: plain copies between the same pages in the same order, and a crowd
 * of two whose guests have as many pages as a large crowd.
 */
import { BURST, PAGE_SIZE } from '../../../assembly/layout.js';
import type { TransferName } from '../../transfer/transfer.js';
import { randomSource } from '../rounds.js';
import { median } from '../stats.js';
import { type Guest, Machine } from './machine.js';
import { type FrameKind, loadDescriptors, PAGES_IN_TURN, pagesOfFrame, RingPair } from './ring_pair.js';

/** A guest of a crowd is small: 16 × 64 KiB to send from are a ring's worth of pages, and all it has fits its cache. */
const SMALL = { txBuffers: 16, cachePages: 1024 } as const;
/** The share of senders that have something in a round of mixed traffic. */
const ACTIVE = 1 / 4;
/** Their bursts: 1, 2, 4 … 64 frames, each as likely. */
const BURST_SIZES = 7;
/** Rounds between looks for quiet ports, as a datapath thread makes them (shard/worker.ts). */
const PARK_EVERY = 4;
/** Address space a guest takes with its vif, generously; only what is touched is memory. */
const BYTES_PER_GUEST = 24 << 20;
/** … and for each page of a pool larger than a ring: in two places in either role, with what a cache knows of it. */
const BYTES_PER_PAGE = 5 * PAGE_SIZE;
/** Pages of a transmit buffer. */
const PAGES_PER_BUFFER = 16;
const BYTES_ALONE = 64 << 20;

export interface CrowdOptions {
  /**
   * In use by each guest, a multiple of 64, by default a ring's worth (256). More are as much memory as a larger crowd
   * has.
   */
  readonly pages?: number;
  /** Pages are used as they lie, not in an order that no prefetcher guesses. */
  readonly inOrder?: boolean;
}

export class Crowd {
  readonly vifs: number;
  readonly machine: Machine;
  readonly pairs: readonly RingPair[];
  /** In use by each guest. */
  readonly pages: number;
  /** Round of each pair so far, so that its pages are used in turn from sample to sample. */
  #round = 0;
  /** Of each pair, in mixed traffic: frames so far, and of the present round. */
  readonly #sent: Uint32Array;
  readonly #now: Uint8Array;
  readonly #random: (below: number) => number;
  /** By pair: u32 pairs of addresses, to and from, of its pages as they have their turns. */
  readonly #paths: readonly number[];

  /** `vifs`: an even number. Frames of up to `longest` bytes, a page at most, can be sent. */
  constructor(transfer: TransferName, vifs: number, longest: number, options: CrowdOptions = {}) {
    const { pages = PAGES_IN_TURN, inOrder = false } = options;
    this.vifs = vifs;
    this.pages = pages;
    const pooled = pages > PAGES_IN_TURN || !inOrder;
    const perGuest = BYTES_PER_GUEST + (pooled ? pages * BYTES_PER_PAGE : 0);
    this.machine = new Machine(BYTES_ALONE + vifs * perGuest);
    const descriptors = loadDescriptors(this.machine);
    const size = pooled
      ? {
          txBuffers: Math.max(SMALL.txBuffers, (2 * pages) / PAGES_PER_BUFFER),
          cachePages: pages + SMALL.cachePages,
        }
      : SMALL;
    const add = (i: number): Guest => this.machine.addGuest(`g${i}`, { transfer, ...size });
    this.pairs = Array.from({ length: vifs / 2 }, (_, k) => {
      const pair = new RingPair(this.machine, add(2 * k), add(2 * k + 1), descriptors, pages, !inOrder);
      pair.fill({ length: longest });
      return pair;
    });
    this.#sent = new Uint32Array(this.pairs.length);
    this.#now = new Uint8Array(this.pairs.length);
    this.#random = randomSource(vifs);
    this.#paths = this.pairs.map((pair) => this.#pathsOf(pair));
    // Every page is used and mapped once before anything is measured, and netfront's first ring's worth used up.
    this.sample({ length: longest }, BURST, vifs / 2, PAGES_IN_TURN / BURST + 1);
  }

  /**
   * The back end's ns a frame over `rounds` rounds in which each of the first `busy` pairs sends `burst` frames, after
   * one turn through their pages that is not timed: what others have just done is forgotten in either case then, not
   * only where a turn is short.
   */
  sample(kind: FrameKind, burst: number, busy: number, rounds: number): number {
    let spent = 0;
    for (let i = -this.#turns(kind, burst); i < rounds; i++) {
      const round = this.#round++;
      for (let k = 0; k < busy; k++) this.pairs[k].send(kind, burst, round * burst);
      const took = this.#timed(round);
      if (i >= 0) spent += took;
      for (let k = 0; k < busy; k++) this.pairs[k].receive(kind, burst);
    }
    return (spent * 1e6) / (rounds * busy * burst);
  }

  /**
   * The same of mixed traffic, over at least `frames` frames: in each round one sender in four has a burst of 1 to 64
   * frames, drawn at random.
   */
  mixed(kind: FrameKind, frames: number): number {
    const { pairs } = this;
    let spent = 0;
    let counted = 0;
    for (let warming = pairs.length * this.pages; counted < frames; ) {
      const round = this.#round++;
      let moved = 0;
      for (let k = 0; k < pairs.length; k++) {
        const burst = this.#random(1 / ACTIVE) === 0 ? 1 << this.#random(BURST_SIZES) : 0;
        this.#now[k] = burst;
        if (burst > 0) pairs[k].send(kind, burst, this.#sent[k]);
        this.#sent[k] += burst;
        moved += burst;
      }
      if (moved === 0) continue;
      const took = this.#timed(round);
      for (let k = 0; k < pairs.length; k++) if (this.#now[k] > 0) pairs[k].receive(kind, this.#now[k]);
      if (warming > 0) {
        warming -= moved;
        continue;
      }
      spent += took;
      counted += moved;
    }
    return (spent * 1e6) / counted;
  }

  /** ns a frame of the yardstick: plain copies of as many bytes, between the same pages in the same order. */
  copy(kind: FrameKind, burst: number, busy: number, rounds: number): number {
    const { loops } = this.machine;
    const turns = this.#turns(kind, burst);
    let spent = 0;
    for (let i = -turns; i < rounds; i++) {
      const at = ((i + turns) % turns) * burst * 8;
      const begin = performance.now();
      for (let k = 0; k < busy; k++) loops.copyPairs(this.#paths[k] + at, kind.length, burst);
      if (i >= 0) spent += performance.now() - begin - CLOCK;
    }
    return (spent * 1e6) / (rounds * busy * burst);
  }

  close(): void {
    this.machine.close();
  }

  /** ms that the back end takes for a round. */
  #timed(round: number): number {
    const { engine } = this.machine;
    const begin = performance.now();
    engine.round(1);
    if (round % PARK_EVERY === 0) engine.park();
    return performance.now() - begin - CLOCK;
  }

  /** Rounds in which every page in use has its turn. */
  #turns(kind: FrameKind, burst: number): number {
    return Math.max(1, Math.floor(this.pages / (pagesOfFrame(kind.length) * burst)));
  }

  #pathsOf(pair: RingPair): number {
    const { arena } = this.machine;
    const list = arena.allocate(this.pages * 8, 'paths');
    for (let i = 0; i < this.pages; i++) {
      const { from, to } = pair.path(i);
      arena.u32[list / 4 + 2 * i] = to;
      arena.u32[list / 4 + 2 * i + 1] = from;
    }
    return list;
  }
}

/** ms that two looks at the clock are apart with nothing between them. */
const CLOCK = clockCost();

function clockCost(): number {
  const apart: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const begin = performance.now();
    apart.push(performance.now() - begin);
  }
  return median(apart.slice(apart.length / 2));
}
