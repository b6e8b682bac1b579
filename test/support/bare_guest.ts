/**
 * A guest without a netfront: the test writes its ring bytes, grants and pages itself, as a hostile kernel would.
 * Ring entries are addressed by free-running index.
 */
import {
  NETTXF_more_data,
  RXREQ_GREF,
  RXREQ_ID,
  RXRSP_FLAGS,
  RXRSP_ID,
  RXRSP_OFFSET,
  RXRSP_STATUS,
  TXREQ_FLAGS,
  TXREQ_GREF,
  TXREQ_ID,
  TXREQ_OFFSET,
  TXREQ_SIZE,
  TXRSP_ID,
  TXRSP_STATUS,
} from '../../src/abi/netif.js';
import {
  NETIF_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_PROD,
  RING_RSP_PROD,
  RX_ENTRY_SIZE,
  TX_ENTRY_SIZE,
} from '../../src/abi/ring.js';
import type { Arena } from '../../src/arena/arena.js';
import type { Loops } from '../../src/arena/loops.js';
import type { NetbackPort } from '../../src/netif/netback_port.js';
import {
  GREF_BASE,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_FIRST,
  PAGE_TX_RING,
} from '../../src/netif/netfront_memory.js';
import type { Domain } from '../../src/xen/embedded/domain.js';
import type { EmbeddedGrantOwner } from '../../src/xen/embedded/grants.js';

export interface TxSlot {
  readonly gref: number;
  readonly offset?: number;
  readonly flags?: number;
  readonly id?: number;
  readonly size: number;
}

export interface BareGuestParts {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly domain: Domain;
  readonly grants: EmbeddedGrantOwner;
  /** Arena address of its RAM, page 0. */
  readonly ram: number;
  readonly mac: Uint8Array;
  readonly netback: () => NetbackPort;
  /** First page of the share of its RAM that this queue has. */
  readonly firstPage?: number;
}

export class BareGuest {
  readonly domain: Domain;
  readonly grants: EmbeddedGrantOwner;
  readonly ram: number;
  readonly mac: Uint8Array;
  readonly txRing: number;
  readonly rxRing: number;
  /** Requests written, published or not. */
  txProd = 0;
  rxProd = 0;
  /** What else begins anew with its rings. */
  onInit: () => void = () => {};
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #netback: () => NetbackPort;
  readonly #firstGref: number;

  constructor(parts: BareGuestParts) {
    this.#arena = parts.arena;
    this.#loops = parts.loops;
    this.#netback = parts.netback;
    this.domain = parts.domain;
    this.grants = parts.grants;
    const first = parts.firstPage ?? 0;
    this.ram = parts.ram + first * 4096;
    this.#firstGref = GREF_BASE + first;
    this.mac = parts.mac;
    this.txRing = this.ram + PAGE_TX_RING * 4096;
    this.rxRing = this.ram + PAGE_RX_RING * 4096;
    this.initRings();
  }

  get netback(): NetbackPort {
    return this.#netback();
  }

  initRings(): void {
    this.#loops.initRing(this.txRing);
    this.#loops.initRing(this.rxRing);
    this.txProd = 0;
    this.rxProd = 0;
    this.onInit();
  }

  /** Arena address of the n-th page to transmit from, and its reference. */
  txPage(n: number): number {
    return this.ram + (PAGE_TX_FIRST + n) * 4096;
  }
  txGref(n: number): number {
    return this.#firstGref + PAGE_TX_FIRST + n;
  }

  /** The same of the n-th page to receive into (writable for the back end). */
  rxPage(n: number): number {
    return this.ram + (PAGE_RX_FIRST + n) * 4096;
  }
  rxGref(n: number): number {
    return this.#firstGref + PAGE_RX_FIRST + n;
  }

  txEntry(index: number): number {
    return this.txRing + RING_ENTRIES + (index % NETIF_RING_SIZE) * TX_ENTRY_SIZE;
  }
  rxEntry(index: number): number {
    return this.rxRing + RING_ENTRIES + (index % NETIF_RING_SIZE) * RX_ENTRY_SIZE;
  }

  /** Writes a request at the next index. `flags` as they are. */
  putTx(slot: TxSlot): void {
    const at = this.txEntry(this.txProd);
    const { view } = this.#arena;
    view.setUint32(at + TXREQ_GREF, slot.gref >>> 0, true);
    view.setUint16(at + TXREQ_OFFSET, slot.offset ?? 0, true);
    view.setUint16(at + TXREQ_FLAGS, slot.flags ?? 0, true);
    view.setUint16(at + TXREQ_ID, slot.id ?? this.txProd & 0xff, true);
    view.setUint16(at + TXREQ_SIZE, slot.size, true);
    this.txProd = (this.txProd + 1) >>> 0;
  }

  /** Writes an extra info at the next index. */
  putExtra(bytes: readonly number[]): void {
    const at = this.txEntry(this.txProd);
    this.#arena.u8.fill(0, at, at + TX_ENTRY_SIZE);
    this.#arena.u8.set(bytes, at);
    this.txProd = (this.txProd + 1) >>> 0;
  }

  /** A well-formed packet: its bytes go to pages from `page` on, `pieces` bytes each (together all of them). */
  putPacket(bytes: Uint8Array, page = 0, pieces: readonly number[] = [bytes.length], flags = 0): void {
    let at = 0;
    pieces.forEach((size, i) => {
      this.#arena.u8.set(bytes.subarray(at, at + size), this.txPage(page + i));
      const more = i + 1 < pieces.length ? NETTXF_more_data : 0;
      const first = i === 0 ? flags : 0;
      this.putTx({ gref: this.txGref(page + i), flags: more | first, size: i === 0 ? bytes.length : size });
      at += size;
    });
  }

  publishTx(prod = this.txProd): void {
    Atomics.store(this.#arena.u32, (this.txRing + RING_REQ_PROD) / 4, prod >>> 0);
  }

  /** Posts `count` pages from page `first` on. */
  postRx(count: number, first = this.rxProd % NETIF_RING_SIZE, gref = (n: number) => this.rxGref(n)): void {
    for (let i = 0; i < count; i++) {
      const at = this.rxEntry(this.rxProd);
      this.#arena.view.setUint16(at + RXREQ_ID, this.rxProd & 0xff, true);
      this.#arena.view.setUint32(at + RXREQ_GREF, gref(first + i) >>> 0, true);
      this.rxProd = (this.rxProd + 1) >>> 0;
    }
    this.publishRx();
  }

  publishRx(prod = this.rxProd): void {
    Atomics.store(this.#arena.u32, (this.rxRing + RING_REQ_PROD) / 4, prod >>> 0);
  }

  get txAnswered(): number {
    return Atomics.load(this.#arena.u32, (this.txRing + RING_RSP_PROD) / 4);
  }
  get rxAnswered(): number {
    return Atomics.load(this.#arena.u32, (this.rxRing + RING_RSP_PROD) / 4);
  }

  txResponse(index: number): { id: number; status: number } {
    const at = this.txEntry(index);
    const { view } = this.#arena;
    return { id: view.getUint16(at + TXRSP_ID, true), status: view.getInt16(at + TXRSP_STATUS, true) };
  }

  rxResponse(index: number): { id: number; offset: number; flags: number; status: number } {
    const at = this.rxEntry(index);
    const { view } = this.#arena;
    return {
      id: view.getUint16(at + RXRSP_ID, true),
      offset: view.getUint16(at + RXRSP_OFFSET, true),
      flags: view.getUint16(at + RXRSP_FLAGS, true),
      status: view.getInt16(at + RXRSP_STATUS, true),
    };
  }
}
