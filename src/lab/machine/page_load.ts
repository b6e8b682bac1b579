/**
 * One packet, one page, one mechanism: what it costs the back end to bring a packet that its NIC received to a page
 * that a guest posted. By page flip, by a copy into the page mapped for that, by a copy into a page that stays mapped.
 *
 * The packets lie where a NIC's DMA would have put them: in pages of the pool that is flipped from, or in buffers of
 * the back end, written by a thread on another CPU. Packets are moved in bursts of 64, as netback does; only the moves are timed. Between bursts the guest,
 * the same thread pinned to a CPU of its own or to the back end's, uses the pages.
 */
import { Worker } from 'node:worker_threads';
import { C_CACHE_COPIED } from '../../../assembly/counters.js';
import {
  BURST,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_LEN,
  S_SRC_ADDR,
  S_STATUS,
  SEG_SIZE,
} from '../../../assembly/layout.js';
import { GREF_BASE, PAGE_RX_FIRST } from '../../netif/netfront_memory.js';
import { FLIP, type Transfer } from '../../transfer/transfer.js';
import { Machine } from './machine.js';
import {
  GUEST_CPU,
  GUEST_DONE,
  GUEST_LENGTH,
  GUEST_LIST,
  GUEST_N,
  GUEST_ORDER,
  GUEST_TURN,
  GUEST_WORDS,
  ORDER_FILL,
  ORDER_USE,
} from './page_load_layout.js';
import type { Place } from './places.js';

const WAYS = { flip: FLIP, mapped: 'map', 'pre-mapped': 'persistent' } as const;
/** `mapped`: for each packet anew. */
export type Way = keyof typeof WAYS;

/** The guest uses its pages in turn, a ring's worth of them. */
const RING = 256;
/** Bursts of one sample: the cheaper the packet, the more of them, so that all are far above the clock's resolution. */
const BURSTS: Readonly<Record<Way, number>> = { flip: 8, mapped: 8, 'pre-mapped': 32 };
/** ms that the guest may take for a burst. */
const GUEST_PATIENCE = 10_000;

interface Target {
  readonly transfer: Transfer;
  readonly ram: number;
  readonly domid: number;
  /** Its vif's counter block. */
  readonly counters: number;
}

export class PageLoad {
  readonly #machine = new Machine(1 << 28);
  readonly #targets = new Map<Way, Target>();
  readonly #segments: number;
  readonly #sources: number;
  readonly #control: number;
  readonly #worker: Worker;
  readonly #i32: Int32Array;
  #turn = 0;
  #next = 0;

