/** A tap of the daemon's own as a port of the datapath: a queue of it for each thread. */
import { closeSync } from 'node:fs';
import { HEADER_READ, TAP_BUFFER_SIZE } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { type PortCounters, readCounters } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import type { TapSpec } from '../shard/spec.js';
import type { Threads } from '../shard/threads.js';
import { linkInfo } from '../sys/netlink.js';
import { isDeleted, openTap, openTapQueue } from '../sys/tun.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import type { Undo } from './undo.js';
import type { PortIds } from './vifs.js';

/** Frames of the kernel's in flight at most. */
const BUFFERS = 96;

/** Where ports are made. */
export interface Datapath {
  readonly arena: Arena;
  readonly threads: Threads;
  readonly ports: PortIds;
}

/** What a tap is to the datapath. */
type Part = Pick<TapSpec, 'mac' | 'uplink' | 'isolated'>;

/** What each thread has of it: addresses in the arena. */
interface Memory {
  readonly block: number;
  readonly memory: number;
  readonly buffers: number;
  /** The first of BUFFERS buffers. */
  readonly first: number;
}

/**
 * A tap with a queue for each thread. When somebody deletes its interface, another takes its place (`remake`, `rejoin`):
 * port id, memory and counters stay.
 */
export class OwnTap {
  readonly #datapath: Datapath;
  #name = '';
  #ifindex = 0;
  #fds: number[] = [];
  #port: { readonly id: number; readonly part: Part; readonly memories: readonly Memory[] } | undefined;
  #joined = false;
  #io: 'io_uring' | 'plain' = 'plain';

  private constructor(datapath: Datapath) {
    this.#datapath = datapath;
  }

  /** Creates it; `undo` takes it away. Throws as openTap. */
  static create(datapath: Datapath, name: string, undo: Undo): OwnTap {
    const tap = new OwnTap(datapath);
    undo.push(() => tap.#closeQueues());
    tap.#openQueues(name);
    return tap;
  }

  get name(): string {
    return this.#name;
  }

  /** Somebody gave it another name. */
  renamed(name: string): void {
    this.#name = name;
  }

  /** Of its interface, or of the one it had. */
  get ifindex(): number {
    return this.#ifindex;
  }

  get io(): 'io_uring' | 'plain' {
    return this.#io;
  }

  /** Of all its time. */
  get counters(): PortCounters {
    const blocks = this.#port?.memories.map(({ block }) => block) ?? [];
    return readCounters(this.#datapath.arena, ...blocks);
  }

  /** Whether its interface is no more, here or in another network namespace. */
  get deleted(): boolean {
    const [first] = this.#fds;
    return first === undefined || isDeleted(first);
  }

  /** It takes part. What was made is taken back by `undo`, also when this throws. */
  async attach(part: Part, undo: Undo): Promise<void> {
    const { arena, ports } = this.#datapath;
    const allocate = (bytes: number) => {
      const address = arena.allocate(bytes, this.#name);
      undo.push(() => arena.free(address, bytes));
      return address;
    };
    const id = ports.take();
    undo.push(() => ports.give(id));
    const memories = this.#fds.map(() => ({
      block: allocate(PORT_BLOCK),
      memory: allocate(TAP_MEMORY),
      buffers: allocate(stackSize(BUFFERS)),
      first: allocate(BUFFERS * TAP_BUFFER_SIZE),
    }));
    this.#port = { id, part, memories };
    undo.push(() => this.#leave());
    await this.#join();
  }

  /** Another interface, with as many queues; it takes part once it rejoins. Throws as openTap; then there is none. */
  async remake(name: string): Promise<void> {
    await this.#leave();
    this.#closeQueues();
    this.#openQueues(name);
  }

  async rejoin(): Promise<void> {
    const { arena } = this.#datapath;
    // The kernel may still be about to end the old rings, and has their pages.
    for (const { memory } of this.#port?.memories ?? []) arena.unmap(memory, TAP_MEMORY);
    await this.#join();
  }

  async #join(): Promise<void> {
    if (!this.#port) return;
    const { arena, threads } = this.#datapath;
    const { id, part, memories } = this.#port;
    const parts = memories.map(({ block, memory, buffers, first }, thread) => {
      fillBuffers(arena, buffers, first, BUFFERS);
      const own = { id, name: this.#name, fd: this.#fds[thread], block, memory, buffers };
      const spec: TapSpec = { ...part, ...own, kind: 'tap', header: HEADER_READ };
      return { thread, spec };
    });
    const { io = 'plain' } = await threads.attach(id, part.mac, parts);
    this.#joined = true;
    this.#io = io;
  }

  async #leave(): Promise<void> {
    if (!this.#joined || !this.#port) return;
    this.#joined = false;
    await this.#datapath.threads.detach(this.#port.id);
  }

  #openQueues(name: string): void {
    const { threads } = this.#datapath;
    const multiQueue = threads.shards.length > 1;
    try {
      this.#fds.push(openTap(name, { multiQueue }).fd);
      while (this.#fds.length < threads.shards.length) this.#fds.push(openTapQueue(name));
      this.#ifindex = linkInfo(name)?.index ?? 0;
      this.#name = name;
    } catch (error) {
      this.#closeQueues();
      throw error;
    }
  }

  /** With the last of them the interface goes, wherever it is. */
  #closeQueues(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }
}
