/**
 * The back end alone, on one core and in one process: frames go guest → guest through real rings, grants and
 * copies. A load generator plays both front ends between the measured rounds; only the back end's rounds are timed.
 * The yardstick is a plain copy of the same bytes between the same pages.
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
import { PAGE_RX_FIRST, PAGE_TX_FIRST } from '../../netif/netfront_memory.js';
import type { TransferName } from '../../transfer/transfer.js';
import { type Guest, type GuestOptions, Machine } from './machine.js';

/** ns a frame. */
export interface RingSample {
  readonly backend: number;
  readonly copy: number;
}

/** Rounds of one sample, by default. */
const ROUNDS = 1500;
/** Guests use their pages in turn, a ring's worth (256) of them on either side. */
const TURNS = 256 / BURST;

export class RingLoad {
  readonly #machine: Machine;
  readonly #a: Guest;
  readonly #b: Guest;
  readonly #rounds: number;
  /** Bytes of a frame, 64 … 4096; may change between samples. */
  length: number;
  /** u32[BURST] and descriptors with which guest A sends; u32[BURST] and descriptors with which B receives. */
  readonly #sending: number;
  readonly #receiving: number;

  /** `guests`: a transfer for both, or each one's options. `rounds`: of 64 frames, in one sample. */
  constructor(
    guests: TransferName | { readonly sender: GuestOptions; readonly receiver: GuestOptions },
    length: number,
    machine = new Machine(),
    rounds = ROUNDS,
  ) {
    const { sender, receiver } =
      typeof guests === 'string' ? { sender: { transfer: guests }, receiver: { transfer: guests } } : guests;
    this.#machine = machine;
    this.length = length;
    this.#rounds = rounds;
    this.#a = machine.addGuest('a', sender);
    this.#b = machine.addGuest('b', receiver);
    this.#sending = this.#descriptors();
    this.#receiving = this.#descriptors();
    const { u8 } = machine.arena;
    const first = this.#a.ram + PAGE_TX_FIRST * 4096;
    for (let page = first; page < first + TURNS * BURST * 4096; page += 4096) {
      u8.fill(page >>> 12, page, page + length);
      u8.set(this.#b.mac, page);
      u8.set(this.#a.mac, page + 6);
    }
  }

  /** One sample of each, taking turns by the round so that both meet the same machine. */
  sample(): RingSample {
    let backend = 0;
    let copy = 0;
    const { arena, loops, engine } = this.#machine;
    const from = this.#a.ram + PAGE_TX_FIRST * 4096;
    const to = this.#b.ram + PAGE_RX_FIRST * 4096;
    // One turn through the pages untimed: after another load this one's are in no cache.
    for (let round = -TURNS; round < this.#rounds; round++) {
      this.#send(this.#a.ram + PAGE_TX_FIRST * 4096 + ((round + TURNS) % TURNS) * BURST * 4096);
      const t0 = performance.now();
      engine.round(1);
      const t1 = performance.now();
      this.#receive();
      const t2 = performance.now();
      // Other pages than the round just warmed: either finds its own as the other left them two rounds ago.
      const turn = ((round + TURNS + TURNS / 2) % TURNS) * BURST * 4096;
      loops.copyRuns(to + turn, 4096, from + turn, 4096, this.length, BURST);
      const t3 = performance.now();
      if (round < 0) continue;
      backend += t1 - t0;
      copy += t3 - t2;
    }
    if (arena.u32[(this.#receiving + BURST * 4 + F_LEN) / 4] !== this.length)
      throw new Error('no frame arrived');
    const scale = 1e6 / (this.#rounds * BURST);
    return { backend: backend * scale, copy: copy * scale };
  }

  close(): void {
    this.#machine.close();
  }

  /** Guest A queues BURST frames that lie in its granted pages from `first` on. */
  #send(first: number): void {
    const { loops, arena } = this.#machine;
    const { u32 } = arena;
    loops.netfrontReap(this.#a.netfront.state);
    for (let i = 0; i < BURST; i++) {
      const frame = u32[this.#sending / 4 + i];
      loops.frameClear(frame, 2);
      u32[(frame + F_LEN) / 4] = this.length;
      u32[(frame + F_COOKIE) / 4] = first + i * 4096;
      u32[(frame + F_NFRAGS) / 4] = 1;
      u32[(frame + F_FRAGS) / 4] = first + i * 4096;
      arena.view.setUint16(frame + F_FRAGS + G_LEN, this.length, true);
    }
    const pushed = loops.netfrontPush(this.#a.netfront.state, this.#sending, 0, BURST, 1) & 0xffff;
    if (pushed !== BURST) throw new Error(`the ring took ${pushed} of ${BURST} frames`);
    loops.netfrontPublish(this.#a.netfront.state);
  }

  /** Guest B takes all frames and posts the pages again. */
  #receive(): void {
    const { loops, arena } = this.#machine;
    const nf = this.#b.netfront.state;
    const n = loops.netfrontPull(nf, this.#receiving, BURST);
    if (n !== BURST) throw new Error(`${n} of ${BURST} frames arrived`);
    for (let i = 0; i < n; i++) arena.u32[(arena.u32[this.#receiving / 4 + i] + F_SETTLED) / 4] = 1;
    loops.netfrontRelease(nf, this.#receiving, n, this.#receiving + BURST * (4 + FRAME_SIZE));
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
