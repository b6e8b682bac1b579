/**
 * Two guests' front ends played by a load generator, frame by frame: A sends, B receives. It shows the back end what
 * front ends show, through their own rings, and does in bursts what they do, so that only the back end is left to time.
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
  PAGE_SIZE,
  V_CSUM_OFFSET,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
} from '../../../assembly/layout.js';
import { NF_RX_TARGET } from '../../../assembly/netif_layout.js';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from '../../abi/virtio_net.js';
import { PAGE_RX_FIRST, PAGE_TX_FIRST } from '../../netif/netfront_memory.js';
import { randomSource, shuffled } from '../rounds.js';
import type { Guest, Machine } from './machine.js';
import { PagePoolInTurn } from './page_pool_in_turn.js';

/** Pages that a guest sends from, and receives into, in turn: as many as a ring has slots. */
export const PAGES_IN_TURN = 256;

/** What A sends. */
export interface FrameKind {
  /** Bytes of a frame, Ethernet header included. */
  readonly length: number;
  /** A TCP frame with its checksum left blank, and this much payload a segment when it has to be cut (0: never). */
  readonly segment?: number;
}

/** TCP frames have headers of this length: Ethernet, IPv4, TCP without options. */
export const TCP_HEADERS = 14 + 20 + 20;
const TCPHDR_CHECK = 16;

export const pagesOfFrame = (length: number) => Math.ceil(length / PAGE_SIZE);

/** Descriptors of a load generator; pairs of one machine that take turns can share them. */
export function loadDescriptors(machine: Machine): { sending: number; receiving: number } {
  const one = () => {
    const { arena } = machine;
    const list = arena.allocate(BURST * (8 + FRAME_SIZE), 'load generator');
    for (let i = 0; i < BURST; i++) arena.u32[list / 4 + i] = list + BURST * 4 + i * FRAME_SIZE;
    return list;
  };
  return { sending: one(), receiving: one() };
}

export class RingPair {
  readonly a: Guest;
  readonly b: Guest;
  readonly #machine: Machine;
  /** u32[BURST] and descriptors with which A sends; u32[BURST] and descriptors with which B receives. */
  readonly #sending: number;
  readonly #receiving: number;

  readonly #pages: number;
  /** Numbers of A's pages as frames of one page use them. */
  readonly #order: ArrayLike<number>;
  readonly #pool: PagePoolInTurn | undefined;

  /**
   * `pages`: how many each of the two has in use, a burst's at least. They are used in turn as they lie, or, with `shuffle`, in
   * an order that no prefetcher guesses. More than a ring's worth, and shuffled ones, need guests with twice as many
   * transmit pages.
   */
  constructor(
    machine: Machine,
    a: Guest,
    b: Guest,
    descriptors = loadDescriptors(machine),
    pages = PAGES_IN_TURN,
    shuffle = false,
  ) {
    this.#machine = machine;
    this.#pages = pages;
    this.#order = orderOf(pages, shuffle, a.netback.id);
    // What netfront keeps posted; the ring's worth that it began with is used up in a few rounds.
    machine.arena.u32[(b.netfront.state + NF_RX_TARGET) / 4] = Math.min(pages, PAGES_IN_TURN);
    const pooled = shuffle || pages > PAGES_IN_TURN;
    this.#pool = pooled ? new PagePoolInTurn(machine, b, orderOf(pages, shuffle, b.netback.id)) : undefined;
    this.a = a;
    this.b = b;
    this.#sending = descriptors.sending;
    this.#receiving = descriptors.receiving;
  }

  /** Arena address of the first page that A sends from, and of the first that B receives into. */
  get from(): number {
    return this.a.ram + PAGE_TX_FIRST * PAGE_SIZE;
  }

