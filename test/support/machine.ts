/**
 * A whole machine in one process, without privileges: the embedded hypervisor, a back-end engine, and guests whose
 * front ends run in engines of their own over the same arena, each with an in-memory port in the tap's place.
 */
import { F_SRC } from '../../assembly/layout.js';
import { FE_CSUM4, FE_CSUM6, FE_GSO4, FE_GSO6, FE_SG } from '../../assembly/netif_layout.js';
import { STACK_ITEMS } from '../../assembly/netif_layout.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops, type Loops } from '../../src/arena/loops.js';
import { Engine } from '../../src/datapath/engine.js';
import { FORWARDING_SIZE } from '../../src/datapath/forwarding.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { MEMORY_PORT_SIZE, MemoryPort } from '../../src/datapath/memory_port.js';
import { BOUNCE_SIZE, NETBACK_MEMORY, NetbackPort, SEGMENTS_SIZE } from '../../src/netif/netback_port.js';
import {
  GREF_BASE, grantAll, PAGE_RX_FIRST, PAGE_RX_RING, PAGE_TX_FIRST, PAGE_TX_RING, TX_BUFFERS,
} from '../../src/netif/netfront_memory.js';
import { NETFRONT_MEMORY, NetfrontPort } from '../../src/netif/netfront_port.js';
import { fillBuffers } from '../../src/tap/tap_port.js';
import { GrantCopy } from '../../src/transfer/grant_copy.js';
import { CACHE_PAGES, cacheTables, Persistent } from '../../src/transfer/persistent.js';
import type { Transfer, TransferName } from '../../src/transfer/transfer.js';
import type { Domain } from '../../src/xen/embedded/domain.js';
import { EmbeddedGrantOwner } from '../../src/xen/embedded/grants.js';
import { Hypervisor } from '../../src/xen/embedded/hypervisor.js';

export const ALL_FEATURES = FE_SG | FE_GSO4 | FE_GSO6 | FE_CSUM4 | FE_CSUM6;
export const macOf = (last: number) => Uint8Array.of(0x02, 0, 0, 0, last >>> 8, last & 0xff);

export interface GuestOptions {
  readonly mac?: Uint8Array;
  readonly transfer?: TransferName;
  /** What the guest says it can receive. */
  readonly features?: number;
  readonly cachePages?: number;
}

export class Guest {
  readonly domain: Domain;
  readonly mac: Uint8Array;
  /** In the tap's place. */
  readonly wire: MemoryPort;
  readonly netfront: NetfrontPort;
  readonly netback: NetbackPort;
  readonly engine: Engine;
  readonly grants: EmbeddedGrantOwner;
  /** Arena addresses. */
  readonly ram: number;
  readonly txRing: number;
  readonly rxRing: number;

  constructor(parts: Omit<Guest, 'send' | 'receive'>) {
    this.domain = parts.domain;
    this.mac = parts.mac;
    this.wire = parts.wire;
    this.netfront = parts.netfront;
    this.netback = parts.netback;
    this.engine = parts.engine;
    this.grants = parts.grants;
    this.ram = parts.ram;
    this.txRing = parts.txRing;
    this.rxRing = parts.rxRing;
  }

  send(bytes: Uint8Array, vnet?: Uint8Array): boolean {
    return this.wire.send(bytes, vnet);
  }

  receive() {
    return this.wire.receive();
  }
}

export class Machine {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly hypervisor: Hypervisor;
  readonly engine: Engine;
  readonly guests: Guest[] = [];
  readonly segments: number;
  now = 1;
  readonly #ramOfCache = new Map<number, Domain>();
  #nextPort = 1;

  constructor(size = 1 << 30) {
    this.arena = Arena.create(size);
    this.loops = instantiateLoops(this.arena, {
      mapPage: (cacheId, address, frame, writable) => {
        const domain = this.#ramOfCache.get(cacheId);
        if (!domain) return -22;
        this.arena.map(address, 4096, domain.ramFd, frame * 4096, writable !== 0);
        return 0;
      },
    });
    this.hypervisor = new Hypervisor(this.arena, this.loops);
    this.engine = new Engine(this.arena, this.loops, this.arena.allocate(FORWARDING_SIZE, 'forwarding'));
    this.segments = this.arena.allocate(SEGMENTS_SIZE, 'segments');
  }

