/** Vifs between handshake and datapath: what the netback driver asks for is allocated, mapped, bound, attached here. */
import { PAGE_SIZE } from '../../assembly/layout.js';
import { NB_RX_CONS, NB_RX_RING, NB_STALLED, UNSTALL_SLOTS } from '../../assembly/netif_layout.js';
import { RING_REQ_PROD } from '../abi/ring.js';
import type { Arena } from '../arena/arena.js';
import { FENCE_NAMES, type PortCounters, readCounters } from '../datapath/counters.js';
import type { FrontendKeys, FrontendSettings } from '../netif/frontend_keys.js';
import { queueState, setMulticastControl, setXdpHeadroom } from '../netif/netback_memory.js';
import type { VifConnector, VifIdentity } from '../netif/vif_connector.js';
import type { Threads } from '../shard/threads.js';
import { SetupError } from '../sys/errors.js';
import { MAP_WINDOW } from '../transfer/map.js';
import { DEFAULT_TRANSFER, type TransferName } from '../transfer/transfer.js';
import type { Platform } from '../xen/platform.js';
import { parseMac } from './addresses.js';
import { CacheBudget } from './cache_budget.js';
import { Undo } from './undo.js';
import { partCounters, queueCountersOf, separable, type VifCommons, vifPart } from './vif_parts.js';

/** Pages of the arena that views of domains leave to rings, descriptors and caches of vifs to come. */
const VIEW_RESERVE = 2 ** 18;

interface Connected {
  readonly port: number;
  /** Counter blocks: their sum is the vif's; and each queue's. */
  readonly counters: readonly number[];
  readonly queueCounters: readonly number[];
  /** The private state of each of its parts, and within them the queues' (NB_*). */
  readonly memories: readonly number[];
  readonly queues: readonly number[];
  settings: FrontendSettings;
  readonly transfer: TransferName;
  /** By which we wake the guest. */
  readonly notifyFds: readonly number[];
  release(): Promise<void>;
}

export class Vifs implements VifConnector {
  /** A front end broke the protocol. */
  onFenced: (domid: number, handle: number, why: string) => void = () => {};
  /** A vif takes part, or no longer: who mirrors the forwarding table follows. May throw SetupError when one is to take part. */
  onVif: (vif: VifIdentity, takesPart: boolean) => void = () => {};
  /** There is no room for another mapping cache: a vif's pages are copied by grant instead. */
  onCrowded: (vif: VifIdentity, wanted: TransferName) => void = () => {};
  /** How a vif's bytes are to be moved. */
  transferOf: (vif: VifIdentity, keys: FrontendKeys) => TransferName = () => DEFAULT_TRANSFER;
  readonly #arena: Arena;
  readonly #platform: Platform;
  readonly #threads: Threads;
  readonly #ports: PortIds;
  readonly #connected = new Map<string, Connected>();
  /** Domains that made signals of ours wait. */
  readonly #wary = new Set<number>();
  readonly #caches = new CacheBudget();

  constructor(arena: Arena, platform: Platform, threads: Threads, ports: PortIds) {
    this.#arena = arena;
    this.#platform = platform;
    this.#threads = threads;
    this.#ports = ports;
    threads.onFenced = (port, why) => this.#fenced(port, why);
    threads.onBlocked = (fd) => this.#blocked(fd);
    threads.onSlowed = (fd) => this.#slowed(fd);
  }

  /** A vif whose link is down is left alone: nothing of its guest is mapped, and its frames stay where they are. */
  async connect(vif: VifIdentity, keys: FrontendKeys, resumed: boolean): Promise<void> {
    if (!vif.config.link) return;
    const undo = new Undo();
    const release = () => undo.run();
    try {
      this.#connected.set(keyOf(vif), { ...(await this.#attach(vif, keys, resumed, undo)), release });
    } catch (error) {
      await release();
      throw error;
    }
  }

  async disconnect(vif: VifIdentity): Promise<void> {
    const connected = this.#connected.get(keyOf(vif));
    this.#connected.delete(keyOf(vif));
    await connected?.release();
  }