  /** Throws SetupError or SysError where a way is not to be had. */
  constructor(ways: readonly Way[]) {
    const { arena } = this.#machine;
    this.#i32 = new Int32Array(arena.memory.buffer);
    for (const way of ways) this.#targets.set(way, this.#target(way));
    this.#segments = arena.allocate(BURST * SEG_SIZE, 'segments');
    this.#sources = arena.allocate(RING * 4096, 'packets');
    this.#control = arena.allocate(GUEST_WORDS * 4, 'the guest’s orders');
    this.#worker = new Worker(new URL('./page_guest.js', import.meta.url), {
      workerData: { memory: arena.memory, control: this.#control },
    });
  }

  /** Resolves when the guest runs. Rejects when it cannot. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.once('online', () => resolve());
      this.#worker.once('error', reject);
    });
  }

  /** ns a packet of `length` bytes (a multiple of 4). The caller is pinned to the back end's CPU. */
  sample(way: Way, length: number, place: Place): number {
    const target = this.#targets.get(way);
    if (!target) throw new RangeError(`no guest was made for ${way}`);
    let time = 0;
    const bursts = BURSTS[way];
    // One turn through the guest's pages untimed: after another way's sample its own are in no cache.
    for (let burst = -RING / BURST; burst < bursts; burst++) {
      this.#prepare(way, target, length);
      this.#order(BURST, ORDER_FILL, length, place.nic);
      this.#machine.loops.cacheRound(); // as the engine does: what a cache may map is counted by its rounds
      const begin = performance.now();
      target.transfer.move(this.#segments, BURST);
      const end = performance.now();
      if (burst >= 0) time += end - begin;
      this.#check(way, target);
      this.#use(target, length, place.guest);
      this.#next = (this.#next + BURST) % RING;
    }
    return (time * 1e6) / (bursts * BURST);
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    this.#tell(0);
    await ended;
    this.#machine.close();
  }

  #target(way: Way): Target {
    let captured: Transfer | undefined;
    const { domain, ram, vif } = this.#machine.addBareDomain(way, {
      transfer: WAYS[way],
      wrapTransfer: (transfer) => {
        captured = transfer;
        return transfer;
      },
    });
    if (!captured) throw new Error(`${way}: the vif made no transfer`);
    return { transfer: captured, ram, domid: domain.domid, counters: vif.port.counters };
  }

  /** Where the packets of a burst will lie, and the segments that bring them to the guest's next pages. */
  #prepare(way: Way, target: Target, length: number): void {
    const { arena, pool } = this.#machine;
    for (let i = 0; i < BURST; i++) {
      const k = this.#next + i;
      const source = way === 'flip' ? pool.take() : this.#sources + k * 4096;
      arena.u32[this.#control / 4 + GUEST_LIST + i] = source;
      const at = this.#segments + i * SEG_SIZE;
      arena.u8.fill(0, at, at + SEG_SIZE);
      arena.u32[(at + S_SRC_ADDR) / 4] = source;
      arena.u32[(at + S_DST_ADDR) / 4] = 0;
      arena.u32[(at + S_DST_GREF) / 4] = GREF_BASE + PAGE_RX_FIRST + k;
      arena.view.setUint16(at + S_DST_DOM, target.domid, true);
      arena.view.setUint16(at + S_LEN, length, true);
    }
  }

  #check(way: Way, { counters }: Target): void {
    const copied = this.#machine.arena.u32[(counters + C_CACHE_COPIED * 8) / 4];
    if (copied > 0) throw new Error(`${way}: ${copied} packets were copied by grant instead`);
    for (let i = 0; i < BURST; i++) {
      const status = this.#machine.arena.view.getInt16(this.#segments + i * SEG_SIZE + S_STATUS, true);
      if (status !== 0) throw new Error(`${way}: packet ${i} of a burst was refused (${status})`);
    }
  }

  /** The guest uses the pages of the burst. */
  #use(target: Target, length: number, cpu: number): void {
    const list = this.#control / 4 + GUEST_LIST;
    for (let i = 0; i < BURST; i++)
      this.#machine.arena.u32[list + i] = target.ram + (PAGE_RX_FIRST + this.#next + i) * 4096;
    this.#order(BURST, ORDER_USE, length, cpu);
  }

  /** Has `n` pages used or filled on a CPU, and waits until that is done. */
  #order(n: number, order: number, length: number, cpu: number): void {
    const { u32 } = this.#machine.arena;
    const at = this.#control / 4;
    u32[at + GUEST_ORDER] = order;
    u32[at + GUEST_LENGTH] = length;
    u32[at + GUEST_CPU] = cpu;
    this.#tell(n);
    for (;;) {
      const done = Atomics.load(this.#i32, at + GUEST_DONE);
      if (done === this.#turn) return;
      if (Atomics.wait(this.#i32, at + GUEST_DONE, done, GUEST_PATIENCE) === 'timed-out')
        throw new Error('the guest’s thread does not answer');
    }
  }

  #tell(n: number): void {
    const at = this.#control / 4;
    this.#i32[at + GUEST_N] = n;
    this.#turn = Atomics.add(this.#i32, at + GUEST_TURN, 1) + 1;
    Atomics.notify(this.#i32, at + GUEST_TURN);
  }
}
