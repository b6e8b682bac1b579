/**
 * One pair of rings of a vif: requests of its TX ring become frames, frames for it are copied into pages that its RX ring
 * posted. The ring work is in assembly/netback_*.ts.
 */
import { CT_ALGORITHM, CT_HEADROOM } from '../../assembly/control_layout.js';
import { DROP_RX_FULL } from '../../assembly/counters.js';
import { CACHE_RX_LEFT } from '../../assembly/grant_layout.js';
import { F_VERDICT, PAGE_SIZE, VERDICT_DROP } from '../../assembly/layout.js';
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
  NB_RATE,
  NB_RX_ANSWERS,
  NB_RX_ANSWERS_SIZE,
  NB_RX_RING,
  NB_SEGS,
  NB_SEGS_MAX,
  NB_SET,
  NB_SIZE,
  NB_TX_ANSWERS,
  NB_TX_ANSWERS_SIZE,
  NB_TX_CONS,
  NB_TX_PUBLISHED,
  NB_TX_RING,
  NB_WAKE,
  PATIENCE_MOST,
  PUSH_CSUM,
  PUSH_DONE,
  PUSH_FLUSH,
  PUSH_FULL,
  WAKE_RX,
  WAKE_TX,
} from '../../assembly/netif_layout.js';
import { XEN_NETIF_NR_SLOTS_MIN } from '../abi/netif.js';
import { NETIF_RING_SIZE } from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import type { SegmentSink, SoftwareOffload } from '../datapath/software.js';
import type { Transfer } from '../transfer/transfer.js';

const META = NB_SIZE;
const RX_ANSWERS = META + NB_META_SIZE;
const TX_ANSWERS = RX_ANSWERS + NB_RX_ANSWERS_SIZE;
/** Bytes of arena for a queue's private state. */
export const QUEUE_MEMORY = TX_ANSWERS + NB_TX_ANSWERS_SIZE;

/** Wakes the peer of one event channel. */
export type Notify = () => void;

export interface QueueRings {
  /** Arena addresses of the mapped ring pages. */
  readonly txRing: number;
  readonly rxRing: number;
  readonly notifyTx: Notify;
  /** The same function when the event channel is not split. */
  readonly notifyRx: Notify;
}

/** What the queues of a vif have in common. */
export interface VifCommons {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly port: number;
  readonly domid: number;
  readonly features: number;
  readonly transfer: Transfer;
  /** Addresses: the vif's control state; its queue set, where it has one; the thread's segments, and how many there are. */
  readonly control: number;
  readonly set: number;
  /** Where its credit is; 0: it needs none. */
  readonly rate: number;
  readonly segments: number;
  readonly segmentsMax: number;
  readonly software: SoftwareOffload;
  /** Makes frames of other ports readable, for software offloads. */
  localizeForeign(list: number, n: number): void;
}

/** More than a frame's pieces need. */
const PLENTY = 0x7fffffff;

/** What became of a frame in software: now as the guest can take it; delivered or dropped; it waits for room. */
type Outcome = typeof READY | typeof HANDLED | typeof WAITS;
const READY = 0;
const HANDLED = 1;
const WAITS = 2;

export class NetbackQueue implements SegmentSink {
  readonly counters: number;
  readonly wantsChecksums: boolean;
  /** A predecessor served these rings: what it knew of the guest beside them is lost. */
  readonly resumed: boolean;
  readonly #u32: Uint32Array;
  readonly #loops: Loops;
  readonly #nb: number;
  readonly #vif: VifCommons;
  readonly #transfer: Transfer;
  readonly #segments: number;
  /** Index of what the vif's mapping cache may still map in this round (CACHE_RX_LEFT); 0: it has none. */
  readonly #mayMapAt: number;
  readonly #notifyTx: Notify;
  readonly #notifyRx: Notify;
  /** The round's clock, for the segments of a frame. */
  #now = 1;
  /** The round's flush woke the guest's receiving half. */
  #notified = false;

  /** `memory`: QUEUE_MEMORY zeroed bytes; `counters`: COUNTERS_SIZE bytes. */
  constructor(vif: VifCommons, rings: QueueRings, memory: number, counters: number) {
    this.counters = counters;
    this.wantsChecksums = (vif.features & FE_CSUM4) === 0;
    this.#u32 = vif.arena.u32;
    this.#loops = vif.loops;
    this.#nb = memory;
    this.#vif = vif;
    this.#transfer = vif.transfer;
    this.#segments = vif.segments;
    this.#mayMapAt = vif.transfer.cache === 0 ? 0 : (vif.transfer.cache + CACHE_RX_LEFT) / 4;
    this.#notifyTx = rings.notifyTx;
    this.#notifyRx = rings.notifyRx;
    const fields: [number, number][] = [
      [NB_TX_RING, rings.txRing],
      [NB_RX_RING, rings.rxRing],
      [NB_COUNTERS, counters],
      [NB_DOMID, vif.domid],
      [NB_PORT, vif.port],
      [NB_FEATURES, vif.features],
      [NB_META, memory + META],
      [NB_RX_ANSWERS, memory + RX_ANSWERS],
      [NB_TX_ANSWERS, memory + TX_ANSWERS],
      [NB_PATIENCE, PATIENCE_MOST],
      [NB_SEGS, vif.segments],
      [NB_SEGS_MAX, vif.segmentsMax],
      [NB_CACHE, vif.transfer.cache],
      [NB_DOMAIN, vif.transfer.domain ?? 0],
      [NB_CONTROL, vif.control],
      [NB_SET, vif.set],
      [NB_RATE, vif.rate],
    ];
    for (const [field, value] of fields) this.#u32[(this.#nb + field) / 4] = value;
    this.resumed = this.#loops.netbackResume(this.#nb) !== 0;
  }

