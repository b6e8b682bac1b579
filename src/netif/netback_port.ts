/**
 * netback: one queue of a netif vif as a port. The ring work is in assembly/netback_*.ts, the moving of bytes is
 * the transfer's; here they meet, a batch at a time.
 */
import { CT_ALGORITHM, CT_MCAST_ON, CT_SIZE } from '../../assembly/control_layout.js';
import { C_EVENTS, DROP_RX_FULL, FENCE_RING_OVERFLOW } from '../../assembly/counters.js';
import { BURST, F_VERDICT, SEG_SIZE, VERDICT_DROP } from '../../assembly/layout.js';
import {
  FE_CSUM4,
  NB_CACHE,
  NB_CONTROL,
  NB_COUNTERS,
  NB_DOMAIN,
  NB_DOMID,
  NB_FEATURES,
  NB_FENCED,
  NB_META,
  NB_META_SIZE,
  NB_PATIENCE,
  NB_PORT,
  NB_RX_ANSWERS,
  NB_RX_ANSWERS_SIZE,
  NB_RX_RING,
  NB_SEGS,
  NB_SEGS_MAX,
  NB_SIZE,
  NB_TX_ANSWERS,
  NB_TX_ANSWERS_SIZE,
  NB_TX_CONS,
  NB_TX_PUBLISHED,
  NB_TX_RING,
  PATIENCE_MOST,
  PUSH_CSUM,
  PUSH_DONE,
  PUSH_FLUSH,
  PUSH_FULL,
} from '../../assembly/netif_layout.js';
import { XEN_NETIF_NR_SLOTS_MIN } from '../abi/netif.js';
import { NETIF_RING_SIZE } from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import { fillList, type PortBlock, portBlock } from '../datapath/frames.js';
import type { Port } from '../datapath/port.js';
import { type SegmentSink, SOFTWARE_SIZE, SoftwareOffload } from '../datapath/software.js';
import type { Transfer } from '../transfer/transfer.js';
import { ControlRing } from './control_ring.js';

/** Within a queue's private state. */
const META = NB_SIZE;
const RX_ANSWERS = META + NB_META_SIZE;
const TX_ANSWERS = RX_ANSWERS + NB_RX_ANSWERS_SIZE;
const SOFTWARE = TX_ANSWERS + NB_TX_ANSWERS_SIZE;
const CONTROL = SOFTWARE + SOFTWARE_SIZE;
/** Bytes of arena for it. */
export const NETBACK_MEMORY = CONTROL + CT_SIZE;
/** Private copies of frames for receivers that cannot take grants: 64 KiB a descriptor, touched only then. */
export const BOUNCE_SIZE = BURST * 65536;
/** Copy segments of one datapath thread, shared by its ports. */
export const SEGMENTS_MAX = 4096;
export const SEGMENTS_SIZE = SEGMENTS_MAX * SEG_SIZE;

/**
 * Whether only listed groups go to a vif (request-multicast-control), for whoever watches that: `memory` is the queue's
 * private state, and any thread may say so at any time.
 */
export function setMulticastControl(arena: Arena, memory: number, on: boolean): void {
  Atomics.store(arena.u32, (memory + CONTROL + CT_MCAST_ON) / 4, on ? 1 : 0);
}

/** Wakes the peer of one event channel. */
export type Notify = () => void;

export interface NetbackOptions {
  readonly id: number;
  readonly name: string;
  readonly domid: number;
  /** Arena addresses of the mapped ring pages. */
  readonly txRing: number;
  readonly rxRing: number;
  /** What the front end can receive: FE_*. */
  readonly features: number;
  /** PORT_BLOCK, NETBACK_MEMORY and BOUNCE_SIZE bytes; SEGMENTS_SIZE of the thread's. */
  readonly block: number;
  readonly memory: number;
  readonly bounce: number;
  readonly segments: number;
  /** Readable when the guest signals: one descriptor, or TX then RX. */
  readonly descriptors: readonly number[];
  readonly notifyTx: Notify;
  /** The same function when the event channel is not split. */
  readonly notifyRx: Notify;
  readonly transfer: Transfer;
  /** false: its frames always have descriptors, never the direct lane (assembly/lane.ts). */
  readonly direct?: boolean;
  /** Its control ring, if it has one: the mapped page, and the peer's wake-up. The last descriptor is its own. */
  readonly control?: { readonly ring: number; readonly notify: Notify } | undefined;
  readonly multicastControl?: boolean | undefined;
  /** False: frames are brought into the back end's own memory before they are copied to this guest (the lab's two steps). */
  readonly takesGrants?: boolean;
}

/** What became of a frame in software: now as the guest can take it; delivered or dropped; it waits for room. */
type Outcome = typeof READY | typeof HANDLED | typeof WAITS;
const READY = 0;
const HANDLED = 1;
const WAITS = 2;

