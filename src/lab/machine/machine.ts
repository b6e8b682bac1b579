/**
 * A whole machine in one process, without privileges: the embedded hypervisor, a back-end engine, and guests whose
 * front ends run in engines of their own over the same arena, each with an in-memory port in the tap's place.
 */
import { NO_FRAME } from '../../../assembly/grant_layout.js';
import { F_SRC } from '../../../assembly/layout.js';
import { FE_CSUM4, FE_CSUM6, FE_GSO4, FE_GSO6, FE_SG, STACK_ITEMS } from '../../../assembly/netif_layout.js';
import { Arena } from '../../arena/arena.js';
import { instantiateLoops, type Loops } from '../../arena/loops.js';
import { type Exchange, PagePool } from '../../arena/page_pool.js';
import { type AttachOptions, Engine } from '../../datapath/engine.js';
import { FORWARDING_SIZE } from '../../datapath/forwarding.js';
import { PORT_BLOCK } from '../../datapath/frames.js';
import { MEMORY_PORT_SIZE, MemoryPort } from '../../datapath/memory_port.js';
import {
  announcement,
  ControlFront,
  type ControlRequest,
  type ControlResponse,
} from '../../netif/control_front.js';
import { SEGMENTS_SIZE } from '../../netif/netback_memory.js';
import {
  GREF_BASE,
  grantAll,
  PAGE_CTRL_LIST,
  PAGE_CTRL_RING,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_FIRST,
  PAGE_TX_RING,
  pagesToAnnounce,
  ramPagesFor,
  TX_BUFFERS,
} from '../../netif/netfront_memory.js';
import { COPY_OUT_SIZE, NETFRONT_MEMORY, NetfrontPort } from '../../netif/netfront_port.js';
import { fillBuffers } from '../../tap/tap_port.js';
import { FLIP } from '../../transfer/transfer.js';
import { DEFAULT_SHAPE, type Domain, shapeFor } from '../../xen/embedded/domain.js';
import { EmbeddedGrantOwner } from '../../xen/embedded/grants.js';
import { Hypervisor } from '../../xen/embedded/hypervisor.js';
import { Guest, type GuestOptions } from './guest.js';
import { Vif } from './vif.js';

export { Guest, type GuestOptions } from './guest.js';

/** The MAC of guest number `last`, locally administered. */
export const macOf = (last: number) => Uint8Array.of(0x02, 0, 0, 0, last >>> 8, last & 0xff);

export const ALL_FEATURES = FE_SG | FE_GSO4 | FE_GSO6 | FE_CSUM4 | FE_CSUM6;

/** Where an arena begins to be handed out. */
const FIRST_PAGE = 65536;

/** A ring's worth of packets on their way, and as many again. */
const POOL_PAGES = 512;

/** What `addBareDomain` makes. */
export interface BareDomain {
  readonly domain: Domain;
  /** Arena address of its page 0. */
  readonly ram: number;
  readonly grants: EmbeddedGrantOwner;
  readonly vif: Vif;
  readonly control: ControlFront;
}

export class Machine {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly hypervisor: Hypervisor;
  readonly engine: Engine;
  readonly guests: Guest[] = [];
  /** The back end's side of each guest, by port id. */
  readonly vifs = new Map<number, Vif>();
  readonly segments: number;
  now = 1;
  /** Runs whenever a mapping cache misses: in the midst of the loops, between what they read and what they do. */
  onMap: () => void = () => {};
  /** False: as a kernel that has no mapping left (vm.max_map_count). */
  maps = true;
  readonly #ramOfCache = new Map<number, Domain>();
  #nextPort = 1;

  readonly #flipBy: Exchange | undefined;
  #pool: PagePool | undefined;

