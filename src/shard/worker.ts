/**
 * The datapath thread: rounds of the burst engine while there is work, one epoll wait when there is none. It never
 * returns to Node's event loop until it is told to stop; requests of its owner arrive on a message port that is
 * read synchronously when the control descriptor says so.
 */
import { setFlagsFromString } from 'node:v8';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { C_BLOCKED } from '../../assembly/counters.js';
import { NO_FRAME } from '../../assembly/grant_layout.js';
import { F_SRC } from '../../assembly/layout.js';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import { Engine } from '../datapath/engine.js';
import type { Port } from '../datapath/port.js';
import { Epoll } from '../sys/epoll.js';
import { clear } from '../sys/eventfd.js';
import { batchPolicy, nice } from '../sys/sched.js';
import { TapPort } from '../tap/tap_port.js';
import { EmbeddedThread } from '../xen/embedded/thread.js';
import { type Channel, EVENTS_TOKEN } from '../xen/event_channels.js';
import { NativeThread } from '../xen/native/thread.js';
import type { ThreadPlatform, ThreadStart } from '../xen/platform.js';
import { channelsOf, PortMaker } from './port_maker.js';
import type { NetbackSpec, PortSpec, ShardMessage, ShardRequest, ShardStart } from './spec.js';

const CONTROL = 0xffffffff;
/** Of the descriptor that the owner has watched. (EVENTS_TOKEN lies between.) */
const WATCHED = 0xfffffffd;
/** Of a port's wake-ups: its id, and the number of the descriptor or channel in the low bits. */
const TOKEN_SHIFT = 8;
const TOKEN_MASK = 2 ** TOKEN_SHIFT - 1;
/** ms between looks at frames that wait for a receiver. */
const RETRY = 5;
/** ms of one sleep: epoll_wait(2) takes an int. */
const LONGEST = 2 ** 31 - 1;
/** ms between two waits after which signals are looked at: did a peer keep one waiting? */
const SLOW = 2;
/**
 * Nice value in dom0. A frame given to the host's stack wakes who waits for it, who would push us off the CPU: one switch a
 * frame. With twice the share of a common task a burst is delivered whole, as by the softirq of the kernel's netback.
 */
const AHEAD = -3;
/** Rounds between looks at epoll while there is work. */
const POLL_EVERY = 4;

const { start, port: owner } = workerData as { start: ShardStart; port: MessagePort };

/**
 * What runs here runs for days, but only a few hundred times a second where the guests share the CPU: by V8's defaults it
 * would be slow code for its first ten seconds of traffic. So the loops are compiled whole at the start (40 ms), and
 * functions sooner (bytes of bytecode between two looks at what runs often).
 */
const SOON = ['--no-liftoff', '--no-wasm-lazy-compilation', '--interrupt-budget=4000'];
if (start.platform.kind === 'native') for (const flag of SOON) setFlagsFromString(flag);