  get to(): number {
    if (this.#pool) return this.#pool.first;
    // Of the ring's worth that netfront began with, the pages that came last are those that it goes on with.
    return this.b.ram + (PAGE_RX_FIRST + PAGES_IN_TURN - this.#pages) * PAGE_SIZE;
  }

  /** Where frame number `i` of one page is sent from, and where it is received, of the pages in use as they have their turns. */
  path(i: number): { from: number; to: number } {
    const place = i % this.#pages;
    const to = this.#pool ? this.#pool.order[place] : place;
    return { from: this.from + this.#order[place] * PAGE_SIZE, to: this.to + to * PAGE_SIZE };
  }

  /** Writes frames of that kind into A's pages, wherever `send` may find one. */
  fill(kind: FrameKind): void {
    const { u8 } = this.#machine.arena;
    const stride = pagesOfFrame(kind.length) * PAGE_SIZE;
    for (let at = this.from; at + stride <= this.from + this.#pages * PAGE_SIZE; at += stride) {
      u8.fill(at >>> 12, at, at + kind.length);
      u8.set(this.b.mac, at);
      u8.set(this.a.mac, at + 6);
      if (kind.segment !== undefined) u8.set(tcpHeaders(kind.length), at + 12);
    }
  }

  /** A queues `n` frames that lie in its pages, the first one being number `first` of all. */
  send(kind: FrameKind, n: number, first: number): void {
    const { loops, arena } = this.#machine;
    const { u32, u8, view } = arena;
    const pages = pagesOfFrame(kind.length);
    const places = Math.floor(this.#pages / pages);
    loops.netfrontReap(this.a.netfront.state);
    for (let i = 0; i < n; i++) {
      const place = (first + i) % places;
      const page = this.from + (pages === 1 ? this.#order[place] : place * pages) * PAGE_SIZE;
      const frame = u32[this.#sending / 4 + i];
      loops.frameClear(frame, 2);
      u32[(frame + F_LEN) / 4] = kind.length;
      u32[(frame + F_COOKIE) / 4] = page;
      u32[(frame + F_NFRAGS) / 4] = 1;
      u32[(frame + F_FRAGS) / 4] = page;
      view.setUint16(frame + F_FRAGS + G_LEN, kind.length, true);
      if (kind.segment === undefined) continue;
      u8[frame + V_FLAGS] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
      view.setUint16(frame + V_CSUM_OFFSET, TCPHDR_CHECK, true);
      if (kind.segment === 0) continue;
      u8[frame + V_GSO_TYPE] = VIRTIO_NET_HDR_GSO_TCPV4;
      view.setUint16(frame + V_GSO_SIZE, kind.segment, true);
    }
    const pushed = loops.netfrontPush(this.a.netfront.state, this.#sending, 0, n, 1) & 0xffff;
    if (pushed !== n) throw new Error(`the ring took ${pushed} of ${n} frames`);
    this.#publish(this.a);
  }

  /** B takes the `n` frames, whole as they were sent, and posts the pages again. */
  receive(kind: FrameKind, n: number): void {
    const { loops, arena } = this.#machine;
    const nf = this.b.netfront.state;
    const arrived = loops.netfrontPull(nf, this.#receiving, BURST);
    if (arrived !== n) throw new Error(`${arrived} of ${n} frames arrived`);
    const last = arena.u32[this.#receiving / 4 + n - 1];
    if (arena.u32[(last + F_LEN) / 4] !== kind.length) throw new Error('no whole frame arrived');
    for (let i = 0; i < n; i++) arena.u32[(arena.u32[this.#receiving / 4 + i] + F_SETTLED) / 4] = 1;
    loops.netfrontRelease(nf, this.#receiving, n, this.#receiving + BURST * (4 + FRAME_SIZE));
    this.#pool?.offer(n);
    loops.netfrontPost(nf);
    this.#publish(this.b);
  }

  /** Shows the back end what is new, and wakes it if it asked for that: no event channel, but what one would bring. */
  #publish(guest: Guest): void {
    const wake = this.#machine.loops.netfrontPublish(guest.netfront.state);
    if (wake !== 0) this.#machine.engine.wake(guest.netback.id, 0);
  }
}

/** 0 … pages - 1, as they lie or shuffled: for each guest in another way, and in every run in the same. */
function orderOf(pages: number, shuffle: boolean, seed: number): ArrayLike<number> {
  const order = shuffle ? shuffled(pages, randomSource(seed)) : Array.from({ length: pages }, (_, i) => i);
  return Uint32Array.from(order);
}

/** From the Ethertype on: IPv4 and TCP that say what the frame's length says; the checksum is left blank. */
function tcpHeaders(length: number): Uint8Array {
  const bytes = new Uint8Array(TCP_HEADERS - 12);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x0800);
  view.setUint8(2, 0x45);
  view.setUint16(4, length - 14);
  view.setUint8(10, 64); // time to live
  view.setUint8(11, 6); // TCP
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2], 14);
  view.setUint16(22, 40000);
  view.setUint16(24, 5201);
  view.setUint8(34, 5 << 4); // data offset
  view.setUint8(35, 0x10); // ACK
  return bytes;
}