  addGuest(name: string, options: GuestOptions = {}): Guest {
    const { arena, loops } = this;
    const alloc = (bytes: number) => arena.allocate(bytes, name);
    const id = this.#nextPort++;
    const mac = options.mac ?? macOf(id);
    const domain = this.hypervisor.create(name);
    const ramBytes = domain.shape.ramPages * 4096;
    const ram = alloc(ramBytes);
    arena.map(ram, ramBytes, domain.ramFd, 0, true);
    const grants = new EmbeddedGrantOwner(arena, domain.table, domain.shape.grantPages * 4096);
    grantAll(grants, 0);
    const txRing = ram + PAGE_TX_RING * 4096;
    const rxRing = ram + PAGE_RX_RING * 4096;
    loops.initRing(txRing);
    loops.initRing(rxRing);
    const buffers = alloc(STACK_ITEMS + TX_BUFFERS * 4);
    fillBuffers(arena, buffers, ram + PAGE_TX_FIRST * 4096, TX_BUFFERS);

    const rings = alloc(2 * 4096);
    this.hypervisor.grants.map(domain.domid, [GREF_BASE + PAGE_TX_RING, GREF_BASE + PAGE_RX_RING], rings, true);
    const block = alloc(PORT_BLOCK);
    const transfer = this.#transfer(options.transfer ?? 'persistent', id, domain, block, options.cachePages);
    const netback = new NetbackPort(arena, loops, {
      id, name: `${name}/0`, domid: domain.domid, txRing: rings, rxRing: rings + 4096,
      features: options.features ?? ALL_FEATURES, block, memory: alloc(NETBACK_MEMORY), bounce: alloc(BOUNCE_SIZE),
      segments: this.segments, descriptors: [], notifyTx: () => {}, notifyRx: () => {}, transfer,
    });
    netback.localizeForeign = (list, n) => this.#localize(list, n);
    if (!this.engine.attach(netback, { mac })) throw new Error(`MAC of ${name} is taken`);

    const engine = new Engine(arena, loops, alloc(FORWARDING_SIZE));
    const netfront = new NetfrontPort(arena, loops, {
      id: 1, name: 'eth0', ram, ramPages: domain.shape.ramPages, grefBase: GREF_BASE, txRing, rxRing,
      rxPages: ram + PAGE_RX_FIRST * 4096, buffers, features: ALL_FEATURES, block: alloc(PORT_BLOCK),
      memory: alloc(NETFRONT_MEMORY), descriptors: [], notifyTx: () => {}, notifyRx: () => {},
    });
    const wire = new MemoryPort(arena, loops, { id: 2, name: 'wire', block: alloc(PORT_BLOCK), memory: alloc(MEMORY_PORT_SIZE) });
    engine.attach(netfront);
    engine.attach(wire);
    engine.forwarding.wire(1, 2);
    const guest = new Guest({ domain, mac, wire, netfront, netback, engine, grants, ram, txRing, rxRing });
    this.guests.push(guest);
    return guest;
  }

  /** An in-memory port of the back end itself (a host, an uplink). */
  addMemoryPort(name: string, options: { mac?: Uint8Array; anySource?: boolean } = {}): MemoryPort {
    const id = this.#nextPort++;
    const block = this.arena.allocate(PORT_BLOCK, name);
    const memory = this.arena.allocate(MEMORY_PORT_SIZE, name);
    const port = new MemoryPort(this.arena, this.loops, { id, name, block, memory });
    if (!this.engine.attach(port, options)) throw new Error(`MAC of ${name} is taken`);
    return port;
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

  close(): void {
    for (const port of [...this.engine.ports]) this.engine.detach(port.id);
    this.hypervisor.close();
  }

  #localize(list: number, n: number): void {
    for (let i = 0; i < n; i++) {
      const frame = this.arena.u32[list / 4 + i];
      const source = this.engine.ports.find((p) => p.id === this.arena.u32[(frame + F_SRC) / 4]);
      source?.localize(list + i * 4, 1);
    }
  }

  #transfer(name: TransferName, id: number, domain: Domain, counters: number, pages = CACHE_PAGES): Transfer {
    if (name === 'grant-copy') return new GrantCopy(this.loops, this.hypervisor.grants, counters);
    this.#ramOfCache.set(id, domain);
    return new Persistent(this.arena, this.loops, this.hypervisor.grants, {
      id, domid: domain.domid, domains: this.hypervisor.records, grants: domain.grants, capacity: pages,
      window: this.arena.allocate(pages * 4096, 'cache'), tables: this.arena.allocate(cacheTables(domain.grants, pages), 'cache'),
      counters,
    });
  }
}

