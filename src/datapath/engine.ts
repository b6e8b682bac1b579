/**
 * The burst engine: pull from every port, classify, push, release, and at the end of the round (or, with many busy
 * ports, of a part of it) show peers what is new. Runs to completion on one thread; frames that must wait stay with their source port.
 *
 * A port that has been quiet for a while can be parked: it is armed, costs nothing, and is polled again from its next
 * wake-up on. So a round costs what its busy ports cost, however many there are.
 */

import { DROP_PORT_GONE } from '../../assembly/counters.js';
import {
  PORT_FLYING,
  PORT_QUIET,
  PORT_WOKEN,
  TURN_GENERAL,
  TURN_MOVED,
  TURN_PLACE,
} from '../../assembly/forward_layout.js';
import { BURST, F_SETTLED, F_VERDICT, PORTS_MAX } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { Forwarding } from './forwarding.js';
import type { Port } from './port.js';

/** Rounds without a frame after which a port may be parked. */
const QUIET_ROUNDS = 16;
/**
 * Ports with something new that are shown it before the round goes on. With many busy ones, the lines of their rings
 * would have left the CPU's caches by the end of the round, and the first would wait for the last.
 */
const SHOWN_TOGETHER = 16;
/** ms that all frames of a source may wait, or hold up all others, before those for the slowest receiver are given up. */
const BLOCKED_MOST = 10;

export interface AttachOptions {
  /** 6 bytes: the port's MAC. */
  readonly mac?: Uint8Array;
  readonly anySource?: boolean;
  /** Exchanges no frames with other isolated ports. */
  readonly isolated?: boolean;
  /**
   * Of several datapath threads, those whose group frames do not come to this part by a junction, a bit each. A port has them once,
   * however many parts it has: on the thread where a frame came in, if it has a part there, else by the first of its parts.
   */
  readonly threads?: number;
  /** Of a junction: the bit of the thread at its other end. */
  readonly beyond?: number;
}

export class Engine {
  readonly forwarding: Forwarding;
  readonly #arena: Arena;
  readonly #loops: Loops;
  /** By id. */
  readonly #ports: (Port | undefined)[] = new Array(PORTS_MAX).fill(undefined);
  /** Attached, in order of arrival. */
  #active: Port[] = [];
  /** Those of them that are not parked. */
  #polled: Port[] = [];
  /** By id: 1 while the port is parked. */
  readonly #parked = new Uint8Array(PORTS_MAX);
  /** Place in #polled at which the next round begins: nobody is always the first to find a receiver's room. */
  #first = 0;
  /** Those that had frames in this round, in order. */
  readonly #sources: (Port | undefined)[] = new Array(PORTS_MAX).fill(undefined);
  #sourceCount = 0;
  readonly #fences = new Set<number>();
  /** Fenced in this round and not reported yet. */
  #fenced: Port[] = [];
  /** A port whose peer broke the protocol, once, at the end of that round. It takes no part from then on. */
  onFenced: (port: Port) => void = () => {};

  /** `forwarding`: FORWARDING_SIZE zeroed bytes of arena. */
  constructor(arena: Arena, loops: Loops, forwarding: number) {
    this.#arena = arena;
    this.#loops = loops;
    this.forwarding = new Forwarding(arena, loops, forwarding);
  }

  get ports(): readonly Port[] {
    return this.#active;
  }

  /** False when another port has that MAC; the port is then not attached. */
  attach(port: Port, options: AttachOptions = {}): boolean {
    const { mac, ...rest } = options;
    const { senders = 0, direct = 0 } = port;
    if (!this.forwarding.attach(port.id, port.counters, mac, { ...rest, senders })) return false;
    this.#ports[port.id] = port;
    this.forwarding.direct(port.id, direct, !port.inspected);
    this.#active = [...this.#active, port];
    this.#poll([...this.#polled, port]);
    this.#parked[port.id] = 0;
    this.#set(port.id, PORT_QUIET, 0);
    this.#set(port.id, PORT_FLYING, 0);
    return true;
  }

