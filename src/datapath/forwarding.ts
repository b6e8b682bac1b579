/** The forwarding table: MAC → port, and who is attached. The look-ups are in assembly/forward.ts. */
import {
  FWD_ACTIVE,
  FWD_MACS,
  FWD_POLLED,
  FWD_PORTS,
  FWD_SCRATCH,
  FWD_SHOWN,
  FWD_SIZE,
  FWD_TARGETS,
  FWD_TOUCHED,
  FWD_UPLINK,
  FWD_WOKEN,
  MAC_TABLE_SIZE,
  PORT_ANY_SOURCE,
  PORT_ATTACHED,
  PORT_BEYOND,
  PORT_CHECKED,
  PORT_COUNTERS,
  PORT_DIRECT,
  PORT_FLAGS,
  PORT_ISOLATED,
  PORT_LANE,
  PORT_LIST,
  PORT_LIST_SIZE,
  PORT_MAC,
  PORT_SENDERS,
  PORT_SIZE,
  PORT_THREADS,
  PORT_TOUCHED,
  PORT_WIRE,
  PORT_WIRED,
  SHOWN_SIZE,
} from '../../assembly/forward_layout.js';
import { FRAME_SIZE, PORTS_MAX } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';

const TARGETS_SIZE = 4 + PORTS_MAX * 4;
/** A MAC, and then the ports' records begin with a cache line. */
const SCRATCH = 64;
/** Bytes of arena for one forwarding table. */
export const FORWARDING_SIZE =
  FWD_SIZE +
  SCRATCH +
  FRAME_SIZE +
  MAC_TABLE_SIZE +
  PORTS_MAX * PORT_SIZE +
  5 * TARGETS_SIZE +
  SHOWN_SIZE +
  PORTS_MAX * PORT_LIST_SIZE;

/** What a port may do, see `attach`. */
interface Limits {
  readonly anySource?: boolean;
  readonly isolated?: boolean;
  readonly senders?: number;
  readonly threads?: number;
  readonly beyond?: number;
}

export class Forwarding {
  /** Address of the state, for the loops. */
  readonly address: number;
  /** u32 count, then the ids of ports with frames this round. */
  readonly targets: number;
  /** u32 count, then the ids of ports that had frames, or got some, since `untouch`. */
  readonly touched: number;
  /** u32 count, then the ids of ports whose peers are to be woken after turns of the direct lane. */
  readonly woken: number;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #ports: number;
  readonly #active: number;
  readonly #lists: number;
  readonly #polled: number;
  readonly #scratch: number;

  /** Takes FORWARDING_SIZE zeroed bytes at `address`. */
  constructor(arena: Arena, loops: Loops, address: number) {
    this.#arena = arena;
    this.#loops = loops;
    this.address = address;
    this.#scratch = address + FWD_SIZE;
    const macs = this.#scratch + SCRATCH + FRAME_SIZE;
    this.#set(address + FWD_SCRATCH, this.#scratch + SCRATCH);
    this.#ports = macs + MAC_TABLE_SIZE;
    this.targets = this.#ports + PORTS_MAX * PORT_SIZE;
    this.#active = this.targets + TARGETS_SIZE;
    this.touched = this.#active + TARGETS_SIZE;
    this.woken = this.touched + TARGETS_SIZE;
    this.#polled = this.woken + TARGETS_SIZE;
    const shown = this.#polled + TARGETS_SIZE;
    this.#lists = shown + SHOWN_SIZE;
    this.#set(address + FWD_WOKEN, this.woken);
    this.#set(address + FWD_POLLED, this.#polled);
    this.#set(address + FWD_SHOWN, shown);
    this.#set(address + FWD_TOUCHED, this.touched);
    this.#set(address + FWD_MACS, macs);
    this.#set(address + FWD_PORTS, this.#ports);
    this.#set(address + FWD_TARGETS, this.targets);
    this.#set(address + FWD_ACTIVE, this.#active);
  }

  /**
   * A port that sends from `mac` (6 bytes) only, or, with `anySource`, from any. Isolated ones exchange no frames with
   * each other. `senders`: address of the IP addresses it may be sender of, if that is checked. False: the MAC is
   * another's. `threads`, `beyond`: where there are several datapath threads, see AttachOptions.
   */
  attach(id: number, counters: number, mac: Uint8Array | undefined, limits: Limits = {}): boolean {
    const { anySource = false, isolated = false, senders = 0, threads = 0, beyond = 0 } = limits;
    const record = this.#record(id);
    if (mac) {
      this.#arena.u8.set(mac, this.#scratch);
      if (!this.#loops.macAdd(this.address, this.#scratch, id)) return false;
      this.#arena.view.setBigUint64(record + PORT_MAC, this.#loops.macKey(this.#scratch), true);
    }
    this.#set(record + PORT_COUNTERS, counters);
    this.#set(
      record + PORT_FLAGS,
      PORT_ATTACHED |
        (anySource ? PORT_ANY_SOURCE : 0) |
        (isolated ? PORT_ISOLATED : 0) |
        (senders === 0 ? 0 : PORT_CHECKED),
    );
    this.#set(record + PORT_SENDERS, senders);
    this.#set(record + PORT_THREADS, threads);
    this.#set(record + PORT_BEYOND, beyond);
    const n = this.#arena.u32[this.#active / 4];
    this.#arena.u32[this.#active / 4 + 1 + n] = id;
    this.#arena.u32[this.#active / 4] = n + 1;
    return true;
  }

