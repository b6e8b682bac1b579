/** The back end's side of a guest of the test machine: memory taken once, a netback built in it again and again. */
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { PagePool } from '../../arena/page_pool.js';
import type { Engine } from '../../datapath/engine.js';
import { PORT_BLOCK } from '../../datapath/frames.js';
import { BOUNCE_SIZE, netbackMemory } from '../../netif/netback_memory.js';
import { NetbackPort } from '../../netif/netback_port.js';
import {
  GREF_BASE,
  PAGE_CTRL_RING,
  PAGE_RX_RING,
  PAGE_TX_RING,
  ramPagesFor,
  TX_BUFFERS,
} from '../../netif/netfront_memory.js';
import { SetupError } from '../../sys/errors.js';
import { FLIP_TABLES, Flip } from '../../transfer/flip.js';
import { GrantCopy } from '../../transfer/grant_copy.js';
import { MAP_TABLES, MAP_WINDOW, MapUnmap } from '../../transfer/map.js';
import { CACHE_PAGES, cacheTables, Persistent } from '../../transfer/persistent.js';
import { STATIC_PAGES, Static } from '../../transfer/static.js';
import { DEFAULT_TRANSFER, FLIP, type Transfer, type TransferName } from '../../transfer/transfer.js';
import type { Domain } from '../../xen/embedded/domain.js';
import type { Hypervisor } from '../../xen/embedded/hypervisor.js';
import type { GuestOptions } from './guest.js';

/** What a vif needs of the machine it is part of. */
export interface VifHost {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly hypervisor: Hypervisor;
  readonly engine: Engine;
  /** ms. */
  readonly now: number;
  readonly segments: number;
  cacheMaps(id: number, domain: Domain): void;
  localize(list: number, n: number): void;
  readonly pool: PagePool;
}

export class Vif {
  readonly id: number;
  readonly mac: Uint8Array;
  readonly domain: Domain;
  port: NetbackPort;
  /** PORT_BLOCK, netbackMemory(queues) bytes. */
  readonly block: number;
  readonly memory: number;
  readonly queues: number;
  readonly rings: number;
  readonly window: number;
  readonly cachePages: number;
  readonly #machine: VifHost;
  readonly #name: string;
  readonly #options: GuestOptions & { readonly features: number };
  readonly #bounce: number;
  readonly #kind: TransferName | typeof FLIP;
  readonly #tables: number;