class DatapathThread {
  readonly #arena = Arena.attach(start.memory);
  readonly #epoll = new Epoll();
  readonly #ports = new Map<number, Port>();
  /** By port: the channels whose events are its wake-ups. Other ports have descriptors. */
  readonly #channels = new Map<number, readonly Channel[]>();
  /** By port: whose pages it moves. */
  readonly #netbacks = new Map<number, NetbackSpec>();
  readonly #heartbeat = start.heartbeat / 4;
  readonly #loops = instantiateLoops(this.#arena, {
    mapPage: (cacheId, address, frame, writable) => this.#mapPage(cacheId, address, frame, writable !== 0),
  });
  readonly #platform: ThreadPlatform = this.#openPlatform(start.platform);
  readonly #maker = new PortMaker(this.#arena, this.#loops, this.#platform, start.segments);
  readonly #engine = new Engine(this.#arena, this.#loops, start.forwarding);
  #running = true;
  /** Clock at the end of the last wait. */
  #waited = Number.POSITIVE_INFINITY;
  /** A wrapping ms clock that is never 0, as of the last look at epoll: reading it may cost a system call (Xen's dom0). */
  #now = 1;

  constructor() {
    this.#epoll.add(start.controlFd, CONTROL);
    this.#engine.onFenced = (port) => this.#say({ fenced: port.id, why: port.fenced });
  }

  run(): void {
    batchPolicy();
    if (start.platform.kind === 'native') nice(AHEAD);
    this.#look();
    let busy = 0;
    this.#requests();
    while (this.#running) {
      if (this.#round()) {
        if (++busy % POLL_EVERY !== 0) continue;
        this.#engine.park();
        this.#wait(0);
      } else if (this.#engine.arm()) {
        this.#wait(0);
      } else {
        this.#wait(this.#patience());
      }
    }
    for (const id of [...this.#ports.keys()]) this.#detach(id);
    this.#platform.close();
    this.#epoll.close();
  }

  /** ms to sleep when nobody wakes us; -1: for ever. */
  #patience(): number {
    const { deadline } = this.#engine;
    const most = this.#engine.waiting ? RETRY : -1;
    if (deadline === Number.POSITIVE_INFINITY) return most;
    const left = Math.min(LONGEST, Math.max(0, Math.ceil(deadline - performance.now())));
    return most < 0 ? left : Math.min(most, left);
  }

  #round(): boolean {
    this.#arena.u32[this.#heartbeat]++;
    return this.#engine.round(this.#now);
  }

  #wait(timeout: number): void {
    const { events } = this.#platform;
    if (events.suspect !== undefined && performance.now() - this.#waited > SLOW) events.suspect();
    const n = this.#epoll.wait(timeout);
    this.#look();
    for (let i = 0; i < n; i++) {
      const token = this.#epoll.token(i);
      if (token === CONTROL) this.#requests();
      else if (token === EVENTS_TOKEN) this.#events();
      else if (token === WATCHED) this.#say({ readable: true });
      else this.#wake(token);
    }
  }

  #look(): void {
    this.#waited = performance.now();
    this.#now = this.#waited | 0 || 1;
  }

  #events(): void {
    const { events } = this.#platform;
    const n = events.collect();
    for (let i = 0; i < n; i++) this.#wake(events.token(i));
  }

  #wake(token: number): void {
    this.#engine.wake(token >>> TOKEN_SHIFT, token & TOKEN_MASK);
  }

  #requests(): void {
    clear(start.controlFd);
    if (Atomics.load(this.#arena.u32, this.#heartbeat + 2) !== 0) {
      this.#running = false;
      return;
    }
    for (;;) {
      const received = receiveMessageOnPort(owner) as { message: ShardRequest } | undefined;
      if (!received) return;
      const request = received.message;
      try {
        this.#say({ sequence: request.sequence, ...this.#obey(request) });
      } catch (error) {
        this.#say({
          sequence: request.sequence,
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }

  #obey(request: ShardRequest): { io?: 'io_uring' | 'plain' } {
    if (request.op === 'attach') return this.#attach(request.spec, request.threads);
    if (request.op === 'detach') this.#detach(request.id);
    else if (request.op === 'route') this.#route(request.mac, request.id);
    else if (request.op === 'unroute') this.#engine.forwarding.unroute(request.mac, request.id);
    else if (request.op === 'watch') this.#epoll.add(request.fd, WATCHED);
    else if (request.op === 'unwatch') this.#epoll.remove(request.fd);
    else if (request.op === 'wire') this.#engine.forwarding.wire(request.a, request.b);
    else this.#running = false;
    return {};
  }

  #openPlatform(platform: ThreadStart): ThreadPlatform {
    if (platform.kind === 'native') return new NativeThread(this.#arena, this.#loops, platform, this.#epoll);
    const signalling = this.#heartbeat + 1;
    return new EmbeddedThread(this.#arena, this.#loops, platform, this.#epoll, signalling, (fd) =>
      this.#slowed(fd),
    );
  }

  /** A peer made signals wait. */
  #slowed(fd: number): void {
    for (const [id, channels] of this.#channels) {
      const port = this.#ports.get(id);
      if (port && channels.some((channel) => channel.notifyFd === fd))
        countUp(this.#arena.u32, port.counters, C_BLOCKED);
    }
    this.#say({ slowedBy: fd });
  }

  #attach(spec: PortSpec, threads: number): { io?: 'io_uring' | 'plain' } {
    let port: Port;
    try {
      port = this.#open(spec);
    } catch (error) {
      this.#forget(spec.id);
      throw error;
    }
    const mac = spec.kind === 'tap' || spec.kind === 'netback' ? spec.mac : undefined;
    const { uplink = false, isolated = false } = spec.kind === 'tap' ? spec : {};
    const { beyond = 0 } = spec.kind === 'junction' ? spec : {};
    const anySource = uplink || beyond !== 0;
    if (!this.#engine.attach(port, { ...(mac ? { mac } : {}), anySource, isolated, threads, beyond })) {
      port.close();
      this.#forget(spec.id);
      throw new Error(`${spec.name}: its MAC belongs to another port`);
    }
    this.#ports.set(port.id, port);
    if (uplink) this.#engine.forwarding.uplink(port.id);
    try {
      this.#listen(port, spec);
    } catch (error) {
      this.#detach(port.id); // the owner frees its memory when this fails
      throw error;
    }
    return port instanceof TapPort ? { io: port.io.kind } : {};
  }

  /** Its wake-ups come out of the wait from now on. */
  #listen(port: Port, spec: PortSpec): void {
    if (spec.kind === 'tap' || spec.kind === 'junction') {
      for (const [i, fd] of port.descriptors.entries()) this.#epoll.add(fd, (port.id << TOKEN_SHIFT) | i);
      return;
    }
    const channels = spec.kind === 'netback' ? channelsOf(spec) : spec.channels;
    this.#channels.set(port.id, channels);
    for (const [i, channel] of channels.entries()) {
      const token = (port.id << TOKEN_SHIFT) | i;
      if (this.#platform.events.add(channel, token)) this.#wake(token);
      if (spec.kind === 'netback' && spec.resumed) this.#platform.events.notifier(channel, spec.wary)();
    }
  }

  #open(spec: PortSpec): Port {
    if (spec.kind !== 'netback') return this.#maker.open(spec);
    this.#netbacks.set(spec.id, spec);
    this.#platform.admit(spec.domid, spec.cache.ramFd);
    const port = this.#maker.netback(spec);
    port.localizeForeign = (list, n) => this.#localize(list, n);
    return port;
  }

  #route(mac: Uint8Array, id: number): void {
    if (!this.#engine.forwarding.route(mac, id)) throw new Error('its MAC belongs to another port');
  }

  #detach(id: number): void {
    const port = this.#ports.get(id);
    if (!port) return;
    const channels = this.#channels.get(id);
    this.#channels.delete(id);
    for (const channel of channels ?? []) this.#platform.events.remove(channel);
    if (!channels) for (const fd of port.descriptors) this.#epoll.remove(fd);
    this.#ports.delete(id);
    this.#engine.detach(id);
    this.#forget(id);
  }

  /** The owner lets go of the domain's memory once no vif of it is here. */
  #forget(id: number): void {
    const gone = this.#netbacks.get(id);
    if (!gone) return;
    this.#netbacks.delete(id);
    for (const { domid } of this.#netbacks.values()) if (domid === gone.domid) return;
    this.#platform.forget(gone.domid);
  }

  /** Frames of other ports that a software offload has to read. */
  #localize(list: number, n: number): void {
    for (let i = 0; i < n; i++) {
      const frame = this.#arena.u32[list / 4 + i];
      this.#ports.get(this.#arena.u32[(frame + F_SRC) / 4])?.localize(list + i * 4, 1);
    }
  }

  #mapPage(cacheId: number, address: number, page: number, writable: boolean): number {
    if (page >>> 0 === NO_FRAME) return this.#platform.unmapPage(address);
    const domid = this.#netbacks.get(cacheId)?.domid;
    // Too many mappings: the frame is dropped as bad-grant, the vif goes on.
    return domid === undefined ? -22 : this.#platform.mapPage(domid, address, page, writable);
  }

  #say(message: ShardMessage): void {
    owner.postMessage(message);
  }
}

new DatapathThread().run();
owner.close();
