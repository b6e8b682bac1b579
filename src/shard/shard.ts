/** A datapath thread as its owner sees it: ports are attached and detached, counters are read from the arena. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Arena } from '../arena/arena.js';
import { FORWARDING_SIZE } from '../datapath/forwarding.js';
import { SEGMENTS_SIZE } from '../netif/netback_memory.js';
import { SetupError } from '../sys/errors.js';
import { createEventFd, drain, signal } from '../sys/eventfd.js';
import { close } from '../sys/libc.js';
import type { EventChannels } from '../xen/event_channels.js';
import type { Platform, ThreadShare } from '../xen/platform.js';
import {
  HEARTBEAT_SIZE,
  type PortSpec,
  type ShardMessage,
  type ShardRequest,
  type ShardStart,
} from './spec.js';

/** ms between looks at the heartbeat. */
const WATCH = 250;

type Unsequenced<T> = T extends { sequence: number } ? Omit<T, 'sequence'> : never;

interface Waiting {
  resolve(reply: { io?: 'io_uring' | 'plain' }): void;
  reject(error: Error): void;
}

export class Shard<E extends EventChannels = EventChannels> {
  /** A peer broke the protocol; it takes no part any more and should be detached. `why`: FENCE_*. */
  onFenced: (id: number, why: number) => void = () => {};
  /** A peer keeps a wake-up of ours blocked, again and again; `fd` is what we signal it by. */
  onBlocked: (fd: number) => void = () => {};
  /** A peer made signals of ours wait, and cannot any more; `fd` likewise. */
  onSlowed: (fd: number) => void = () => {};
  /** The thread died by a fault of ours. */
  onFailure: (error: Error) => void = () => {};
  readonly #share: ThreadShare<E> | undefined;
  readonly #arena: Arena;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #controlFd: number;
  readonly #memory: number;
  readonly #heartbeat: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #watch: NodeJS.Timeout | undefined;
  #readable: () => void = () => {};
  #sequence = 0;
  #stuck = { fd: 0, rounds: -1 };
  #closing = false;
  /** Why the thread is no more; whoever asks it for something is told at once. */
  #failure: Error | undefined;