  changed(vif: VifIdentity, settings: FrontendSettings): void {
    const connected = this.#connected.get(keyOf(vif));
    if (!connected) return;
    const { multicastControl, xdpHeadroom } = settings;
    const [memory, ...others] = connected.memories;
    // A vif in several parts has no common list of groups, and goes on getting them all.
    if (others.length === 0 && multicastControl !== connected.settings.multicastControl)
      setMulticastControl(this.#arena, memory, multicastControl);
    for (const each of connected.memories) setXdpHeadroom(this.#arena, each, xdpHeadroom);
    connected.settings = settings;
  }

  /** How a connected vif's bytes are moved. */
  transferInUse(domid: number, handle: number): TransferName | undefined {
    return this.#connected.get(`${domid}/${handle}`)?.transfer;
  }

  /** Frames for it are dropped, since it has taken none for a while and shows no room (XSA-392). */
  stalled(domid: number, handle: number): boolean {
    const { u32 } = this.#arena;
    return (this.#connected.get(`${domid}/${handle}`)?.queues ?? []).some((queue) => {
      if (Atomics.load(u32, (queue + NB_STALLED) / 4) === 0) return false;
      const ring = u32[(queue + NB_RX_RING) / 4];
      const posted = Atomics.load(u32, (ring + RING_REQ_PROD) / 4);
      return (posted - Atomics.load(u32, (queue + NB_RX_CONS) / 4)) >>> 0 < UNSTALL_SLOTS;
    });
  }

  /** Live counters of a connected vif. */
  counters(domid: number, handle: number): PortCounters | null {
    const connected = this.#connected.get(`${domid}/${handle}`);
    return connected ? readCounters(this.#arena, ...connected.counters) : null;
  }

  /** The same of each of its queues, where there are several. */
  queueCounters(domid: number, handle: number): { queues?: PortCounters[] } {
    const queues = this.#connected.get(`${domid}/${handle}`)?.queueCounters ?? [];
    return queues.length > 1 ? { queues: queues.map((address) => readCounters(this.#arena, address)) } : {};
  }

  async #attach(
    vif: VifIdentity,
    keys: FrontendKeys,
    resumed: boolean,
    undo: Undo,
  ): Promise<Omit<Connected, 'release'>> {
    const { domid, name } = vif;
    const domain = this.#platform.domain(domid);
    if (!domain) throw new SetupError(`vif ${domid}/${vif.handle}: no domain ${domid}`);
    // First, so that nobody takes its first frames for a stranger's; and it may have to wait.
    this.onVif(vif, true);
    undo.push(() => this.onVif(vif, false));
    const allocate = (bytes: number, what: string, apart = false) => {
      const address = this.#arena.allocate(bytes, `${what} of ${name}`, apart);
      undo.push(() => this.#arena.free(address, bytes));
      return address;
    };
    const rings = allocate((2 * keys.queues.length + 1) * PAGE_SIZE, 'rings');
    const map = (references: readonly number[], address: number) => {
      this.#platform.grants.map(domid, references, address, true);
      undo.push(() => this.#platform.grants.unmap(domid, references, address));
    };
    const bind = (remote: number, thread: number) => {
      const { events } = this.#threads.shards[thread];
      const local = events.bindInterdomain(domid, remote);
      undo.push(() => events.unbind(local));
      return events.channel(local);
    };
    const wanted = this.transferOf(vif, keys);
    const threads = this.#threads.place(separable(vif, keys, wanted) ? keys.queues.length : 1);
    const queues = keys.queues.map(({ txRef, rxRef, eventPorts }, q) => {
      const txRing = rings + 2 * q * PAGE_SIZE;
      map([txRef, rxRef], txRing);
      const channels = eventPorts.map((port) => bind(port, threads[q % threads.length]));
      this.#platform.wakeOnUnmap(txRing, channels[0].port);
      return { txRing, rxRing: txRing + PAGE_SIZE, channels };
    });
    const controlRing = rings + 2 * queues.length * PAGE_SIZE;
    if (keys.control) map([keys.control.ref], controlRing);
    const control = keys.control && { ring: controlRing, channel: bind(keys.control.eventPort, threads[0]) };
    const port = this.#ports.take();
    undo.push(() => this.#ports.give(port));
    const { transfer, capacity } = this.#cachesFor(vif, wanted, threads.length, undo);
    if (transfer === 'grant-copy') domain.openView(VIEW_RESERVE); // without it grant copies are system calls
    const mac = parseMac(vif.mac);
    const common: VifCommons = {
      id: port,
      name,
      mac,
      domid,
      queuesInAll: queues.length,
      features: keys.features,
      control,
      ...keys.settings,
      // Which groups it had listed, its last back end alone knew: it gets them all.
      multicastControl: keys.settings.multicastControl && !resumed,
      wary: this.#wary.has(domid),
      rate: vif.config.rate,
      addresses: vif.config.addresses,
      resumed,
      transfer,
    };
    const parts = threads.map((thread, t) => {
      const own = queues.filter((_, q) => q % threads.length === t);
      const part = t === 0 ? common : { ...common, control: undefined };
      return { thread, spec: vifPart(part, own, { domain, capacity, allocate }) };
    });
    await this.#threads.attach(port, mac, parts);
    undo.push(() => this.#threads.detach(port));
    const channels = queues.flatMap((queue) => queue.channels);
    if (control) channels.push(control.channel);
    return {
      port,
      counters: parts.flatMap(({ spec }) => partCounters(spec)),
      queueCounters: queues.map((_, q) =>
        queueCountersOf(parts[q % parts.length].spec, Math.floor(q / parts.length)),
      ),
      memories: parts.map(({ spec }) => spec.memory),
      queues: parts.flatMap(({ spec }) =>
        spec.queues.map((_, q) => queueState(spec.memory, spec.queues.length, q)),
      ),
      settings: keys.settings,
      transfer,
      notifyFds: channels.map((channel) => channel.notifyFd),
    };
  }

  /**
   * A vif's transfer, and the pages of its caches, one for each part. Where all caches together are as large as they may be,
   * its pages are copied by grant.
   */
  #cachesFor(
    vif: VifIdentity,
    transfer: TransferName,
    parts: number,
    undo: Undo,
  ): { transfer: TransferName; capacity: number } {
    if (transfer === 'map') return { transfer, capacity: MAP_WINDOW };
    if (transfer !== 'persistent' && transfer !== 'static') return { transfer, capacity: 0 };
    const capacities = Array.from({ length: parts }, () => this.#caches.take(transfer));
    const giveBack = () => {
      for (const each of capacities) this.#caches.give(each);
    };
    const capacity = Math.min(...capacities);
    if (capacity > 0) {
      undo.push(giveBack);
      return { transfer, capacity };
    }
    giveBack();
    this.onCrowded(vif, transfer);
    return { transfer: 'grant-copy', capacity };
  }

  /** Whatever event channels it comes with next: they are signalled so that it cannot do it again. */
  #slowed(fd: number): void {
    for (const [key, { notifyFds }] of this.#connected)
      if (notifyFds.includes(fd)) this.#wary.add(Number(key.split('/')[0]));
  }

  #blocked(fd: number): void {
    this.#slowed(fd);
    for (const [key, connected] of this.#connected) {
      if (!connected.notifyFds.includes(fd)) continue;
      const [domid, handle] = key.split('/').map(Number);
      this.onFenced(domid, handle, 'its event channel blocks who signals it');
    }
  }

  #fenced(port: number, why: number): void {
    for (const [key, connected] of this.#connected) {
      if (connected.port !== port) continue;
      const [domid, handle] = key.split('/').map(Number);
      this.onFenced(domid, handle, FENCE_NAMES[why] ?? `reason ${why}`);
    }
  }
}

/** Port ids of one datapath, lowest first. */
export class PortIds {
  readonly #taken = new Set<number>();
  readonly #max: number;

  /** Ids 1 … max - 1. */
  constructor(max: number) {
    this.#max = max;
  }

  take(): number {
    for (let id = 1; id < this.#max; id++) {
      if (this.#taken.has(id)) continue;
      this.#taken.add(id);
      return id;
    }
    throw new SetupError(`no more than ${this.#max - 1} ports`);
  }

  give(id: number): void {
    this.#taken.delete(id);
  }
}

function keyOf(vif: VifIdentity): string {
  return `${vif.domid}/${vif.handle}`;
}
