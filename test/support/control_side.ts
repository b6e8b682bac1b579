/** The front end's side of a control ring as a test writes it, byte for byte. */
import {
  CTRLREQ_DATA0,
  CTRLREQ_ID,
  CTRLREQ_TYPE,
  CTRLRSP_DATA,
  CTRLRSP_ID,
  CTRLRSP_STATUS,
  CTRLRSP_TYPE,
  GREF_STATUS,
  XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING,
  XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING,
  XEN_NETIF_GREF_SIZE,
} from '../../src/abi/netif_ctrl.js';
import {
  CTRL_ENTRY_SIZE,
  NETIF_CTRL_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_PROD,
  RING_RSP_PROD,
} from '../../src/abi/ring.js';
import { type ControlResponse, type StaticPage, writeList } from '../../src/netif/control_front.js';
import { GREF_BASE, PAGE_CTRL_LIST, PAGE_CTRL_RING } from '../../src/netif/netfront_memory.js';
import type { BareGuest } from './bare_guest.js';
import type { Machine } from './machine.js';

export const LIST_GREF = GREF_BASE + PAGE_CTRL_LIST;

export class ControlSide {
  /** Arena addresses. */
  readonly ring: number;
  readonly list: number;
  /** Requests written. */
  prod = 0;
  readonly #machine: Machine;
  readonly #guest: BareGuest;

  constructor(machine: Machine, guest: BareGuest) {
    this.#machine = machine;
    this.#guest = guest;
    this.ring = guest.ram + PAGE_CTRL_RING * 4096;
    this.list = guest.ram + PAGE_CTRL_LIST * 4096;
  }

  /** A fresh ring, for a new connection. */
  init(): void {
    this.#machine.loops.initRing(this.ring);
    this.prod = 0;
  }

  entry(index: number): number {
    return this.ring + RING_ENTRIES + (index % NETIF_CTRL_RING_SIZE) * CTRL_ENTRY_SIZE;
  }

  put(type: number, data: readonly number[] = [], id = this.prod & 0xffff): void {
    const at = this.entry(this.prod);
    const { view } = this.#machine.arena;
    view.setUint16(at + CTRLREQ_ID, id, true);
    view.setUint16(at + CTRLREQ_TYPE, type, true);
    for (let i = 0; i < 3; i++) view.setUint32(at + CTRLREQ_DATA0 + i * 4, (data[i] ?? 0) >>> 0, true);
    this.prod = (this.prod + 1) >>> 0;
  }

  /** Shows `prod` requests and signals. */
  publish(prod = this.prod): void {
    Atomics.store(this.#machine.arena.u32, (this.ring + RING_REQ_PROD) / 4, prod >>> 0);
    this.#guest.netback.wakeControl();
  }

  get answered(): number {
    return Atomics.load(this.#machine.arena.u32, (this.ring + RING_RSP_PROD) / 4);
  }

  response(index: number): ControlResponse {
    const at = this.entry(index);
    const { view } = this.#machine.arena;
    return {
      id: view.getUint16(at + CTRLRSP_ID, true),
      type: view.getUint16(at + CTRLRSP_TYPE, true),
      status: view.getUint32(at + CTRLRSP_STATUS, true),
      data: view.getUint32(at + CTRLRSP_DATA, true),
    };
  }

  /** One request and its answer as [status, data]; a long list takes a while, and one that is refused twice that. */
  ask(type: number, ...data: readonly number[]): [status: number, data: number] {
    this.put(type, data);
    this.publish();
    for (let i = 0; i < 40 && this.answered !== this.prod; i++) this.#machine.engine.round(this.#machine.now);
    const { status, data: result } = this.response(this.prod - 1);
    return [status, result];
  }

  add(pages: readonly StaticPage[], queue = 0): [status: number, data: number] {
    writeList(this.#machine.arena, this.list, pages);
    return this.ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, queue, LIST_GREF, pages.length);
  }

  /** Its answer, and the status of each entry. */
  delete(references: readonly number[], queue = 0): { answer: [number, number]; statuses: number[] } {
    const pages = references.map((reference) => ({ reference, readOnly: false }));
    writeList(this.#machine.arena, this.list, pages);
    const answer = this.ask(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, queue, LIST_GREF, pages.length);
    const { view } = this.#machine.arena;
    const statuses = pages.map((_, i) =>
      view.getUint16(this.list + i * XEN_NETIF_GREF_SIZE + GREF_STATUS, true),
    );
    return { answer, statuses };
  }
}
