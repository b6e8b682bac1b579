/**
 * The back end's half of a vif's control ring (xen/io/netif.h, "Control ring"): hash configuration and static grants.
 * Served on the datapath thread, a few requests a round and only after an event, so that a storm of requests costs the
 * frames of others little. Every field is read once. A request is answered, in order, with the status that netif.h
 * names; where it leaves a choice, as Linux netback (xen-netback/hash.c).
 */

import {
  CT_ALGORITHM,
  CT_HASH_FLAGS,
  CT_KEY,
  CT_MAPPING,
  CT_MAPPING_SIZE,
  CT_QUEUES,
  CT_STAGE,
  HASH_KEY_MAX,
  HASH_MAPPING_MAX,
} from '../../assembly/control_layout.js';
import { C_CONTROL, C_CONTROL_REFUSED, C_NOTIFICATIONS } from '../../assembly/counters.js';
import { CACHE_CAPACITY } from '../../assembly/grant_layout.js';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_STATUS,
  SEG_SIZE,
} from '../../assembly/layout.js';
import {
  CTRLREQ_DATA0,
  CTRLREQ_DATA1,
  CTRLREQ_DATA2,
  CTRLREQ_ID,
  CTRLRSP_DATA,
  CTRLRSP_STATUS,
  XEN_NETIF_CTRL_HASH_ALGORITHM_NONE,
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
  XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW,
  XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
  XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING,
  XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING,
  XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE,
  XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS,
  XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE,
  XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
  XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS,
  XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
  XEN_NETIF_GREF_SIZE,
} from '../abi/netif_ctrl.js';
import {
  CTRL_ENTRY_SIZE,
  NETIF_CTRL_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_EVENT,
  RING_REQ_PROD,
  RING_RSP_PROD,
} from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import type { Transfer } from '../transfer/transfer.js';
import { PageLists, WORKING } from './page_lists.js';

/** Requests served in one round of the engine; one that takes longer (a key, a list of pages) is the round's last. */
const ROUND_MOST = 8;
const HASH_TYPES =
  XEN_NETIF_CTRL_HASH_TYPE_IPV4 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
/** References in one list: it lies in one page. */
export const GREF_LIST_MAX = PAGE_SIZE / XEN_NETIF_GREF_SIZE;

const SUCCESS = XEN_NETIF_CTRL_STATUS_SUCCESS;
const INVALID = XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
const UNSUPPORTED = XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
const OVERFLOW = XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;

export interface ControlRingOptions {
  /** Arena address of the mapped ring page. */
  readonly ring: number;
  /** CT_SIZE zeroed bytes. */
  readonly state: number;
  /** A byte, 1 while there may be requests: the direct lane leaves the vif to those who serve them. */
  readonly due: number;
  /** One segment at least, of the thread's. */
  readonly segments: number;
  readonly domid: number;
  readonly counters: number;
  readonly transfer: Transfer;
  /** False: other threads receive frames for the same vif and cannot see its hash, so it has none. */
  readonly hashes: boolean;
  /** Wakes the front end. */
  readonly notify: () => void;
}

export class ControlRing {
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #loops: Loops;
  readonly #ring: number;
  readonly #state: number;
  readonly #due: number;
  readonly #stage: number;
  readonly #segments: number;
  readonly #domid: number;
  readonly #counters: number;
  readonly #transfer: Transfer;
  readonly #hashes: boolean;
  readonly #notify: () => void;
  /** Requests read, each of them answered. */
  #cons: number;
  readonly #lists: PageLists;
  /** Of the request that is being answered: id and type as one word, and the reference of its list. */
  #head = 0;
  #listAt = 0;
  #listBytes = 0;
  /** The `data` of the answer being made. */
  #data = 0;

  constructor(arena: Arena, loops: Loops, options: ControlRingOptions) {
    this.#u32 = arena.u32;
    this.#u8 = arena.u8;
    this.#view = arena.view;
    this.#loops = loops;
    this.#ring = options.ring;
    this.#state = options.state;
    this.#due = options.due;
    this.due = true;
    this.#stage = options.state + CT_STAGE;
    this.#segments = options.segments;
    this.#domid = options.domid;
    this.#counters = options.counters;
    this.#transfer = options.transfer;
    this.#hashes = options.hashes;
    this.#notify = options.notify;
    this.#lists = new PageLists(loops, this.#stage);
    this.#cons = Atomics.load(arena.u32, (options.ring + RING_RSP_PROD) / 4);
  }

  /** There may be requests. */
  get due(): boolean {
    return this.#u8[this.#due] !== 0;
  }