  /** `wrap`: puts something between the machine and its loops. `flipBy`: how pages change hands, if not the best way. */
  constructor(size = 1 << 30, wrap: (loops: Loops) => Loops = (loops) => loops, flipBy?: Exchange) {
    this.#flipBy = flipBy;
    this.arena = Arena.create(size);
    const loops = instantiateLoops(this.arena, {
      mapPage: (cacheId, address, frame, writable) => {
        this.onMap();
        const domain = this.#ramOfCache.get(cacheId);
        if (!domain || domain.ramFd < 0) return -22;
        if (!this.maps) return -12;
        if (frame >>> 0 === NO_FRAME) this.arena.unmap(address, 4096);
        else this.arena.map(address, 4096, domain.ramFd, frame * 4096, writable !== 0);
        return 0;
      },
    });
    this.loops = wrap(loops);
    this.hypervisor = new Hypervisor(this.arena, this.loops);
    this.engine = new Engine(this.arena, this.loops, this.arena.allocate(FORWARDING_SIZE, 'forwarding'));
    this.segments = this.arena.allocate(SEGMENTS_SIZE, 'segments');
  }

  addGuest(name: string, options: GuestOptions = {}): Guest {
    const { arena, loops } = this;
    const alloc = (bytes: number) => arena.allocate(bytes, name);
    const txBuffers = options.txBuffers ?? TX_BUFFERS;
    const { domain, ram, grants } = this.#domain(name, options);
    const txRing = ram + PAGE_TX_RING * 4096;
    const rxRing = ram + PAGE_RX_RING * 4096;
    loops.initRing(txRing);
    loops.initRing(rxRing);
    loops.initRing(ram + PAGE_CTRL_RING * 4096);
    const buffers = alloc(STACK_ITEMS + txBuffers * 4);
    fillBuffers(arena, buffers, ram + PAGE_TX_FIRST * 4096, txBuffers);
    const vif = this.#vif(name, domain, options);
    const engine = new Engine(arena, loops, alloc(FORWARDING_SIZE));
    const netfront = new NetfrontPort(arena, loops, {
      id: 1,
      name: 'eth0',
      ram,
      ramPages: domain.shape.ramPages,
      grefBase: GREF_BASE,
      txRing,
      rxRing,
      rxPages: ram + PAGE_RX_FIRST * 4096,
      buffers,
      features: options.backendFeatures ?? ALL_FEATURES,
      block: alloc(PORT_BLOCK),
      memory: alloc(NETFRONT_MEMORY),
      copyOut: options.copyOut === true ? alloc(COPY_OUT_SIZE) : undefined,
      descriptors: [],
      notifyTx: () => {},
      notifyRx: () => {},
    });
    const wire = new MemoryPort(arena, loops, {
      id: 2,
      name: 'wire',
      block: alloc(PORT_BLOCK),
      memory: alloc(MEMORY_PORT_SIZE),
    });
    engine.attach(netfront);
    engine.attach(wire);
    engine.forwarding.wire(1, 2);
    const { mac, port: netback } = vif;
    const guest = new Guest({
      domain,
      mac,
      wire,
      netfront,
      netback,
      engine,
      grants,
      ram,
      txRing,
      rxRing,
      control: this.#control(ram, vif),
      buffers,
    });
    if (options.transfer === 'static') this.announce(guest);
    this.guests.push(guest);
    return guest;
  }