export class NetbackPort implements Port, SegmentSink {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  readonly takesGrants: boolean;
  readonly descriptors: readonly number[];
  readonly wantsChecksums: boolean;
  readonly direct: number;
  /** Localizes frames of other ports for software offloads; the datapath thread sets it. */
  localizeForeign: (list: number, n: number) => void = () => {};
  readonly #u32: Uint32Array;
  readonly #loops: Loops;
  readonly #nb: number;
  readonly #segments: number;
  readonly #bounce: number;
  readonly #block: PortBlock;
  readonly #software: SoftwareOffload;
  readonly #transfer: Transfer;
  readonly #notifyTx: Notify;
  readonly #notifyRx: Notify;
  /** The round's clock, for the segments of a frame. */
  #now = 1;
  readonly #control: ControlRing | undefined;
  /** The round's flush woke the guest's receiving half. */
  #notified = false;
  /** NB_TX_CONS when it was pulled from last. */
  #pulledAt = 0;

  constructor(arena: Arena, loops: Loops, options: NetbackOptions) {
    this.id = options.id;
    this.name = options.name;
    this.descriptors = options.descriptors;
    this.takesGrants = options.takesGrants ?? true;
    this.wantsChecksums = (options.features & FE_CSUM4) === 0;
    this.#u32 = arena.u32;
    this.#loops = loops;
    this.#nb = options.memory;
    const { transfer } = options;
    // Only where its grants turn into addresses one by one, and not around the two steps.
    const lane = options.direct !== false && this.takesGrants && (transfer.cache || transfer.domain);
    this.direct = lane ? options.memory : 0;
    this.#segments = options.segments;
    this.#bounce = options.bounce;
    this.#transfer = options.transfer;
    this.#notifyTx = options.notifyTx;
    this.#notifyRx = options.notifyRx;
    this.#block = portBlock(options.block);
    this.list = this.#block.list;
    this.counters = this.#block.counters;
    fillList(arena, this.#block);
    this.#software = new SoftwareOffload(arena, loops, options.memory + SOFTWARE);
    const fields: [number, number][] = [
      [NB_TX_RING, options.txRing],
      [NB_RX_RING, options.rxRing],
      [NB_COUNTERS, this.counters],
      [NB_DOMID, options.domid],
      [NB_PORT, this.id],
      [NB_FEATURES, options.features],
      [NB_META, options.memory + META],
      [NB_RX_ANSWERS, options.memory + RX_ANSWERS],
      [NB_TX_ANSWERS, options.memory + TX_ANSWERS],
      [NB_PATIENCE, PATIENCE_MOST],
      [NB_SEGS, options.segments],
      [NB_SEGS_MAX, Math.min(SEGMENTS_MAX, transfer.most ?? SEGMENTS_MAX)],
      [NB_CACHE, transfer.cache],
      [NB_DOMAIN, transfer.domain ?? 0],
      [NB_CONTROL, options.memory + CONTROL],
    ];
    for (const [field, value] of fields) this.#u32[(this.#nb + field) / 4] = value;
    const resumed = loops.netbackResume(this.#nb) !== 0;
    if (resumed) {
      // What a predecessor showed last it may not have told.
      this.#notifyTx();
      if (this.#notifyRx !== this.#notifyTx) this.#notifyRx();
    }
    // A list of groups that a predecessor kept died with it, and no filter is better than an empty list.
    setMulticastControl(arena, options.memory, options.multicastControl === true && !resumed);
    if (options.control) {
      const { segments, domid } = options;
      const { counters } = this;
      const state = options.memory + CONTROL;
      const shared = { state, segments, domid, counters, transfer };
      this.#control = new ControlRing(arena, loops, { ...options.control, ...shared });
    }
  }

  get fenced(): number {
    return this.#u32[(this.#nb + NB_FENCED) / 4];
  }

  /** Its ring has no room for another packet until the oldest frame is answered. */
  get cramped(): boolean {
    const unanswered = this.#u32[(this.#nb + NB_TX_CONS) / 4] - this.#u32[(this.#nb + NB_TX_PUBLISHED) / 4];
    return unanswered >>> 0 > NETIF_RING_SIZE - XEN_NETIF_NR_SLOTS_MIN;
  }

  pull(waiting: number): number {
    if (this.#control?.due) this.#serveControl(this.#control, waiting);
    const frames = this.#read(waiting);
    this.#pulledAt = this.#u32[(this.#nb + NB_TX_CONS) / 4];
    return frames;
  }

  #read(waiting: number): number {
    if (waiting === BURST) return waiting;
    const list = this.list + waiting * 4;
    this.#transfer.tick();
    const pulled = this.#loops.netbackPull(this.#nb, list, BURST - waiting);
    if (pulled === 0) return waiting;
    const frames = pulled & 0xffff;
    const segments = pulled >>> 16;
    if (segments > 0) this.#transfer.move(this.#segments, segments);
    this.#loops.netbackHeaders(this.#nb, list, frames, segments);
    return waiting + frames;
  }

  push(list: number, n: number, now: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netbackPush(this.#nb, list, from, n, now);
      this.#commit();
      from = result & 0xffff;
      const why = result >>> 16;
      if (why === PUSH_DONE || why === PUSH_FULL) return;
      if (why === PUSH_FLUSH) continue;
      const done = this.#inSoftware(list + from * 4, why, now);
      if (done === WAITS) {
        this.#loops.dropGroups(this.counters, list, from + 1, n);
        return;
      }
      if (done === HANDLED) from++;
    }
  }

  pushSegments(list: number, n: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netbackPush(this.#nb, list, from, n, this.#now);
      this.#commit();
      from = result & 0xffff;
      const why = result >>> 16;
      if (why === PUSH_DONE) return;
      if (why === PUSH_FLUSH) continue;
      const frame = this.#u32[list / 4 + from];
      // Room was there a moment ago: a guest that takes requests back loses the rest.
      if (why !== PUSH_CSUM) countUp(this.#u32, this.counters, DROP_RX_FULL, n - from);
      if (why !== PUSH_CSUM) return;
      if (!this.#software.checksum(frame, this.counters)) from++;
    }
  }

  localize(list: number, n: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netbackBounce(this.#nb, list, from, n, this.#block.frames, this.#bounce);
      from = result & 0xffff;
      const segments = result >>> 16;
      if (segments === 0) continue;
      this.#transfer.move(this.#segments, segments);
      this.#loops.netbackBounced(this.#nb, segments);
    }
  }

  release(n: number): number {
    const waiting = this.#loops.netbackRelease(this.#nb, this.list, n, this.#block.scratch);
    if (waiting === 0) this.#transfer.settle();
    return waiting;
  }

  flush(): void {
    // A vif whose whole turn was the direct lane's was not pulled from, and has nothing in flight.
    if (this.#control?.due && this.#u32[(this.#nb + NB_TX_CONS) / 4] !== this.#pulledAt)
      this.#serveControl(this.#control, 0);
    this.#notified = this.#loops.netbackPublishRx(this.#nb) !== 0;
    if (this.#notified) this.#notifyRx();
  }

  answer(): void {
    const wake = this.#loops.netbackPublishTx(this.#nb) !== 0;
    if (wake && !(this.#notified && this.#notifyTx === this.#notifyRx)) this.#notifyTx();
  }

  arm(waiting: number): boolean {
    if (this.#control?.due) return true;
    const tx = waiting < BURST && this.#loops.netbackArmTx(this.#nb) !== 0;
    return this.#loops.netbackArmRx(this.#nb) !== 0 || tx;
  }

  wake(index = 0): void {
    if (index > 0 && index === this.descriptors.length - 1) this.wakeControl();
    countUp(this.#u32, this.counters, C_EVENTS);
  }

  /** The front end says that there is something on the control ring. */
  wakeControl(): void {
    if (this.#control) this.#control.due = true;
  }

  close(): void {
    this.#transfer.close();
  }

  #serveControl(control: ControlRing, waiting: number): void {
    if (this.fenced !== 0) control.due = false;
    if (this.fenced !== 0 || control.serve(this.list, waiting)) return;
    this.#u32[(this.#nb + NB_FENCED) / 4] = FENCE_RING_OVERFLOW;
  }

  #commit(): void {
    if (this.#loops.netbackUncommitted() === 0) return;
    const prepared = this.#loops.netbackPrepared();
    if (prepared > 0) this.#transfer.move(this.#segments, prepared);
    this.#loops.netbackCommit(this.#nb);
  }

  /** One frame that the guest cannot take as it is. */
  #inSoftware(at: number, why: number, now: number): Outcome {
    this.localizeForeign(at, 1);
    const frame = this.#u32[at / 4];
    if (this.#u32[(frame + F_VERDICT) / 4] >= VERDICT_DROP) return HANDLED;
    if (why === PUSH_CSUM) return this.#software.checksum(frame, this.counters) ? READY : HANDLED;
    let slots = this.#software.slots(frame);
    // Each piece may carry a hash, in a slot of its own.
    const hashes = this.#u32[(this.#nb + CONTROL + CT_ALGORITHM) / 4] !== 0;
    if (hashes && slots > 0) slots += this.#loops.segmentCount(frame);
    if (slots === 0 || slots > 256) {
      this.#software.refuse(frame, this.counters);
      return HANDLED;
    }
    if (this.#loops.netbackRoom(this.#nb) < slots) {
      return this.#loops.netbackWait(this.#nb, frame, slots, now) !== 0 ? HANDLED : WAITS;
    }
    this.#now = now;
    this.#software.segment(frame, this);
    return HANDLED;
  }
}
