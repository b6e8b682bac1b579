/**
 * The embedded platform's hypervisor, in the daemon: it makes domains and knows their memory and event channels.
 * To a back end it is the Platform. It runs on the thread that owns the arena; datapath threads are told what they need of a domain when a vif of
 * it is attached.
 */
import { DOMAINS_MAX } from '../../../assembly/grant_layout.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import { SetupError } from '../../sys/errors.js';
import type { Channel, EventChannels } from '../event_channels.js';
import type { GrantTable } from '../grant_table.js';
import type { Platform, ThreadShare } from '../platform.js';
import { DEFAULT_SHAPE, Domain, type DomainShape } from './domain.js';
import { DOMAINS_SIZE, EmbeddedGrantTable, IOVECS_SIZE } from './grants.js';

export class Hypervisor implements Platform, EventChannels {
  readonly kind = 'embedded';
  /** Arena address of the domain records, for every thread. */
  readonly records: number;
  readonly grants: GrantTable;
  readonly #arena: Arena;
  readonly #iovecs: number;
  readonly #domains = new Map<number, Domain>();
  readonly #local = new Map<number, { domid: number; remotePort: number; channel: Channel }>();
  #nextDomid = 1;
  #nextPort = 1;

  constructor(arena: Arena, loops: Loops) {
    this.#arena = arena;
    this.records = arena.allocate(DOMAINS_SIZE, 'domain records');
    this.#iovecs = arena.allocate(IOVECS_SIZE, 'grant copies');
    this.grants = new EmbeddedGrantTable(arena, loops, this.records, this.#iovecs, (domid) => {
      const ramFd = this.domain(domid)?.ramFd;
      return ramFd === -1 ? undefined : ramFd;
    });
  }

  /** A new domain with the lowest number not used lately. Throws SetupError when there are too many. */
  create(name: string, shape: DomainShape = DEFAULT_SHAPE): Domain {
    for (let tries = 1; tries < DOMAINS_MAX; tries++) {
      const domid = this.#nextDomid;
      this.#nextDomid = (this.#nextDomid % (DOMAINS_MAX - 1)) + 1;
      if (this.#domains.has(domid)) continue;
      const domain = new Domain(this.#arena, this.records, domid, name, shape);
      this.#domains.set(domid, domain);
      return domain;
    }
    throw new SetupError(`no more than ${DOMAINS_MAX - 1} domains at a time`);
  }

  /** Ends a domain. Its vifs must have been detached from the datapath before. */
  destroy(domid: number): void {
    const domain = this.#domains.get(domid);
    if (!domain) return;
    this.#domains.delete(domid);
    for (const [port, end] of this.#local) if (end.domid === domid) this.#local.delete(port);
    domain.destroy();
  }

  domain(domid: number): Domain | undefined {
    return this.#domains.get(domid);
  }

  get domains(): readonly Domain[] {
    return [...this.#domains.values()];
  }

  bindInterdomain(domid: number, remotePort: number): number {
    const domain = this.#domains.get(domid);
    if (!domain) throw new SetupError(`event channel ${remotePort}: no domain ${domid}`);
    const ends = domain.bindPort(remotePort);
    const port = this.#nextPort++;
    const channel = { ...ends, port };
    this.#local.set(port, { domid, remotePort, channel });
    return port;
  }

  unbind(port: number): void {
    const end = this.#local.get(port);
    if (!end) return;
    this.#local.delete(port);
    this.#domains.get(end.domid)?.unbindPort(end.remotePort);
  }

  channel(port: number): Channel {
    const end = this.#local.get(port);
    if (!end) throw new SetupError(`event channel: no local port ${port}`);
    return end.channel;
  }

  openThread(): ThreadShare {
    const iovecs = this.#arena.allocate(IOVECS_SIZE, 'grant copies');
    return {
      events: this,
      start: { kind: 'embedded', records: this.records, iovecs },
      close: () => this.#arena.free(iovecs, IOVECS_SIZE),
    };
  }

  /** A guest of this platform sees the death of the daemon: its sockets close. */
  wakeOnUnmap(): void {}

  /** Ends all domains and gives the arena its pages back. */
  close(): void {
    for (const domid of [...this.#domains.keys()]) this.destroy(domid);
    this.#arena.free(this.records, DOMAINS_SIZE);
    this.#arena.free(this.#iovecs, IOVECS_SIZE);
  }
}