  set due(due: boolean) {
    this.#u8[this.#due] = due ? 1 : 0;
  }

  /**
   * Serves some of what is there. `frames`: u32[flying], the vif's own in flight, which may refer to pages that are
   * taken away. False when the front end claims more requests than the ring holds.
   */
  serve(frames: number, flying: number): boolean {
    const prod = Atomics.load(this.#u32, (this.#ring + RING_REQ_PROD) / 4);
    const from = this.#cons;
    if ((prod - from) >>> 0 > NETIF_CTRL_RING_SIZE) return false;
    for (let served = 0; this.#cons !== prod && served < ROUND_MOST; served++) {
      const at = this.#ring + RING_ENTRIES + (this.#cons % NETIF_CTRL_RING_SIZE) * CTRL_ENTRY_SIZE;
      const status = this.#lists.busy ? this.#goOn(frames, flying) : this.#begin(at, frames, flying);
      if (status === WORKING) break;
      const type = this.#head >>> 16;
      countUp(this.#u32, this.#counters, C_CONTROL);
      if (status !== SUCCESS) countUp(this.#u32, this.#counters, C_CONTROL_REFUSED);
      this.#view.setUint32(at + CTRLREQ_ID, this.#head, true);
      this.#view.setUint32(at + CTRLRSP_STATUS, status, true);
      this.#view.setUint32(at + CTRLRSP_DATA, this.#data, true);
      this.#view.setUint32(at + CTRL_ENTRY_SIZE - 4, 0, true);
      this.#cons = (this.#cons + 1) >>> 0;
      const listed =
        type === XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING || type === XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING;
      if (listed || type === XEN_NETIF_CTRL_TYPE_SET_HASH_KEY) break;
    }
    if (this.#cons !== from && this.#loops.pushResponses(this.#ring, from, this.#cons) !== 0) {
      countUp(this.#u32, this.#counters, C_NOTIFICATIONS);
      this.#notify();
    }
    if (this.#cons !== prod) return true; // the rest in the next round
    Atomics.store(this.#u32, (this.#ring + RING_REQ_EVENT) / 4, (prod + 1) >>> 0);
    this.due = Atomics.load(this.#u32, (this.#ring + RING_REQ_PROD) / 4) !== prod;
    return true;
  }

  /** Reads a request, and answers it with a status; or WORKING, and then `#goOn` does. */
  #begin(at: number, frames: number, flying: number): number {
    this.#head = this.#view.getUint32(at + CTRLREQ_ID, true); // u16 id, u16 type
    const data0 = this.#view.getUint32(at + CTRLREQ_DATA0, true);
    const data1 = this.#view.getUint32(at + CTRLREQ_DATA1, true);
    const data2 = this.#view.getUint32(at + CTRLREQ_DATA2, true);
    this.#data = 0;
    return this.#answer(this.#head >>> 16, data0, data1, data2, frames, flying);
  }

  #answer(type: number, d0: number, d1: number, d2: number, frames: number, flying: number): number {
    switch (type) {
      case XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:
        if (this.#get(CT_ALGORITHM) === XEN_NETIF_CTRL_HASH_ALGORITHM_NONE) return UNSUPPORTED;
        this.#data = HASH_TYPES;
        return SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS:
        if ((d0 & ~HASH_TYPES) !== 0) return INVALID;
        if (this.#get(CT_ALGORITHM) === XEN_NETIF_CTRL_HASH_ALGORITHM_NONE) return INVALID;
        return this.#set(CT_HASH_FLAGS, d0);
      case XEN_NETIF_CTRL_TYPE_SET_HASH_KEY:
        return this.#setKey(d0, d1);
      case XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
        this.#data = HASH_MAPPING_MAX;
        return SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE:
        if (d0 > HASH_MAPPING_MAX) return INVALID;
        this.#u32.fill(0, (this.#state + CT_MAPPING) / 4, (this.#state + CT_MAPPING) / 4 + HASH_MAPPING_MAX);
        return this.#set(CT_MAPPING_SIZE, d0);
      case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING:
        return this.#setMapping(d0, d1, d2);
      case XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM: {
        const known =
          d0 === XEN_NETIF_CTRL_HASH_ALGORITHM_NONE || d0 === XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
        if (known && d0 !== XEN_NETIF_CTRL_HASH_ALGORITHM_NONE && !this.#hashes) return UNSUPPORTED;
        return known ? this.#set(CT_ALGORITHM, d0) : INVALID;
      }
      case XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE:
        if (d0 >= this.#get(CT_QUEUES)) return INVALID;
        // 0 where the vif's transfer does not take announced pages; its queues share one table of them.
        if (this.#isStatic)
          this.#data = Math.floor(
            this.#u32[(this.#transfer.cache + CACHE_CAPACITY) / 4] / this.#get(CT_QUEUES),
          );
        return SUCCESS;
      case XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING:
        if (!this.#isStatic) return UNSUPPORTED;
        if (!this.#takeList(d0, d1, d2)) return INVALID;
        return this.#work(true, d1, d2, frames, flying);
      case XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING:
        if (!this.#isStatic) return UNSUPPORTED;
        return this.#delete(d0, d1, d2, frames, flying);
      default:
        return UNSUPPORTED;
    }
  }

  get #isStatic(): boolean {
    return this.#transfer.name === 'static';
  }

  /** Octets that are not given are zero; a key of none clears it, and every hash is zero then. */
  #setKey(gref: number, length: number): number {
    if (length > HASH_KEY_MAX) return OVERFLOW;
    if (length > 0 && !this.#fetch(gref, length)) return INVALID;
    const key = this.#state + CT_KEY;
    this.#u8.copyWithin(key, this.#stage, this.#stage + length);
    this.#u8.fill(0, key + length, key + HASH_KEY_MAX);
    this.#loops.toeplitzPrepare(this.#state);
    return SUCCESS;
  }

  #setMapping(gref: number, entries: number, offset: number): number {
    if (entries > HASH_MAPPING_MAX || offset + entries > HASH_MAPPING_MAX) return OVERFLOW;
    if (offset + entries > this.#get(CT_MAPPING_SIZE)) return INVALID;
    if (entries > 0 && !this.#fetch(gref, entries * 4)) return INVALID;
    const stage = this.#stage / 4;
    for (let i = 0; i < entries; i++) if (this.#u32[stage + i] >= this.#get(CT_QUEUES)) return INVALID;
    this.#u32.copyWithin((this.#state + CT_MAPPING) / 4 + offset, stage, stage + entries);
    return SUCCESS;
  }

  /** Entry by entry; the list goes back with a status for each. A list that cannot be written to changes nothing. */
  #delete(queue: number, gref: number, n: number, frames: number, flying: number): number {
    if (!this.#takeList(queue, gref, n)) return INVALID;
    if (n > 0 && !this.#store(gref, n * XEN_NETIF_GREF_SIZE)) return INVALID;
    return this.#work(false, gref, n, frames, flying);
  }

  #work(adding: boolean, gref: number, n: number, frames: number, flying: number): number {
    this.#lists.begin(this.#transfer.cache, adding, n);
    this.#listAt = gref;
    this.#listBytes = n * XEN_NETIF_GREF_SIZE;
    return this.#goOn(frames, flying);
  }

  #goOn(frames: number, flying: number): number {
    const status = this.#lists.work(frames, flying);
    if (status === WORKING || this.#head >>> 16 !== XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING) return status;
    this.#data = this.#lists.gone;
    if (this.#listBytes > 0) this.#store(this.#listAt, this.#listBytes);
    return status;
  }

  #takeList(queue: number, gref: number, n: number): boolean {
    if (queue >= this.#get(CT_QUEUES) || n > GREF_LIST_MAX) return false;
    return n === 0 || this.#fetch(gref, n * XEN_NETIF_GREF_SIZE);
  }

  /** The first bytes of a granted page come to the stage, or the other way round. */
  #fetch(gref: number, length: number): boolean {
    return this.#move(S_SRC_GREF, gref, S_DST_ADDR, length);
  }

  #store(gref: number, length: number): boolean {
    return this.#move(S_DST_GREF, gref, S_SRC_ADDR, length);
  }

  #move(granted: number, gref: number, local: number, length: number): boolean {
    const segment = this.#segments;
    this.#u8.fill(0, segment, segment + SEG_SIZE);
    this.#u32[(segment + granted) / 4] = gref;
    this.#view.setUint16(segment + (granted === S_SRC_GREF ? S_SRC_DOM : S_DST_DOM), this.#domid, true);
    this.#u32[(segment + local) / 4] = this.#stage;
    this.#view.setUint16(segment + S_LEN, length, true);
    this.#transfer.move(segment, 1);
    return this.#view.getInt16(segment + S_STATUS, true) === 0;
  }

  #get(field: number): number {
    return this.#u32[(this.#state + field) / 4];
  }

  #set(field: number, value: number): number {
    this.#u32[(this.#state + field) / 4] = value;
    return SUCCESS;
  }
}