  /** `platform`: whose domains its netbacks serve; without one it serves a guest, whose event channels are eventfds. */
  constructor(arena: Arena, platform?: Platform<E>) {
    this.#arena = arena;
    this.#share = platform?.openThread();
    this.#memory = arena.allocate(MEMORY, 'a datapath thread');
    this.#controlFd = createEventFd();
    const segments = this.#memory;
    const forwarding = segments + SEGMENTS_SIZE;
    this.#heartbeat = forwarding + Math.ceil(FORWARDING_SIZE / 8) * 8;
    const start: ShardStart = {
      memory: arena.memory,
      controlFd: this.#controlFd,
      forwarding,
      segments,
      heartbeat: this.#heartbeat,
      platform: this.#share?.start ?? { kind: 'embedded', records: 0, iovecs: 0 },
    };
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { start, port: port2 },
      transferList: [port2],
    });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('error', (error) => this.#failed(error));
    if (running.size === 0) process.once('exit', stopRunning);
    running.add(this);
    port1.on('message', (message: ShardMessage) => this.#heard(message));
    if (platform?.kind !== 'embedded') return; // a guest's back end is the daemon; Xen's notify never blocks
    this.#watch = setInterval(() => this.#lookAtHeartbeat(), WATCH);
    this.#watch.unref();
  }

  /** The event channels that this thread hears. */
  get events(): E {
    if (!this.#share) throw new Error('a guest asks for its event channels where it was made');
    return this.#share.events;
  }

  /**
   * Resolves when the port takes part; a tap's answer says how it is read and written. `threads`: as
   * AttachOptions'.
   */
  attach(spec: PortSpec, threads = 0): Promise<{ io?: 'io_uring' | 'plain' }> {
    return this.#ask({ op: 'attach', spec, threads });
  }

  /** Frames for `mac` go to port `id`, whose own it is not. Rejects when the MAC is known already. */
  async route(mac: Uint8Array, id: number): Promise<void> {
    await this.#ask({ op: 'route', mac, id });
  }

  async unroute(mac: Uint8Array, id: number): Promise<void> {
    await this.#ask({ op: 'unroute', mac, id });
  }

  /** Resolves when the thread touches nothing of that port any more. */
  async detach(id: number): Promise<void> {
    await this.#ask({ op: 'detach', id });
  }

  /** Joins two ports: what one receives goes to the other, unseen. */
  async wire(a: number, b: number): Promise<void> {
    await this.#ask({ op: 'wire', a, b });
  }

  /**
   * Calls `heard` whenever `fd`, which stays the caller's, gets something to read: the thread waits for it beside all else.
   * One descriptor at a time.
   */
  async watch(fd: number, heard: () => void): Promise<void> {
    this.#readable = heard;
    await this.#ask({ op: 'watch', fd });
  }

  /** Resolves when the thread does not wait for it any more: before it is closed. */
  async unwatch(fd: number): Promise<void> {
    this.#readable = () => {};
    await this.#ask({ op: 'unwatch', fd });
  }

  /** Stops the thread; all ports are detached then. */
  async close(): Promise<void> {
    if (this.#closing) return this.#exited;
    this.#closing = true;
    clearInterval(this.#watch);
    await this.#ask({ op: 'stop' }).catch(() => {});
    await this.#exited;
    running.delete(this);
    if (running.size === 0) process.off('exit', stopRunning);
    this.#port.close();
    close(this.#controlFd);
    this.#arena.free(this.#memory, MEMORY);
    this.#share?.close();
  }

  /** The process ends without `close`: Node waits for the thread then, which may sleep in the kernel. */
  abandon(): void {
    Atomics.store(this.#arena.u32, this.#heartbeat / 4 + 2, 1);
    signal(this.#controlFd);
    const blocked = Atomics.load(this.#arena.u32, this.#heartbeat / 4 + 1);
    if (blocked !== 0) drain(blocked - 1);
  }

  #ask(request: Unsequenced<ShardRequest>): Promise<{ io?: 'io_uring' | 'plain' }> {
    const sequence = ++this.#sequence;
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.set(sequence, { resolve, reject });
      this.#port.postMessage({ ...request, sequence });
      signal(this.#controlFd);
    });
  }

  #heard(message: ShardMessage): void {
    if ('fenced' in message) {
      this.onFenced(message.fenced, message.why);
      return;
    }
    if ('slowedBy' in message) {
      this.onSlowed(message.slowedBy);
      return;
    }
    if ('readable' in message) {
      this.#readable();
      return;
    }
    const waiting = this.#waiting.get(message.sequence);
    this.#waiting.delete(message.sequence);
    if (message.error !== undefined) waiting?.reject(new SetupError(message.error));
    else waiting?.resolve(message.io ? { io: message.io } : {});
  }

  #failed(error: Error): void {
    this.#failure = error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.onFailure(error);
  }

  /**
   * A guest shares the open file of its event channel: it can clear O_NONBLOCK and fill the counter, and our write
   * blocks. Then the thread stands still in one signal; emptying that counter lets it go on (XSA-391's kin).
   */
  #lookAtHeartbeat(): void {
    const rounds = Atomics.load(this.#arena.u32, this.#heartbeat / 4);
    const fd = Atomics.load(this.#arena.u32, this.#heartbeat / 4 + 1);
    if (fd !== 0 && fd === this.#stuck.fd && rounds === this.#stuck.rounds) {
      if (drain(fd - 1)) this.onBlocked(fd - 1);
    }
    this.#stuck = { fd, rounds };
  }
}

/** Not closed yet. One listener for all: Node warns of more than ten. */
const running = new Set<Shard>();

function stopRunning(): void {
  for (const shard of running) shard.abandon();
}

const MEMORY = SEGMENTS_SIZE + FORWARDING_SIZE + 64 + HEARTBEAT_SIZE;
