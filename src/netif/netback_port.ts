/**
 * netback: a netif vif as a port, with one queue or several (netback_queue.ts). However many they are, the vif is one
 * port: one MAC, one burst of descriptors, one transfer. Which of its queues receives a frame its flow decides
 * (assembly/flow.ts).
 */
import { CT_QUEUES } from '../../assembly/control_layout.js';
import { C_CACHE_MISSES, C_EVENTS, C_IN_LIMITED, FENCE_RING_OVERFLOW } from '../../assembly/counters.js';
import { BURST } from '../../assembly/layout.js';
import {
  MISSES_PER_ROUND,
  NB_CONTROL_DUE,
  NB_FENCED,
  QUEUES_MAX,
  SET_CONTROL,
  SET_COUNT,
  SET_LIST_SIZE,
  SET_LISTS,
  SET_QUEUES,
} from '../../assembly/netif_layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import { fillList, type PortBlock, portBlock } from '../datapath/frames.js';
import type { Port } from '../datapath/port.js';
import { SoftwareOffload } from '../datapath/software.js';
import type { Transfer } from '../transfer/transfer.js';
import { ControlRing } from './control_ring.js';
import {
  netbackCounters,
  queueState,
  SEGMENTS_MAX,
  setMulticastControl,
  setXdpHeadroom,
  VIF_CONTROL,
  VIF_RATE,
  VIF_SENDERS,
  VIF_SET,
  VIF_SOFTWARE,
} from './netback_memory.js';
import { NetbackQueue, type Notify, type QueueRings, type VifCommons } from './netback_queue.js';
import { type Rate, RateLimit } from './rate.js';
import { writeSenders } from './senders.js';

export interface NetbackOptions {
  readonly id: number;
  readonly name: string;
  readonly domid: number;
  /** 1 … QUEUES_MAX of them. */
  readonly queues: readonly QueueRings[];
  /** Of the vif, where these are not all of them: other threads have the rest. */
  readonly queuesInAll?: number;
  /** What the front end can receive: FE_*. */
  readonly features: number;
  /** PORT_BLOCK, netbackMemory(queues) and BOUNCE_SIZE zeroed bytes; SEGMENTS_SIZE of the thread's. */
  readonly block: number;
  readonly memory: number;
  readonly bounce: number;
  readonly segments: number;
  /** Readable when the guest signals. */
  readonly descriptors: readonly number[];
  readonly transfer: Transfer;
  /** false: its frames always have descriptors, never the direct lane (assembly/lane.ts). */
  readonly direct?: boolean;
  /** Its control ring, if it has one: the mapped page, and the peer's wake-up. The last descriptor is its own. */
  readonly control?: { readonly ring: number; readonly notify: Notify } | undefined;
  readonly multicastControl?: boolean | undefined;
  readonly xdpHeadroom?: number | undefined;
  /** What the guest may send; default: as much as it likes. */
  readonly rate?: Rate | undefined;
  /** IP addresses and networks that it may be sender of (IP, ARP, ND), with `mac`; none: any. */
  readonly addresses?: readonly string[] | undefined;
  readonly mac?: Uint8Array;
  /** ms, as performance.now. */
  readonly clock?: () => number;
  /** False: frames are brought into the back end's own memory before they are copied to this guest (the lab's two steps). */
  readonly takesGrants?: boolean;
}