  get fenced(): number {
    return this.#u32[(this.#nb + NB_FENCED) / 4];
  }

  /** Takes no part any more. */
  fence(why: number): void {
    if (this.fenced === 0) this.#u32[(this.#nb + NB_FENCED) / 4] = why;
  }

  /** Its ring has no room for another packet until the oldest frame is answered. */
  get cramped(): boolean {
    const unanswered = this.consumed - this.#u32[(this.#nb + NB_TX_PUBLISHED) / 4];
    return unanswered >>> 0 > NETIF_RING_SIZE - XEN_NETIF_NR_SLOTS_MIN;
  }

  /** Index of the next TX request. */
  get consumed(): number {
    return this.#u32[(this.#nb + NB_TX_CONS) / 4];
  }

  /** Reads at most `max` frames into the descriptors at `list`; returns how many. */
  pull(list: number, max: number): number {
    const pulled = this.#loops.netbackPull(this.#nb, list, max);
    if (pulled === 0) return 0;
    const frames = pulled & 0xffff;
    const segments = pulled >>> 16;
    if (segments > 0) this.#transfer.move(this.#segments, segments);
    this.#loops.netbackHeaders(this.#nb, list, frames, segments);
    return frames;
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
      if (!this.#vif.software.checksum(frame, this.counters)) from++;
    }
  }

  /** Shows the guest what it received. */
  flush(): void {
    this.#notified = this.#loops.netbackPublishRx(this.#nb) !== 0;
    if (this.#notified) this.#notifyRx();
  }

  /** Tells it what became of what it sent. */
  answer(): void {
    const wake = this.#loops.netbackPublishTx(this.#nb) !== 0;
    if (wake && !(this.#notified && this.#notifyTx === this.#notifyRx)) this.#notifyTx();
  }

  /** Wakes it for what the direct lane showed it. */
  signal(): void {
    const at = (this.#nb + NB_WAKE) / 4;
    const wake = this.#u32[at];
    if (wake === 0) return;
    this.#u32[at] = 0;
    if ((wake & WAKE_RX) !== 0) this.#notifyRx();
    if ((wake & WAKE_TX) !== 0 && !((wake & WAKE_RX) !== 0 && this.#notifyTx === this.#notifyRx))
      this.#notifyTx();
  }

  /** Asks for wake-ups; `reading`: for requests of the TX ring, too. True when there is work already. */
  arm(reading: boolean): boolean {
    const tx = reading && this.#loops.netbackArmTx(this.#nb) !== 0;
    return this.#loops.netbackArmRx(this.#nb) !== 0 || tx;
  }

  #commit(): void {
    if (this.#loops.netbackUncommitted() === 0) return;
    const prepared = this.#loops.netbackPrepared();
    if (prepared > 0) this.#transfer.move(this.#segments, prepared);
    this.#loops.netbackCommit(this.#nb);
  }

  /** Frames that the guest receives have made its cache map all it may in this round. */
  get #spent(): boolean {
    return this.#mayMapAt !== 0 && (this.#u32[this.#mayMapAt] | 0) <= 0;
  }

  /** One frame that the guest cannot take as it is. */
  #inSoftware(at: number, why: number, now: number): Outcome {
    this.#vif.localizeForeign(at, 1);
    const { software } = this.#vif;
    const frame = this.#u32[at / 4];
    if (this.#u32[(frame + F_VERDICT) / 4] >= VERDICT_DROP) return HANDLED;
    if (why === PUSH_CSUM) return software.checksum(frame, this.counters) ? READY : HANDLED;
    const headroom = this.#u32[(this.#vif.control + CT_HEADROOM) / 4];
    let slots = software.slots(frame, PAGE_SIZE - headroom);
    // Each piece may carry a hash, and says its headroom, in slots of their own.
    const hashes = this.#u32[(this.#vif.control + CT_ALGORITHM) / 4] !== 0;
    const extras = (hashes ? 1 : 0) + (headroom > 0 ? 1 : 0);
    if (slots > 0) slots += extras * this.#loops.segmentCount(frame);
    if (slots === 0 || slots > NETIF_RING_SIZE) {
      software.refuse(frame, this.counters);
      return HANDLED;
    }
    if (this.#spent || this.#loops.netbackRoom(this.#nb) < slots) {
      return this.#loops.netbackWait(this.#nb, frame, slots, now) !== 0 ? HANDLED : WAITS;
    }
    this.#now = now;
    // The pieces of a frame are not parted: all of them are mapped for, or none.
    const mayMap = this.#mayMapAt;
    const left = this.#u32[mayMap];
    if (mayMap !== 0) this.#u32[mayMap] = PLENTY;
    software.segment(frame, this);
    if (mayMap !== 0) this.#u32[mayMap] += left - PLENTY;
    return HANDLED;
  }
}
