/** The embedded platform in the daemon: it is hypervisor, xenstore and toolstack of guests that end with it. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { NetbackDriver } from '../netif/backend.js';
import { DEFAULT_TRANSFER, type TransferName } from '../transfer/transfer.js';
import { Hypervisor } from '../xen/embedded/hypervisor.js';
import { Xenstored } from '../xen/embedded/xenstored/xenstored.js';
import { type GuestInfo, HYPERVISOR_SOCKET, type Vif, XENSTORE_SOCKET } from './api.js';
import { crowded } from './cache_budget.js';
import { carrierOf, setLink } from './carrier.js';
import type { Machine, MachineParts } from './machine.js';
import { queuesOffered } from './options.js';
import { type GuestRecord, Toolstack } from './toolstack.js';
import type { Vifs } from './vifs.js';

const MTU = 1500;

export class EmbeddedMachine implements Machine {
  readonly platform: Hypervisor;
  readonly transfer: TransferName;
  #toolstack: Toolstack | undefined;
  #netback: NetbackDriver | undefined;
  #vifs: Vifs | undefined;

  constructor(arena: Arena, loops: Loops, transfer: TransferName | undefined) {
    this.platform = new Hypervisor(arena, loops);
    this.transfer = transfer ?? DEFAULT_TRANSFER;
  }

  async open(parts: MachineParts): Promise<void> {
    const { options, vifs, log, own } = parts;
    const xenstored = new Xenstored({}, { log: (message) => log.warn(`xenstore: ${message}`) });
    own(() => xenstored.close());
    await xenstored.listen(join(options.directory, XENSTORE_SOCKET));
    parts.mustGoOn();
    const store = xenstored.connect(0);
    const netback = new NetbackDriver(store, vifs, log, { queues: queuesOffered(options) });
    own(() => netback.close());
    vifs.transferOf = ({ domid }) => this.#transferOf(domid);
    vifs.onVif = ({ mac }, takesPart) => parts.onMac(mac, takesPart);
    vifs.onCrowded = (vif, wanted) => log.warn(crowded(vif.name, wanted));
    vifs.onFenced = (domid, handle, why) => void netback.fence(domid, handle, why);
    await netback.start();
    parts.mustGoOn();
    const toolstack = new Toolstack({
      hypervisor: this.platform,
      xenstored,
      store,
      addresses: parts.book,
      transfer: this.transfer,
      log,
      forget: (domid) => netback.forget(domid),
      defaultMtu: parts.mtu ?? MTU,
    });
    own(() => toolstack.close());
    this.#toolstack = toolstack;
    this.#netback = netback;
    this.#vifs = vifs;
    const socket = join(options.directory, HYPERVISOR_SOCKET);
    await toolstack.listen(socket);
    parts.mustGoOn();
    chmodSync(socket, 0o600);
  }

  vifs(): Vif[] {
    return this.#guests.map((guest) => {
      const { name, mac, addresses, mtu, transfer, domain } = guest;
      const view = this.#netback?.viewOf(domain.domid, 0);
      const state = view?.phase ?? 'initialising';
      const counters = this.#vifs?.counters(domain.domid, 0) ?? null;
      const ids = { name: `${name}/0`, kind: 'netif', guest: name, domid: domain.domid } as const;
      const rest = { ...carrierOf(view, this.#vifs), ...this.#vifs?.queueCounters(domain.domid, 0) };
      return { ...ids, mac, macs: [mac], addresses, mtu, state, transfer, counters, ...rest };
    });
  }

  setLink(name: string, up: boolean): Promise<void> {
    return setLink(this.#netback, name, up);
  }

  guests(): GuestInfo[] {
    return this.#guests.map((guest) => {
      const { name, pid, mac, addresses, mtu, transfer, domain } = guest;
      const state = this.#netback?.viewOf(domain.domid, 0)?.phase ?? 'initialising';
      return { name, domid: domain.domid, pid, mac, addresses, mtu, state, transfer };
    });
  }

  get guestCount(): number {
    return this.#guests.length;
  }

  async removeGuest(name: string): Promise<void> {
    await this.#toolstack?.remove(name);
  }

  xen(): null {
    return null;
  }

  /** They end with the daemon anyway. */
  closeVifs(): void {}

  close(): void {
    this.platform.close();
  }

  get #guests(): readonly GuestRecord[] {
    return this.#toolstack?.guests ?? [];
  }

  #transferOf(domid: number): TransferName {
    return this.#guests.find(({ domain }) => domain.domid === domid)?.transfer ?? this.transfer;
  }
}
