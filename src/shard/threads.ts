/**
 * The datapath threads of a back end. A port has a part on one of them, or on several (a queue each, or some); each thread
 * forwards among its own parts, and for a port that has none there it knows the way: a junction to a thread that has.
 *
 *   thread 0: vif a, queues 0 and 2 · tap, queue 0          thread 1: vif a, queues 1 and 3 · vif b · tap, queue 1
 *                        └──────────── junction, each way ────────────┘
 *
 * So frames of ports that are everywhere (taps, guests with many queues) never change threads, and those that do are copied
 * once more. A flow stays on its path, hence in order.
 */
import { JUNCTION_SIZE } from '../../assembly/junction_layout.js';
import { PORTS_MAX } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import { type PortCounters, readCounters } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import { createEventFd } from '../sys/eventfd.js';
import { close } from '../sys/libc.js';
import type { EventChannels } from '../xen/event_channels.js';
import type { Platform } from '../xen/platform.js';
import { Shard } from './shard.js';
import type { PortSpec } from './spec.js';

/** What of a port one thread has. */
export interface PortPart {
  readonly thread: number;
  /** All parts of a port have its id. */
  readonly spec: PortSpec;
}

interface Attached {
  readonly parts: readonly PortPart[];
  readonly mac: Uint8Array | undefined;
  /** The threads that know the way to its MAC, and by which junction. */
  readonly routes: Route[];
}

interface Route {
  readonly thread: number;
  readonly to: number;
}

export class Threads<E extends EventChannels = EventChannels> {
  /** As Shard's, whichever thread it was; a port's once. */
  onFenced: (id: number, why: number) => void = () => {};
  onBlocked: (fd: number) => void = () => {};
  onSlowed: (fd: number) => void = () => {};
  readonly shards: readonly Shard<E>[];
  readonly #arena: Arena;
  /** Parts by thread: where there are fewest a new port goes. */
  readonly #load: number[];
  readonly #attached = new Map<number, Attached>();
  readonly #fenced = new Set<number>();
  /** By thread: counter blocks of its junctions. */
  readonly #junctions: number[][];
  /** What a junction takes, given back after the threads. */
  readonly #undo: (() => void)[] = [];

  private constructor(arena: Arena, shards: readonly Shard<E>[], onFailure: (error: Error) => void) {
    this.#arena = arena;
    this.shards = shards;
    this.#load = shards.map(() => 0);
    this.#junctions = shards.map(() => []);
    for (const shard of shards) {
      shard.onFenced = (id, why) => this.#fence(id, why);
      shard.onBlocked = (fd) => this.onBlocked(fd);
      shard.onSlowed = (fd) => this.onSlowed(fd);
      shard.onFailure = onFailure;
    }
  }

  /**
   * Starts `count` threads, 1 … THREADS_MAX (spec.ts) of them. `onFailure`: one died by a fault of ours; from the start on. Throws
   * SetupError or SysError, or what a thread died of; nothing is left then.
   */
  static async open<E extends EventChannels>(
    arena: Arena,
    platform: Platform<E>,
    count: number,
    onFailure: (error: Error) => void,
  ): Promise<Threads<E>> {
    const shards: Shard<E>[] = [];
    try {
      for (let i = 0; i < count; i++) shards.push(new Shard(arena, platform));
    } catch (error) {
      await Promise.all(shards.map((shard) => shard.close()));
      throw error;
    }
    const threads = new Threads(arena, shards, onFailure);
    try {
      await threads.#join();
    } catch (error) {
      await threads.close();
      throw error;
    }
    return threads;
  }

  /** Port ids from here on are the junctions'. */
  get portsMax(): number {
    return this.shards.length === 1 ? PORTS_MAX : junctionTo(this.shards.length - 1);
  }