  /** Frames on their way to it are dropped and counted where they came from; its own are forgotten. */
  detach(id: number): void {
    const port = this.#ports[id];
    if (!port) return;
    this.forwarding.detach(id);
    this.#ports[id] = undefined;
    this.#sources.fill(undefined);
    this.#active = this.#active.filter((p) => p !== port);
    this.#poll(this.#polled.filter((p) => p !== port));
    this.#fences.delete(id);
    this.#fenced = this.#fenced.filter((p) => p !== port);
    this.#loops.settleAll(port.counters, port.list, this.#flying(id));
    this.#set(id, PORT_FLYING, 0);
    for (const other of this.#active) this.#forget(other, id);
    port.close();
  }

  /** One round over all ports that are not parked. True when any frame moved. `now`: wrapping ms clock, never 0. */
  round(now: number): boolean {
    const polled = this.#polled;
    const count = polled.length; // ports that frames wake meanwhile are polled from the next round on
    let moved = false;
    this.#loops.cacheRound();
    this.#first = this.#first + 1 < count ? this.#first + 1 : 0;
    for (let at = 0; at < count; ) {
      const seen = this.#loops.laneTurns(this.forwarding.address, this.#first, count, at, count);
      if ((seen & TURN_MOVED) !== 0) moved = true;
      if (this.forwarding.wokenCount > 0) this.#signal();
      at = seen & TURN_PLACE;
      if ((seen & TURN_GENERAL) === 0) continue;
      if (this.#turn(polled[(this.#first + at) % count], now)) moved = true;
      at++;
    }
    this.#flush();
    if (this.#fenced.length > 0) this.#report();
    return moved;
  }

  /** A port's turn by the general path. True when any frame moved. */
  #turn(port: Port, now: number): boolean {
    if (this.forwarding.touchedCount >= SHOWN_TOGETHER) this.#flush();
    const waiting = this.#flying(port.id);
    const n = port.pull(waiting);
    if (port.fenced !== 0) this.#fence(port);
    if (n === 0) return false;
    this.#set(port.id, PORT_QUIET, 0);
    this.forwarding.touch(port.id);
    this.#sources[this.#sourceCount++] = port;
    if (waiting === BURST || (waiting > 0 && port.cramped === true)) this.#relieve(port, waiting, now);
    this.#route(port, n, now);
    const left = port.release(n);
    this.#set(port.id, PORT_FLYING, left);
    return n > left;
  }

  /** Nothing more of `port` comes in before some of the `waiting` frames are done with. */
  #relieve(port: Port, waiting: number, now: number): void {
    const forwarding = this.forwarding.address;
    this.#loops.relieve(forwarding, port.list, waiting, now, BLOCKED_MOST);
    const crowder = port.crowder?.(waiting, now) ?? 0;
    if (crowder !== 0) this.#loops.relieveOf(forwarding, crowder, port.list, waiting);
  }

  /** Before sleeping: every port that is not parked asks for a wake-up. True when one has work already. */
  arm(): boolean {
    let work = false;
    const polled = this.#polled;
    for (let i = 0; i < polled.length; i++) if (polled[i].arm(this.#flying(polled[i].id))) work = true;
    return work;
  }

  /** Parks the ports that had no frame lately. For an owner that hands on every wake-up to `wake`. */
  park(): void {
    const polled = this.#polled;
    for (let i = 0; i < polled.length; i++) {
      if (this.#quiet(polled[i].id) < QUIET_ROUNDS) continue;
      const staying = polled.filter(({ id }) => {
        const stays =
          this.#quiet(id) < QUIET_ROUNDS ||
          this.#flying(id) > 0 ||
          this.#deadlineOf(id) < Number.POSITIVE_INFINITY ||
          this.#ports[id]?.arm(0) !== false;
        if (!stays) this.#parked[id] = 1;
        return stays;
      });
      this.#poll(staying);
      return;
    }
  }

  /** Descriptor number `index` of a port is readable. */
  wake(id: number, index: number): void {
    const port = this.#ports[id];
    if (!port) return;
    this.#unpark(port);
    port.wake(index);
  }

  #unpark(port: Port): void {
    this.#set(port.id, PORT_QUIET, 0);
    if (this.#parked[port.id] === 0) return;
    this.#parked[port.id] = 0;
    this.#polled.push(port);
    this.#poll(this.#polled);
  }

  /** These have a turn in each round from now on. */
  #poll(ports: Port[]): void {
    this.#polled = ports;
    this.forwarding.poll(ports);
  }

  /** Rounds since the port's last frame. */
  #quiet(id: number): number {
    return this.#arena.u32[this.forwarding.indexOf(id, PORT_QUIET)];
  }

  /** Frames of the port in flight. */
  #flying(id: number): number {
    return this.#arena.u32[this.forwarding.indexOf(id, PORT_FLYING)];
  }

  #set(id: number, field: number, value: number): void {
    this.#arena.u32[this.forwarding.indexOf(id, field)] = value;
  }

