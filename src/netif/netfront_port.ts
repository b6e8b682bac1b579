/**
 * netfront: a guest's half of a netif queue as a port. All its pages are granted once (netfront_memory.ts); frames
 * read by the guest's tap into those pages are sent without a copy, received pages are written to the tap as they
 * are. The ring work is in assembly/netfront_*.ts.
 */
import { C_EVENTS, DROP_NO_BUFFER } from '../../assembly/counters.js';
import { BURST, F_VERDICT, VERDICT_DROP } from '../../assembly/layout.js';
import {
  BE_CSUM4,
  NF_COUNTERS,
  NF_FEATURES,
  NF_FENCED,
  NF_FREE_IDS,
  NF_GREF,
  NF_GREFS,
  NF_MCAST_REFUSED,
  NF_PAGES,
  NF_POOL,
  NF_PORT,
  NF_RAM,
  NF_RAM_PAGES,
  NF_RX_RING,
  NF_RX_TABLE,
  NF_RX_TABLE_SIZE,
  NF_RX_TARGET,
  NF_SIZE,
  NF_TX_RING,
  NF_TX_TABLE,
  NF_TX_TABLE_SIZE,
  PUSH_CSUM,
  PUSH_DONE,
  PUSH_FULL,
  STACK_CAPACITY,
  STACK_COUNT,
  STACK_ITEMS,
} from '../../assembly/netif_layout.js';
import { NETIF_RING_SIZE } from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import { fillList, type PortBlock, portBlock } from '../datapath/frames.js';
import type { Port } from '../datapath/port.js';
import { type SegmentSink, SOFTWARE_SIZE, SoftwareOffload } from '../datapath/software.js';
import type { Notify } from './netback_queue.js';
import { RX_PAGES } from './netfront_memory.js';

const FREE_IDS_SIZE = STACK_ITEMS + NETIF_RING_SIZE * 4;
const PAGES_SIZE = STACK_ITEMS + RX_PAGES * 4;
/** Bytes of arena for a queue's private state. */
export const NETFRONT_MEMORY =
  NF_SIZE + NF_TX_TABLE_SIZE + NF_RX_TABLE_SIZE + FREE_IDS_SIZE + PAGES_SIZE + SOFTWARE_SIZE;

/** Bytes of arena for copies of what is received: 64 KiB a descriptor. */
export const COPY_OUT_SIZE = BURST * 65536;

export interface NetfrontOptions {
  readonly id: number;
  readonly name: string;
  /** Arena address of RAM page 0; all pages from here on are granted under grefBase + page number. */
  readonly ram: number;
  readonly ramPages: number;
  readonly grefBase: number;
  /** Or, where references are in no order: a table of them, a u32 a page. */
  readonly grefs?: number;
  /** Arena addresses of the ring pages, initialized. */
  readonly txRing: number;
  readonly rxRing: number;
  /** First of RX_PAGES pages to receive into. */
  readonly rxPages: number;
  /** Stack of TX buffers in RAM; shared with the guest's tap. */
  readonly buffers: number;
  /** What the back end can receive: BE_*. */
  readonly features: number;
  readonly block: number;
  readonly memory: number;
  /** COPY_OUT_SIZE bytes: received frames are copied there at once and their pages posted again. */
  readonly copyOut?: number | undefined;
  readonly descriptors: readonly number[];
  readonly notifyTx: Notify;
  readonly notifyRx: Notify;
}

export class NetfrontPort implements Port, SegmentSink {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  readonly takesGrants = false;
  readonly descriptors: readonly number[];
  readonly wantsChecksums: boolean;
  readonly #u32: Uint32Array;
  readonly #loops: Loops;
  /** Its private state, for load generators that play the guest frame by frame. */
  readonly state: number;
  readonly #nf: number;
  readonly #block: PortBlock;
  readonly #software: SoftwareOffload;
  readonly #notifyTx: Notify;
  readonly #notifyRx: Notify;
  readonly #copyOut: number;

