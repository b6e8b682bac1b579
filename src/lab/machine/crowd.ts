/**
 * Many guests on one back end, in one arena, in pairs: guest 2k sends to guest 2k + 1. Only the back end's rounds are
 * timed; beside them, as a yardstick, plain copies of as many bytes between the same guests' pages in the same order:
 * what a larger crowd costs because its pages no longer fit the CPU's caches.
 */
import { BURST, PAGE_SIZE } from '../../../assembly/layout.js';
import type { TransferName } from '../../transfer/transfer.js';
import { type Guest, Machine } from './machine.js';
import type { RingSample } from './ring_load.js';
import { type FrameKind, loadDescriptors, PAGES_IN_TURN, pagesOfFrame, RingPair } from './ring_pair.js';

/** A guest of a crowd is small: 16 × 64 KiB to send from are a ring's worth of pages, and all it has fits its cache. */
const SMALL = { txBuffers: 16, cachePages: 1024 } as const;
/** Rounds between looks for quiet ports, as a datapath thread makes them (shard/worker.ts). */
const PARK_EVERY = 4;
/** Address space a guest takes with its vif, generously; only what is touched is memory. */
const BYTES_PER_GUEST = 24 << 20;
const BYTES_ALONE = 64 << 20;

export class Crowd {
  readonly vifs: number;
  readonly machine: Machine;
  readonly pairs: readonly RingPair[];
  /** Round of each pair so far, so that its pages are used in turn from sample to sample. */
  #round = 0;

  readonly pages: number;

  /** `vifs`: an even number. Frames of up to `longest` bytes can be sent. `pages`: in use by each guest, 64 … 256. */
  constructor(transfer: TransferName, vifs: number, longest: number, pages = PAGES_IN_TURN) {
    this.vifs = vifs;
    this.pages = pages;
    this.machine = new Machine(BYTES_ALONE + vifs * BYTES_PER_GUEST);
    const descriptors = loadDescriptors(this.machine);
    const add = (i: number): Guest => this.machine.addGuest(`g${i}`, { transfer, ...SMALL });
    this.pairs = Array.from({ length: vifs / 2 }, (_, k) => {
      const pair = new RingPair(this.machine, add(2 * k), add(2 * k + 1), descriptors, pages);
      pair.fill({ length: longest });
      return pair;
    });
    // Every page is used and mapped once before anything is measured.
    this.sample({ length: longest }, BURST, vifs / 2, PAGES_IN_TURN / BURST + 1);
  }

  /** ns a frame over `rounds` rounds in which each of the first `busy` pairs sends `burst` frames. */
  sample(kind: FrameKind, burst: number, busy: number, rounds: number): RingSample {
    const { engine, loops } = this.machine;
    const stride = pagesOfFrame(kind.length) * PAGE_SIZE;
    const turns = Math.floor((this.pages * PAGE_SIZE) / (stride * burst));
    let backend = 0;
    let copy = 0;
    for (let i = 0; i < rounds; i++) {
      const round = this.#round++;
      for (let k = 0; k < busy; k++) this.pairs[k].send(kind, burst, round);
      const t0 = performance.now();
      engine.round(1);
      if (round % PARK_EVERY === 0) engine.park();
      backend += performance.now() - t0;
      for (let k = 0; k < busy; k++) this.pairs[k].receive(kind, burst);
      // Half a turn away from what was just carried, so that it finds its pages as cold as the back end does.
      const turn = ((round + (turns >>> 1)) % turns) * burst * stride;
      const t1 = performance.now();
      for (let k = 0; k < busy; k++) {
        const { from, to } = this.pairs[k];
        loops.copyRuns(to + turn, stride, from + turn, stride, kind.length, burst);
      }
      copy += performance.now() - t1;
    }
    const scale = 1e6 / (rounds * busy * burst);
    return { backend: backend * scale, copy: copy * scale };
  }

  close(): void {
    this.machine.close();
  }
}