  /** ms clock at which a port has work though nobody wakes it; Infinity when none will. */
  get deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#polled.length; i++)
      first = Math.min(first, this.#deadlineOf(this.#polled[i].id));
    return first;
  }

  #deadlineOf(id: number): number {
    return this.#ports[id]?.deadline ?? Number.POSITIVE_INFINITY;
  }

  /** True while frames wait for a receiver: sleep no longer than their deadline. */
  get waiting(): boolean {
    for (let i = 0; i < this.#polled.length; i++) if (this.#flying(this.#polled[i].id) > 0) return true;
    return false;
  }

  /** Wakes the peers that the direct lane showed something, and that asked for it. */
  #signal(): void {
    const { u32 } = this.#arena;
    const woken = this.forwarding.woken / 4;
    const n = u32[woken];
    for (let i = 1; i <= n; i++) {
      const id = u32[woken + i];
      this.#set(id, PORT_WOKEN, 0);
      const port = this.#ports[id];
      if (port === undefined) continue;
      port.signal?.();
      if (port.fenced !== 0) this.#fence(port); // the direct lane found it out
    }
    u32[woken] = 0;
  }

  /** Shows the peers of the ports that had frames, or got some, what is new; and only then that theirs are done with. */
  #flush(): void {
    const { u32 } = this.#arena;
    const touched = this.forwarding.touched / 4;
    const n = u32[touched];
    for (let i = 1; i <= n; i++) {
      const port = this.#ports[u32[touched + i]];
      if (port === undefined) continue;
      port.flush();
    }
    for (let i = 0; i < this.#sourceCount; i++) this.#sources[i]?.answer?.();
    this.#sourceCount = 0;
    this.forwarding.untouch();
  }

  #route(source: Port, n: number, now: number): void {
    const forwarding = this.forwarding.address;
    this.#loops.classify(forwarding, source.list, n);
    const targets = this.#loops.dispatch(forwarding, source.list, n);
    const u32 = this.#arena.u32;
    // First what some receiver cannot take as grants: a group frame is settled by the first push.
    for (let t = 0; t < targets; t++) {
      const id = u32[this.forwarding.targets / 4 + 1 + t];
      const list = this.forwarding.listOf(id);
      if (this.#ports[id]?.takesGrants === false) source.localize(list + 4, u32[list / 4]);
    }
    for (let t = 0; t < targets; t++) {
      const id = u32[this.forwarding.targets / 4 + 1 + t];
      const list = this.forwarding.listOf(id);
      const target = this.#ports[id];
      if (target === undefined) continue;
      this.forwarding.touch(id);
      this.#unpark(target); // a frame that waits for its room needs it armed
      target.push(list + 4, u32[list / 4], now);
      if (target.fenced !== 0) this.#fence(target);
    }
    this.#loops.settleRound(forwarding, source.list, n);
  }

  #fence(port: Port): void {
    if (this.#fences.has(port.id)) return;
    this.#fences.add(port.id);
    this.#fenced.push(port);
  }

  /** At the end of the round: who hears of it may detach the port at once, and no burst is half done (XSA-90). */
  #report(): void {
    const fenced = this.#fenced;
    this.#fenced = [];
    for (const port of fenced) this.onFenced(port);
  }

  /** Settles the frames of `source` that were on their way to port `gone`. */
  #forget(source: Port, gone: number): void {
    const { u32, view } = this.#arena;
    for (let i = 0; i < this.#flying(source.id); i++) {
      const frame = u32[source.list / 4 + i];
      if (u32[(frame + F_VERDICT) / 4] !== gone || u32[(frame + F_SETTLED) / 4] !== 0) continue;
      u32[(frame + F_SETTLED) / 4] = 1;
      const counter = source.counters + DROP_PORT_GONE * 8;
      view.setBigUint64(counter, view.getBigUint64(counter, true) + 1n, true);
    }
  }
}