  /** A domain and its vif without a front end: rings initialized, everything granted, nobody at work. */
  addBareDomain(name: string, options: GuestOptions = {}): BareDomain {
    const { domain, ram, grants } = this.#domain(name, options);
    const pages = ramPagesFor(options.txBuffers ?? TX_BUFFERS);
    for (let q = 0; q < (options.queues ?? 1); q++) {
      this.loops.initRing(ram + (q * pages + PAGE_TX_RING) * 4096);
      this.loops.initRing(ram + (q * pages + PAGE_RX_RING) * 4096);
    }
    this.loops.initRing(ram + PAGE_CTRL_RING * 4096);
    const vif = this.#vif(name, domain, options);
    return { domain, ram, grants, vif, control: this.#control(ram, vif) };
  }

  /** An in-memory port of the back end itself (a host, an uplink). */
  addMemoryPort(name: string, options: AttachOptions = {}): MemoryPort {
    const id = this.#nextPort++;
    const block = this.arena.allocate(PORT_BLOCK, name);
    const memory = this.arena.allocate(MEMORY_PORT_SIZE, name);
    const port = new MemoryPort(this.arena, this.loops, { id, name, block, memory });
    if (!this.engine.attach(port, options)) throw new Error(`MAC of ${name} is taken`);
    return port;
  }

  /** A request on a guest's control ring and the answer to it. Throws when there is none. */
  ask(guest: Pick<Guest, 'control'>, request: ControlRequest): ControlResponse {
    guest.control.send(request);
    for (let i = 0; i < 32; i++) {
      this.engine.round(this.now);
      const response = guest.control.take();
      if (response) return response;
    }
    throw new Error(`control request ${request[0]} was not answered`);
  }

  /** A guest announces its pages; the number that the back end keeps. */
  announce(guest: Pick<Guest, 'control' | 'ram'>): number {
    const list = guest.ram + PAGE_CTRL_LIST * 4096;
    const steps = announcement(this.arena, list, GREF_BASE + PAGE_CTRL_LIST, pagesToAnnounce);
    let step = steps.next();
    while (!step.done) step = steps.next(this.ask(guest, step.value));
    return step.value;
  }

  /** Rounds of everybody until nothing moves. */
  settle(rounds = 64): void {
    for (let i = 0; i < rounds; i++) {
      let moved = false;
      for (const guest of this.guests) if (guest.engine.round(this.now)) moved = true;
      if (this.engine.round(this.now)) moved = true;
      for (const guest of this.guests) if (guest.engine.round(this.now)) moved = true;
      if (!moved) return;
    }
  }

  /** Mapping cache `id` maps pages of this domain. */
  cacheMaps(id: number, domain: Domain): void {
    this.#ramOfCache.set(id, domain);
  }

  /** What a datapath thread does for netback: makes frames of any source readable. */
  localize(list: number, n: number): void {
    for (let i = 0; i < n; i++) {
      const frame = this.arena.u32[list / 4 + i];
      const source = this.engine.ports.find((p) => p.id === this.arena.u32[(frame + F_SRC) / 4]);
      source?.localize(list + i * 4, 1);
    }
  }

  close(): void {
    for (const port of [...this.engine.ports]) this.engine.detach(port.id);
    this.hypervisor.close();
    this.#pool?.close();
    this.#pool = undefined;
    // Guests' RAM and rings live as long as they are mapped, and that would be until the arena is garbage.
    this.arena.unmap(FIRST_PAGE, this.arena.u8.length - FIRST_PAGE);
  }

  /** The back end's pages that change hands with those of guests in private memory. */
  get pool(): PagePool {
    this.#pool ??= new PagePool(this.arena, this.loops, POOL_PAGES, this.#flipBy);
    return this.#pool;
  }

  #domain(name: string, options: GuestOptions): { domain: Domain; ram: number; grants: EmbeddedGrantOwner } {
    const { queues = 1, txBuffers = TX_BUFFERS } = options;
    const pages = ramPagesFor(txBuffers);
    const shape = options.txBuffers || queues > 1 ? shapeFor(queues * pages) : DEFAULT_SHAPE;
    const { ramPages } = shape;
    const ramBytes = ramPages * 4096;
    const ram = this.arena.allocate(ramBytes, name);
    const isPrivate = options.privateRam ?? options.transfer === FLIP;
    if (isPrivate) this.pool.admit(ram, ramBytes);
    const domain = this.hypervisor.create(name, isPrivate ? { ...shape, privateRam: ram } : shape);
    if (!isPrivate) this.arena.map(ram, ramBytes, domain.ramFd, 0, true);
    const grants = new EmbeddedGrantOwner(this.arena, domain.table, domain.shape.grantPages * 4096);
    grantAll(grants, 0, pages, queues);
    return { domain, ram, grants };
  }

  #control(ram: number, vif: Vif): ControlFront {
    return new ControlFront(this.arena, this.loops, ram + PAGE_CTRL_RING * 4096, () =>
      vif.port.wakeControl(),
    );
  }

  #vif(name: string, domain: Domain, options: GuestOptions): Vif {
    const id = this.#nextPort++;
    const vif = new Vif(this, id, name, domain, options.mac ?? macOf(id), {
      ...options,
      features: options.features ?? ALL_FEATURES,
    });
    this.vifs.set(id, vif);
    return vif;
  }
}
