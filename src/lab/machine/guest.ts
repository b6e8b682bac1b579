/** A well-behaved guest of the test machine: domain, netfront with its engine, and an in-memory port for its tap. */
import type { Engine } from '../../datapath/engine.js';
import type { MemoryPort } from '../../datapath/memory_port.js';
import type { ControlFront } from '../../netif/control_front.js';
import type { NetbackPort } from '../../netif/netback_port.js';
import type { NetfrontPort } from '../../netif/netfront_port.js';
import type { FLIP, Transfer, TransferName } from '../../transfer/transfer.js';
import type { Domain } from '../../xen/embedded/domain.js';
import type { EmbeddedGrantOwner } from '../../xen/embedded/grants.js';

export interface GuestOptions {
  readonly mac?: Uint8Array;
  /** `flip`: in private memory only. */
  readonly transfer?: TransferName | typeof FLIP;
  /** Its RAM is private memory of the arena, whose pages can change hands but not be mapped (default for `flip`). */
  readonly privateRam?: boolean;
  /** False: frames for it go through the back end's own memory, a copy on its way in and one on its way out. */
  readonly takesGrants?: boolean;
  /** What the guest says it can receive. */
  readonly features?: number;
  /** What the back end says it can receive. */
  readonly backendFeatures?: number;
  /** Pages of its mapping cache, or that it may announce. */
  readonly cachePages?: number;
  /** false: grant copies of its pages are system calls, not copies in the hypervisor's view. */
  readonly view?: boolean;
  /** false: none of its frames takes the direct lane. */
  readonly direct?: boolean;
  /** It wants only the multicast groups that it lists. */
  readonly multicastControl?: boolean;
  /** Octets that it wants free in front of what each page receives. */
  readonly xdpHeadroom?: number;
  /** What it may send: bytes in each interval of µs. */
  readonly rate?: { readonly bytes: number; readonly interval: number };
  /** IP addresses that it may be sender of; by default any. */
  readonly addresses?: readonly string[];
  /** It copies what it receives out of the granted pages at once, and posts them again (NetfrontOptions.copyOut). */
  readonly copyOut?: boolean;
  /** TX buffers of 64 KiB; fewer make a smaller guest, of which more fit an arena. By default a usual guest's. */
  readonly txBuffers?: number;
  /** Pairs of rings; a guest with several has a share of its RAM for each (netfront_memory.ts). By default one. */
  readonly queues?: number;
  /** More than `queues`: the rest would be other threads'. */
  readonly queuesInAll?: number;
  /** Puts something between netback and its transfer. */
  readonly wrapTransfer?: (transfer: Transfer) => Transfer;
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
  readonly control: ControlFront;
  /** The stack of free TX buffers. */
  readonly buffers: number;

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
    this.control = parts.control;
    this.buffers = parts.buffers;
  }

  send(bytes: Uint8Array, vnet?: Uint8Array): boolean {
    return this.wire.send(bytes, vnet);
  }

  receive() {
    return this.wire.receive();
  }
}