export class NetbackPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  readonly takesGrants: boolean;
  readonly descriptors: readonly number[];
  readonly direct: number;
  readonly inspected: boolean;
  readonly senders: number;
  /** Localizes frames of other ports for software offloads; the datapath thread sets it. */
  localizeForeign: (list: number, n: number) => void = () => {};
  readonly #u32: Uint32Array;
  readonly #loops: Loops;
  readonly #memory: number;
  /** Index of the first queue's NB_FENCED. */
  readonly #fencedAt: number;
  readonly #segments: number;
  readonly #bounce: number;
  readonly #block: PortBlock;
  readonly #transfer: Transfer;
  readonly #control: ControlRing | undefined;
  readonly #rate: RateLimit | undefined;
  readonly #queues: readonly NetbackQueue[];
  /** The only one, where it is that: most vifs are spared the loops. */
  readonly #only: NetbackQueue | undefined;
  /** Address of the queue set, 0 with a single queue. */
  readonly #set: number;
  /** The queue that is read first: each time another one. */
  #turn = 0;
  /** The queue whose frame waits for credit, where there are several; -1: none. */
  #owed = -1;

  constructor(arena: Arena, loops: Loops, options: NetbackOptions) {
    const { memory, transfer, segments, domid } = options;
    const count = options.queues.length;
    if (count < 1 || count > QUEUES_MAX) throw new RangeError(`${count} queues`);
    this.id = options.id;
    this.name = options.name;
    this.descriptors = options.descriptors;
    this.takesGrants = options.takesGrants ?? true;
    this.#u32 = arena.u32;
    this.#loops = loops;
    this.#memory = memory;
    this.#fencedAt = (memory + NB_FENCED) / 4;
    // Only where its grants turn into addresses one by one, and not around the two steps.
    const lane = options.direct !== false && this.takesGrants && (transfer.cache || transfer.domain);
    this.direct = lane ? memory : 0;
    this.#segments = segments;
    this.#bounce = options.bounce;
    this.#transfer = transfer;
    this.#block = portBlock(options.block);
    this.list = this.#block.list;
    this.counters = this.#block.counters;
    fillList(arena, this.#block);
    const { rate, addresses = [], mac, clock = () => performance.now() } = options;
    if (rate) this.#rate = new RateLimit(arena, memory + VIF_RATE, rate, clock);
    this.senders = addresses.length > 0 && mac ? memory + VIF_SENDERS : 0;
    if (mac && this.senders !== 0) writeSenders(arena, this.senders, addresses, mac);
    this.inspected = this.#rate !== undefined || this.senders !== 0;
    const control = memory + VIF_CONTROL;
    const { queuesInAll = count } = options;
    this.#u32[(control + CT_QUEUES) / 4] = queuesInAll;
    this.#set = count === 1 ? 0 : memory + VIF_SET;
    const vif: VifCommons = {
      arena,
      loops,
      port: this.id,
      domid,
      features: options.features,
      transfer,
      control,
      set: this.#set,
      rate: this.#rate ? memory + VIF_RATE : 0,
      segments,
      segmentsMax: Math.min(SEGMENTS_MAX, transfer.most ?? SEGMENTS_MAX),
      software: new SoftwareOffload(arena, loops, memory + VIF_SOFTWARE),
      localizeForeign: (list, n) => this.localizeForeign(list, n),
    };
    const [, ...counters] = netbackCounters(options.block, memory, count);
    this.#queues = options.queues.map((rings, q) => {
      const state = queueState(memory, count, q);
      if (this.#set !== 0) this.#u32[(this.#set + SET_QUEUES) / 4 + q] = state;
      return new NetbackQueue(vif, rings, state, counters[q] ?? this.counters);
    });
    this.#only = count === 1 ? this.#queues[0] : undefined;
    if (this.#set !== 0) {
      this.#u32[(this.#set + SET_CONTROL) / 4] = control;
      this.#u32[(this.#set + SET_COUNT) / 4] = count;
    }
    // A list of groups that a predecessor kept died with it, and no filter is better than an empty list.
    const listed = options.multicastControl === true && !this.#queues.some((queue) => queue.resumed);
    setMulticastControl(arena, memory, listed);
    setXdpHeadroom(arena, memory, options.xdpHeadroom ?? 0);
    if (options.control) {
      const due = queueState(memory, count, 0) + NB_CONTROL_DUE;
      const hashes = queuesInAll === count;
      const shared = { state: control, due, segments, domid, counters: this.counters, transfer, hashes };
      this.#control = new ControlRing(arena, loops, { ...options.control, ...shared });
    }
  }

  /** One queue that breaks the protocol ends them all. */
  get fenced(): number {
    if (this.#only) return this.#u32[this.#fencedAt];
    let why = 0;
    for (let q = 0; q < this.#queues.length && why === 0; q++) why = this.#queues[q].fenced;
    if (why !== 0) this.#fence(why);
    return why;
  }

  get cramped(): boolean {
    const queues = this.#queues;
    for (let q = 0; q < queues.length; q++) if (queues[q].cramped) return true;
    return false;
  }

  pull(waiting: number): number {
    if (this.#control?.due) this.#serveControl(this.#control, waiting);
    if (waiting === BURST) return waiting;
    return this.#rate ? this.#meter(this.#rate, waiting) : this.#read(waiting);
  }

  /** Reads what its credit allows. */
  #meter(rate: RateLimit, waiting: number): number {
    rate.refill();
    const before = rate.short;
    const frames = this.#read(waiting);
    if (!before && rate.short) countUp(this.#u32, this.counters, C_IN_LIMITED);
    return frames;
  }

  #read(waiting: number): number {
    const queues = this.#queues;
    const count = queues.length;
    this.#transfer.tick();
    if (this.#only) return waiting + this.#only.pull(this.list + waiting * 4, BURST - waiting);
    let n = waiting;
    // Who found too little credit is next when there is more: small frames of the others would take it again and again.
    if (this.#owed >= 0) {
      n += queues[this.#owed].pull(this.list + n * 4, 1);
      if (this.#rate?.short === true) return n;
      this.#owed = -1;
    }
    this.#turn = this.#turn + 1 < count ? this.#turn + 1 : 0;
    const missed = this.#misses;
    for (let i = 0; i < count && n < BURST; i++) {
      const q = (this.#turn + i) % count;
      n += queues[q].pull(this.list + n * 4, BURST - n);
      if (this.#rate?.short === true) {
        this.#owed = q;
        break;
      }
      // Many queues make no more mappings in a round than one (netbackPull).
      if ((this.#misses - missed) >>> 0 >= MISSES_PER_ROUND) break;
    }
    return n;
  }

  /** Pages that its mapping cache has had to map, modulo 2³². */
  get #misses(): number {
    return this.#transfer.name === 'persistent' ? this.#u32[(this.counters + C_CACHE_MISSES * 8) / 4] : 0;
  }

  push(list: number, n: number, now: number): void {
    if (this.#only) {
      this.#only.push(list, n, now);
      return;
    }
    const queues = this.#queues;
    const set = this.#set;
    this.#loops.netbackSteer(set, list, n);
    for (let q = 0; q < queues.length; q++) {
      const mine = set + SET_LISTS + q * SET_LIST_SIZE;
      const frames = this.#u32[mine / 4];
      if (frames > 0) queues[q].push(mine + 4, frames, now);
    }
  }

  localize(list: number, n: number): void {
    for (let from = 0; from < n; ) {
      const result = this.#loops.netbackBounce(this.#memory, list, from, n, this.#block.frames, this.#bounce);
      from = result & 0xffff;
      const segments = result >>> 16;
      if (segments === 0) continue;
      this.#transfer.move(this.#segments, segments);
      this.#loops.netbackBounced(this.#memory, segments);
    }
  }

  release(n: number): number {
    const waiting = this.#loops.netbackRelease(this.list, n, this.#block.scratch);
    if (waiting === 0) this.#transfer.settle();
    return waiting;
  }

  signal(): void {
    for (let q = 0; q < this.#queues.length; q++) this.#queues[q].signal();
  }

  flush(): void {
    if (this.#only) this.#only.flush();
    else for (let q = 0; q < this.#queues.length; q++) this.#queues[q].flush();
  }

  answer(): void {
    if (this.#only) this.#only.answer();
    else for (let q = 0; q < this.#queues.length; q++) this.#queues[q].answer();
  }

  arm(waiting: number): boolean {
    if (this.#control?.due) return true;
    const queues = this.#queues;
    const reading = waiting < BURST && this.#rate?.short !== true;
    let work = false;
    for (let q = 0; q < queues.length; q++) if (queues[q].arm(reading)) work = true;
    return work;
  }

  get deadline(): number {
    return this.#rate?.deadline ?? Number.POSITIVE_INFINITY;
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
    this.#fence(FENCE_RING_OVERFLOW);
  }

  #fence(why: number): void {
    for (const queue of this.#queues) queue.fence(why);
  }
}