  constructor(
    machine: VifHost,
    id: number,
    name: string,
    domain: Domain,
    mac: Uint8Array,
    options: GuestOptions & { readonly features: number },
  ) {
    const alloc = (bytes: number, apart = false) => machine.arena.allocate(bytes, name, apart);
    this.#machine = machine;
    this.id = id;
    this.#name = name;
    this.domain = domain;
    this.mac = mac;
    this.#options = options;
    this.#kind = options.transfer ?? DEFAULT_TRANSFER;
    this.cachePages = options.cachePages ?? (this.#kind === 'static' ? STATIC_PAGES : CACHE_PAGES);
    this.block = alloc(PORT_BLOCK, true);
    this.queues = options.queues ?? 1;
    this.memory = alloc(netbackMemory(this.queues), true);
    this.#bounce = alloc(BOUNCE_SIZE);
    const { window, tables } = this.#needs();
    this.window = window && alloc(window);
    this.#tables = tables && alloc(tables, true);
    const pages = ramPagesFor(options.txBuffers ?? TX_BUFFERS);
    if (domain.shape.privateRam === undefined) {
      const rings = Array.from({ length: this.queues }, (_, q) =>
        [PAGE_TX_RING, PAGE_RX_RING].map((p) => p + q * pages),
      );
      const references = [...rings.flat(), PAGE_CTRL_RING].map((page) => GREF_BASE + page);
      this.rings = alloc(references.length * 4096);
      machine.hypervisor.grants.map(domain.domid, references, this.rings, true);
    } else {
      // Private memory is in one place only: the guest's own ring pages, which lie side by side.
      if (this.queues > 1) throw new SetupError('private memory: one queue');
      this.rings = domain.shape.privateRam + PAGE_TX_RING * 4096;
    }
    this.port = this.#attach();
  }

  /** Ends the connection and begins another, with counters at zero. The guest has initialized its rings anew. */
  reattach(): NetbackPort {
    this.#machine.engine.detach(this.id);
    this.port = this.#attach();
    return this.port;
  }

  #attach(): NetbackPort {
    const { arena, loops, engine, segments } = this.#machine;
    arena.u8.fill(0, this.block, this.block + PORT_BLOCK);
    arena.u8.fill(0, this.memory, this.memory + netbackMemory(this.queues));
    const transfer = this.#transfer();
    const port = new NetbackPort(arena, loops, {
      id: this.id,
      name: `${this.#name}/0`,
      domid: this.domain.domid,
      queues: Array.from({ length: this.queues }, (_, q) => ({
        txRing: this.rings + 2 * q * 4096,
        rxRing: this.rings + (2 * q + 1) * 4096,
        notifyTx: () => {},
        notifyRx: () => {},
      })),
      ...(this.#options.queuesInAll === undefined ? {} : { queuesInAll: this.#options.queuesInAll }),
      features: this.#options.features,
      block: this.block,
      memory: this.memory,
      bounce: this.#bounce,
      segments,
      descriptors: [],
      direct: this.#options.direct ?? true,
      transfer: this.#options.wrapTransfer?.(transfer) ?? transfer,
      control: { ring: this.rings + 2 * this.queues * 4096, notify: () => {} },
      multicastControl: this.#options.multicastControl,
      xdpHeadroom: this.#options.xdpHeadroom,
      rate: this.#options.rate,
      addresses: this.#options.addresses,
      mac: this.mac,
      clock: () => this.#machine.now,
      ...(this.#options.takesGrants === undefined ? {} : { takesGrants: this.#options.takesGrants }),
    });
    port.localizeForeign = (list, n) => this.#machine.localize(list, n);
    if (!engine.attach(port, { mac: this.mac })) throw new Error(`MAC of ${this.#name} is taken`);
    return port;
  }

  /** Bytes of arena that its transfer needs, and refuses what cannot be. */
  #needs(): { window: number; tables: number } {
    const maps = this.#kind !== 'grant-copy' && this.#kind !== FLIP;
    if (maps === (this.domain.shape.privateRam !== undefined) && this.#kind !== 'grant-copy')
      throw new SetupError(
        maps
          ? `${this.#kind}: private memory cannot be mapped`
          : `${this.#kind}: its RAM is not private memory`,
      );
    if (this.#kind === 'grant-copy') return { window: 0, tables: 0 };
    if (this.#kind === FLIP) return { window: 0, tables: FLIP_TABLES };
    if (this.#kind === 'map') return { window: MAP_WINDOW * 4096, tables: MAP_TABLES };
    return { window: this.cachePages * 4096, tables: cacheTables(this.domain.grants, this.cachePages) };
  }

  #transfer(): Transfer {
    const { arena, loops, hypervisor } = this.#machine;
    const counters = this.block;
    const { domid, grants } = this.domain;
    const tables = this.#tables;
    const domains = hypervisor.records;
    if (this.#kind === 'grant-copy') {
      if (this.#options.view !== false) this.domain.openView();
      return new GrantCopy(loops, hypervisor.grants, counters, this.domain.record);
    }
    if (this.#kind === FLIP) {
      const ram = this.domain.shape.privateRam ?? 0;
      const target = { domid, domains, ram, tables, counters };
      return new Flip(arena, loops, hypervisor.grants, this.#machine.pool, target);
    }
    if (this.#kind === 'map') {
      const memory = { domains, window: this.window, requests: tables, counters };
      return new MapUnmap(arena, loops, hypervisor.grants, memory);
    }
    this.#machine.cacheMaps(this.id, this.domain);
    arena.u8.fill(0, this.#tables, this.#tables + cacheTables(grants, this.cachePages));
    const kind = this.#kind === 'static' ? Static : Persistent;
    return new kind(arena, loops, hypervisor.grants, {
      id: this.id,
      domid,
      domains,
      grants,
      capacity: this.cachePages,
      window: this.window,
      tables,
      counters,
    });
  }
}
