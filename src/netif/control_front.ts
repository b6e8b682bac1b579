/**
 * The front end's half of a control ring: requests out, answers in. The announcement of pages is written as a
 * generator, so that a guest drives it with waits and the lab's machine without.
 */
import { PAGE_SIZE } from '../../assembly/layout.js';
import {
  CTRLREQ_DATA0,
  CTRLREQ_DATA1,
  CTRLREQ_DATA2,
  CTRLREQ_ID,
  CTRLREQ_TYPE,
  CTRLRSP_DATA,
  CTRLRSP_ID,
  CTRLRSP_STATUS,
  CTRLRSP_TYPE,
  GREF_FLAGS,
  GREF_REF,
  GREF_STATUS,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING,
  XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE,
  XEN_NETIF_CTRLF_GREF_readonly,
  XEN_NETIF_GREF_SIZE,
} from '../abi/netif_ctrl.js';
import { CTRL_ENTRY_SIZE, NETIF_CTRL_RING_SIZE, RING_ENTRIES, RING_RSP_PROD } from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';

/** XEN_NETIF_CTRL_TYPE_* and data[3]. */
export type ControlRequest = readonly [type: number, data0?: number, data1?: number, data2?: number];

export interface ControlResponse {
  readonly id: number;
  readonly type: number;
  /** XEN_NETIF_CTRL_STATUS_*. */
  readonly status: number;
  readonly data: number;
}

export class ControlFront {
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #ring: number;
  readonly #notify: () => void;
  #sent = 0;
  #taken = 0;

  /** `ring`: arena address of the initialized ring page; `notify` wakes the back end. */
  constructor(arena: Arena, loops: Loops, ring: number, notify: () => void) {
    this.#arena = arena;
    this.#loops = loops;
    this.#ring = ring;
    this.#notify = notify;
  }

  /** Sends a request; its id, or undefined while the ring is full of unanswered ones. */
  send([type, data0 = 0, data1 = 0, data2 = 0]: ControlRequest): number | undefined {
    if (this.#sent - this.#taken >= NETIF_CTRL_RING_SIZE) return undefined;
    const at = this.#entry(this.#sent);
    const id = this.#sent & 0xffff;
    const { view } = this.#arena;
    view.setUint16(at + CTRLREQ_ID, id, true);
    view.setUint16(at + CTRLREQ_TYPE, type, true);
    view.setUint32(at + CTRLREQ_DATA0, data0, true);
    view.setUint32(at + CTRLREQ_DATA1, data1, true);
    view.setUint32(at + CTRLREQ_DATA2, data2, true);
    const from = this.#sent++;
    if (this.#loops.pushRequests(this.#ring, from, this.#sent) !== 0) this.#notify();
    return id;
  }

  /** The next answer; undefined when there is none. A back end that answers what was not asked is not listened to. */
  take(): ControlResponse | undefined {
    const { u32, view } = this.#arena;
    const ready = (Atomics.load(u32, (this.#ring + RING_RSP_PROD) / 4) - this.#taken) >>> 0;
    if (ready === 0 || ready > this.#sent - this.#taken) return undefined;
    const at = this.#entry(this.#taken++);
    return {
      id: view.getUint16(at + CTRLRSP_ID, true),
      type: view.getUint16(at + CTRLRSP_TYPE, true),
      status: view.getUint32(at + CTRLRSP_STATUS, true),
      data: view.getUint32(at + CTRLRSP_DATA, true),
    };
  }

  #entry(index: number): number {
    return this.#ring + RING_ENTRIES + (index % NETIF_CTRL_RING_SIZE) * CTRL_ENTRY_SIZE;
  }
}

/** A page to announce. */
export interface StaticPage {
  readonly reference: number;
  /** The back end only reads it. */
  readonly readOnly: boolean;
}

/** Writes struct xen_netif_gref entries into the list page at arena address `list`. */
export function writeList(arena: Arena, list: number, pages: readonly StaticPage[]): void {
  pages.forEach(({ reference, readOnly }, i) => {
    const at = list + i * XEN_NETIF_GREF_SIZE;
    arena.view.setUint32(at + GREF_REF, reference, true);
    arena.view.setUint16(at + GREF_FLAGS, readOnly ? XEN_NETIF_CTRLF_GREF_readonly : 0, true);
    arena.view.setUint16(at + GREF_STATUS, 0, true);
  });
}

/**
 * Announces as many pages as the back end keeps: asks how many, then lists them, a page of entries at a time. Yields
 * requests, takes their answers, and returns how many pages were announced. `pages` gives the most useful ones first,
 * at most `room`. `list`: arena address of a granted page, `reference` its grant. `queue`: whose pages they are.
 */
export function* announcement(
  arena: Arena,
  list: number,
  reference: number,
  pages: (room: number) => readonly StaticPage[],
  queue = 0,
): Generator<ControlRequest, number, ControlResponse> {
  const size = yield [XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, queue];
  if (size.status !== XEN_NETIF_CTRL_STATUS_SUCCESS || size.data === 0) return 0;
  const wanted = pages(size.data);
  const most = PAGE_SIZE / XEN_NETIF_GREF_SIZE;
  let done = 0;
  while (done < wanted.length) {
    const some = wanted.slice(done, done + most);
    writeList(arena, list, some);
    const added = yield [XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, queue, reference, some.length];
    if (added.status !== XEN_NETIF_CTRL_STATUS_SUCCESS) break; // the others are copied by grant
    done += some.length;
  }
  return done;
}