  /** `count` threads for as many parts, those with the fewest parts first; less where there are not as many. */
  place(count: number): number[] {
    const byLoad = this.#load
      .map((_, thread) => thread)
      .sort((a, b) => this.#load[a] - this.#load[b] || a - b);
    return byLoad.slice(0, count);
  }

  /**
   * Attaches all parts of a port; resolves when it takes part and the other threads know the way to `mac`, with how a tap is read
   * and written. Nothing is attached when it rejects.
   */
  async attach(
    id: number,
    mac: Uint8Array | undefined,
    parts: readonly PortPart[],
  ): Promise<{ io?: 'io_uring' | 'plain' }> {
    const mask = parts.reduce((bits, { thread }) => bits | (1 << thread), 0);
    this.#fenced.delete(id);
    const routes: Route[] = [];
    this.#attached.set(id, { parts, mac, routes });
    for (const { thread } of parts) this.#load[thread]++;
    try {
      let answer = {};
      for (const [i, { thread, spec }] of parts.entries())
        answer = await this.shards[thread].attach(spec, i === 0 ? mask : EVERYWHERE);
      for (const route of this.#elsewhere(parts)) {
        if (!mac) break;
        await this.shards[route.thread].route(mac, route.to);
        routes.push(route);
      }
      return answer;
    } catch (error) {
      await this.detach(id).catch(() => {});
      throw error;
    }
  }

  /** Resolves, or rejects (a thread failed), when no thread touches anything of that port any more. */
  async detach(id: number): Promise<void> {
    const attached = this.#attached.get(id);
    if (!attached) return;
    this.#attached.delete(id);
    const { parts, mac, routes } = attached;
    for (const { thread } of parts) this.#load[thread]--;
    // What fails is of a thread that is no more; the others have to let go all the same.
    const unrouted = routes.map(({ thread, to }) => mac && this.shards[thread].unroute(mac, to));
    const undone = await Promise.allSettled(unrouted);
    undone.push(...(await Promise.allSettled(parts.map(({ thread }) => this.shards[thread].detach(id)))));
    for (const step of undone) if (step.status === 'rejected') throw step.reason;
  }

  /** What a thread's junctions brought it, and what became of what it sent through them. */
  junctionCounters(thread: number): PortCounters {
    return readCounters(this.#arena, ...this.#junctions[thread]);
  }

  /** Parts of ports on that thread. */
  partsOn(thread: number): number {
    return this.#load[thread];
  }

  async close(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.close()));
    for (let undo = this.#undo.pop(); undo; undo = this.#undo.pop()) undo();
  }

  /** A junction for each two threads. */
  async #join(): Promise<void> {
    for (let a = 0; a < this.shards.length; a++) {
      for (let b = a + 1; b < this.shards.length; b++) {
        const [there, back] = [this.#allocate(JUNCTION_SIZE), this.#allocate(JUNCTION_SIZE)];
        const [fdA, fdB] = [this.#eventFd(), this.#eventFd()];
        await this.#attachJunction(a, b, { outbox: there, inbox: back, waitFd: fdA, notifyFd: fdB });
        await this.#attachJunction(b, a, { outbox: back, inbox: there, waitFd: fdB, notifyFd: fdA });
      }
    }
  }

  async #attachJunction(
    from: number,
    to: number,
    ends: { outbox: number; inbox: number; waitFd: number; notifyFd: number },
  ): Promise<void> {
    const block = this.#allocate(PORT_BLOCK);
    this.#junctions[from].push(block);
    const id = junctionTo(to);
    const spec = { kind: 'junction', id, name: `thread ${to}`, block, beyond: 1 << to, ...ends } as const;
    // What came by a junction goes through no other.
    await this.shards[from].attach(spec, EVERYWHERE);
  }

  /** The threads that have no part of a port, and their junction to one that has. */
  #elsewhere(parts: readonly PortPart[]): Route[] {
    const here = new Set(parts.map(({ thread }) => thread));
    const [first] = parts;
    return this.shards.flatMap((_, thread) =>
      here.has(thread) ? [] : [{ thread, to: junctionTo(first.thread) }],
    );
  }

  #fence(id: number, why: number): void {
    if (this.#fenced.has(id)) return;
    this.#fenced.add(id);
    this.onFenced(id, why);
  }

  #allocate(bytes: number): number {
    const address = this.#arena.allocate(bytes, 'a junction of datapath threads');
    this.#undo.push(() => this.#arena.free(address, bytes));
    return address;
  }

  #eventFd(): number {
    const fd = createEventFd();
    this.#undo.push(() => close(fd));
    return fd;
  }
}

/** Of a part to which no junction brings group frames. */
const EVERYWHERE = 0xffffffff;

/** Port id of the junction that leads to a thread, on every other thread. */
function junctionTo(thread: number): number {
  return PORTS_MAX - 1 - thread;
}