  /**
   * `state`: address of an attached port's netback state: frames may go to it through the direct lane (assembly/lane.ts), and
   * its own, too, where it `sends` by it. 0: none.
   */
  direct(id: number, state: number, sends: boolean): void {
    const record = this.#record(id);
    this.#set(record + PORT_DIRECT, state);
    this.#set(record + PORT_LANE, sends ? state : 0);
  }

  /** Those that have a turn in each round, in order. */
  poll(ports: readonly { readonly id: number }[]): void {
    const at = this.#polled / 4;
    this.#arena.u32[at] = ports.length;
    for (let i = 0; i < ports.length; i++) this.#arena.u32[at + 1 + i] = ports[i].id;
  }

  /** Index of a word of a port's record: PORT_QUIET and others that the engine and the direct lane both write. */
  indexOf(id: number, field: number): number {
    return (this.#ports + id * PORT_SIZE + field) / 4;
  }

  /** The port has something new to show to its peer. */
  touch(id: number): void {
    const { u32 } = this.#arena;
    const flag = (this.#ports + id * PORT_SIZE + PORT_TOUCHED) / 4;
    if (u32[flag] !== 0) return;
    u32[flag] = 1;
    const count = this.touched / 4;
    u32[count]++;
    u32[count + u32[count]] = id;
  }

  /** How many ports have something new for their peers. */
  get touchedCount(): number {
    return this.#arena.u32[this.touched / 4];
  }

  /** How many are to be woken. */
  get wokenCount(): number {
    return this.#arena.u32[this.woken / 4];
  }

  untouch(): void {
    const { u32 } = this.#arena;
    const count = this.touched / 4;
    for (let i = u32[count]; i > 0; i--)
      u32[(this.#ports + u32[count + i] * PORT_SIZE + PORT_TOUCHED) / 4] = 0;
    u32[count] = 0;
  }

  /** What is for `mac` (6 bytes) goes to an attached port whose own it is not. False: somebody has it. */
  route(mac: Uint8Array, id: number): boolean {
    this.#arena.u8.set(mac, this.#scratch);
    return this.#loops.macAdd(this.address, this.#scratch, id) !== 0;
  }

  unroute(mac: Uint8Array, id: number): void {
    this.#arena.u8.set(mac, this.#scratch);
    this.#loops.macRemove(this.address, this.#scratch, id);
  }

  /** Joins two attached ports: what one receives the other gets, unseen. */
  wire(a: number, b: number): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      this.#set(this.#record(from) + PORT_WIRE, to);
      this.#set(this.#record(from) + PORT_FLAGS, PORT_ATTACHED | PORT_WIRED);
    }
  }

  detach(id: number): void {
    this.#loops.macRemovePort(this.address, id);
    const record = this.#record(id);
    this.#arena.view.setBigUint64(record + PORT_MAC, 0n, true);
    this.#set(record + PORT_FLAGS, 0);
    this.direct(id, 0, false);
    const count = this.#active / 4;
    const ids = [...this.#arena.u32.subarray(count + 1, count + 1 + this.#arena.u32[count])].filter(
      (p) => p !== id,
    );
    this.#arena.u32.set(ids, count + 1);
    this.#arena.u32[count] = ids.length;
    if (this.#arena.u32[(this.address + FWD_UPLINK) / 4] === id) this.uplink(0);
  }

  /** Where unknown unicast goes; 0 = nowhere, it is dropped and counted. */
  uplink(id: number): void {
    this.#set(this.address + FWD_UPLINK, id);
  }

  /** Address of a port's list of frames in this round: u32 count, then the frames. */
  listOf(id: number): number {
    return this.#lists + id * PORT_LIST_SIZE;
  }

  #record(id: number): number {
    if (id < 1 || id >= PORTS_MAX) throw new RangeError(`port id ${id}`);
    const record = this.#ports + id * PORT_SIZE;
    this.#set(record + PORT_LIST, this.listOf(id));
    return record;
  }

  #set(address: number, value: number): void {
    this.#arena.u32[address / 4] = value;
  }
}