  constructor(arena: Arena, loops: Loops, options: NetfrontOptions) {
    this.id = options.id;
    this.name = options.name;
    this.descriptors = options.descriptors;
    this.wantsChecksums = (options.features & BE_CSUM4) === 0;
    this.#u32 = arena.u32;
    this.#loops = loops;
    this.state = options.memory;
    this.#nf = options.memory;
    this.#notifyTx = options.notifyTx;
    this.#notifyRx = options.notifyRx;
    this.#copyOut = options.copyOut ?? 0;
    this.#block = portBlock(options.block);
    this.list = this.#block.list;
    this.counters = this.#block.counters;
    fillList(arena, this.#block);
    const txTable = options.memory + NF_SIZE;
    const rxTable = txTable + NF_TX_TABLE_SIZE;
    const freeIds = rxTable + NF_RX_TABLE_SIZE;
    const pages = freeIds + FREE_IDS_SIZE;
    this.#software = new SoftwareOffload(arena, loops, pages + PAGES_SIZE);
    const fields: [number, number][] = [
      [NF_TX_RING, options.txRing],
      [NF_RX_RING, options.rxRing],
      [NF_COUNTERS, this.counters],
      [NF_RAM, options.ram],
      [NF_RAM_PAGES, options.ramPages],
      [NF_GREF, options.grefBase],
      [NF_GREFS, options.grefs ?? 0],
      [NF_FEATURES, options.features],
      [NF_POOL, options.buffers],
      [NF_PAGES, pages],
      [NF_TX_TABLE, txTable],
      [NF_RX_TABLE, rxTable],
      [NF_FREE_IDS, freeIds],
      [NF_RX_TARGET, NETIF_RING_SIZE],
      [NF_PORT, this.id],
    ];
    for (const [field, value] of fields) this.#u32[(this.#nf + field) / 4] = value;
    this.#stack(freeIds, NETIF_RING_SIZE, (i) => i + 1);
    this.#stack(pages, RX_PAGES, (i) => options.rxPages + (RX_PAGES - 1 - i) * 4096);
    this.#loops.netfrontPost(this.#nf);
    this.flush();
  }

  get fenced(): number {
    return this.#u32[(this.#nf + NF_FENCED) / 4];
  }

  /**
   * Lists a multicast group (6 bytes) at the back end, or takes it off its list; for guests that asked for multicast
   * control. False while the ring has no room for it.
   */
  multicast(listed: boolean, mac: Uint8Array): boolean {
    const [a, b, c, d, e, f] = mac;
    const low = (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
    if (this.#loops.netfrontMulticast(this.#nf, listed ? 1 : 0, low, e | (f << 8)) === 0) return false;
    this.flush(); // it is no frame, so no round of the engine shows it
    return true;
  }

  /** Changes of the list that the back end refused: it is full, and the group will not be heard. */
  get multicastRefused(): number {
    return this.#u32[(this.#nf + NF_MCAST_REFUSED) / 4];
  }

  pull(waiting: number): number {
    this.#loops.netfrontReap(this.#nf);
    if (waiting === BURST) return waiting;
    const list = this.list + waiting * 4;
    const frames = this.#loops.netfrontPull(this.#nf, list, BURST - waiting);
    if (this.#copyOut !== 0)
      this.#loops.netfrontCopyOut(this.#nf, list, frames, this.#block.frames, this.#copyOut);
    if (frames > 0) this.#postSpare();
    return waiting + frames;
  }

  push(list: number, n: number, now: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netfrontPush(this.#nf, list, from, n, now);
      from = result & 0xffff;
      const why = result >>> 16;
      if (why === PUSH_DONE || why === PUSH_FULL) return;
      const frame = this.#u32[list / 4 + from];
      if (this.#u32[(frame + F_VERDICT) / 4] >= VERDICT_DROP) continue;
      if (why === PUSH_CSUM) {
        if (!this.#software.checksum(frame, this.counters)) from++;
        continue;
      }
      if (this.#software.slots(frame) === 0) this.#software.refuse(frame, this.counters);
      else this.#software.segment(frame, this);
      from++;
    }
  }

  pushSegments(list: number, n: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netfrontPush(this.#nf, list, from, n, 1);
      from = result & 0xffff;
      const why = result >>> 16;
      if (why === PUSH_CSUM) {
        if (!this.#software.checksum(this.#u32[list / 4 + from], this.counters)) from++;
        continue;
      }
      this.#u32[(this.counters + DROP_NO_BUFFER * 8) / 4] += n - from; // the ring is full of the first ones
      return;
    }
  }

  localize(): void {} // its frames are its own pages

  release(n: number): number {
    const left = this.#loops.netfrontRelease(this.#nf, this.list, n, this.#block.scratch);
    this.#loops.netfrontPost(this.#nf);
    return left;
  }

  flush(): void {
    const wake = this.#loops.netfrontPublish(this.#nf);
    if ((wake & 1) !== 0) this.#notifyTx();
    if ((wake & 2) !== 0 && !((wake & 1) !== 0 && this.#notifyTx === this.#notifyRx)) this.#notifyRx();
  }

  /**
   * A ring holds 15 frames of 64 KiB, all of which may have come at once. Other pages take their place before these are written
   * to the tap, or the back end would find no room meanwhile, and then we nothing to do.
   */
  #postSpare(): void {
    this.#loops.netfrontPost(this.#nf);
    this.flush();
  }

  arm(_waiting: number): boolean {
    return this.#loops.netfrontArm(this.#nf) !== 0;
  }

  wake(): void {
    countUp(this.#u32, this.counters, C_EVENTS);
  }

  close(): void {}

  #stack(address: number, count: number, item: (i: number) => number): void {
    this.#u32[(address + STACK_COUNT) / 4] = count;
    this.#u32[(address + STACK_CAPACITY) / 4] = count;
    for (let i = 0; i < count; i++) this.#u32[(address + STACK_ITEMS) / 4 + i] = item(i);
  }
}
