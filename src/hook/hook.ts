/**
 * Direct routing in the kernel, the bridge's replacement: frames between ports (kernel interfaces), the host and the
 * wire behind an uplink go by MAC, at the bottom of the stack.
 *
 *        guest        guest     user-space vifs          host
 *          │            │             │                   │  ▲
 *     ┌────▼────┐  ┌────▼────┐   ┌────▼─────┐        ┌────▼──┴───┐
 *     │  veth   │  │   tap   │   │ crossing │        │ uplink    │
 *     │ ingress │  │ ingress │   │  ingress │        │ out │ in  │
 *     └────┬────┘  └────┬────┘   └────┬─────┘        └──┬────▲───┘
 *          └────────────┴── macs ─────┴─────────────────┴────┴──── wire
 *
 * The caller's forwarding table is the truth; the maps here mirror it (`setMac`). Only learned MACs are the
 * kernel's own finding. All calls are synchronous set-up calls in the network namespace of the calling thread;
 * they throw SetupError (what to mend) or SysError (what the kernel refused) and then leave things as they were.
 * With TCX everything ends with the process, however it ends; with clsact on exit, and after a SIGKILL at the next
 * start (`attach_clsact.ts`).
 */

import { close } from '../sys/libc.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { macBytes } from '../sys/netlink.js';
import { bestMode, takenOver } from './attach.js';
import { sweepClsact } from './attach_clsact.js';
import type { Mode, Target } from './attachment.js';
import { reachOf, refuseCircles } from './circles.js';
import { usableDevice } from './device.js';
import { GroupList } from './groups.js';
import { type LearnedMac, Learning } from './learning.js';
import { loadProgram } from './loader.js';
import { keyOf, MacTable } from './mac_table.js';
import { type Counters, Maps } from './maps.js';
import type { HookOptions, Mac, PortOptions } from './options.js';
import { HookPort } from './port.js';
import { PortList } from './port_list.js';
import { groupFrames } from './programs/group.js';
import * as layout from './programs/layout.js';
import { Shortcut } from './shortcut.js';
import { Features } from './switched_off.js';
import { Uplink, type UplinkOptions } from './uplink.js';

export class Hook {
  readonly #maps: Maps;
  readonly #groups: GroupList;
  readonly #ports = new PortList();
  readonly #macs: MacTable;
  readonly #learning: Learning;
  readonly #mode: Mode | undefined;
  readonly #uplinkOptions: UplinkOptions;
  readonly #features: Features | undefined;
  #uplink: Uplink | undefined;
  #closed = false;

  /** Attaches the uplink, if there is one. Throws SetupError, SysError; then nothing is attached. */
  constructor(options: HookOptions = {}) {
    this.#mode = options.mode;
    this.#features = options.features && new Features(options.features);
    const { uplinkPeer: peer } = options;
    this.#uplinkOptions = { orders: options.orders ?? {}, peer, features: this.#features };
    sweepClsact(takenOver(options.uplink, options.mode));
    this.#maps = new Maps();
    this.#groups = new GroupList(this.#maps);
    this.#macs = new MacTable(this.#maps, (slot) => String(this.#ports.get(slot)));
    this.#learning = new Learning(this.#maps, (key) => this.#macs.has(key));
    try {
      const group = loadProgram(groupFrames(), this.#maps.descriptors);
      this.#maps.setProgram(layout.PROGRAM_GROUP, group);
      close(group);
      this.setUplink(options.uplink);
    } catch (error) {
      this.#maps.close();
      sweepClsact(); // the spared one too
      throw error;
    }
  }

  /** The uplink, while there is one. */
  get uplink(): Uplink | undefined {
    return this.#uplink;
  }

  ports(): readonly HookPort[] {
    return this.#ports.all();
  }

  /**
   * Another uplink, the same once more after it vanished and came back, or none. Ports go on meanwhile. If the new one
   * cannot be had, there is none.
   */
  setUplink(name: string | undefined): void {
    this.#dropUplink();
    if (name === undefined) return;
    const options = { ...this.#uplinkOptions, beside: this.ports() };
    const uplink = new Uplink(name, (target) => this.#modeOf(target), this.#maps, options);
    this.#uplink = uplink;
    try {
      this.#macs.give(uplink.mac, layout.SLOT_HOST, uplink.name);
      for (const port of this.ports()) for (const mac of port.macs.values()) uplink.receive(mac);
      this.#adjustReception();
      this.#configure();
      uplink.switchOff();
    } catch (error) {
      this.#dropUplink();
      throw error;
    }
  }

  /** Adds a port; returns its id. */
  addPort(options: PortOptions): number {
    const device = usableDevice(options.name, 'port');
    const shortcut = new Shortcut(device, options.peer);
    const reach = reachOf(device);
    const macs = (options.macs ?? []).map(macBytes);
    for (const mac of macs) this.#macs.checkFree(mac);
    this.#ports.checkFree(device);
    if (options.fallback) this.#ports.checkFallback();
    const port = new HookPort(this.#ports.freeId(), device, {
      shortcut,
      reach,
      learn: options.learn ?? 0,
      fallback: options.fallback ?? false,
    });
    refuseCircles(port, this.#interfaces());
    port.addresses = options.addresses;
    port.allowed(); // malformed addresses throw before anything is done
    this.#maps.clearCounters(port.id);
    this.#ports.add(port);
    try {
      this.#learning.begin(port.id, port.learn);
      this.#maps.setPort(port.id, port.entry());
      for (const mac of macs) this.#giveMac(port, mac);
      port.enterAddresses(this.#maps);
      port.attach(this.#maps, this.#modeOf(port), options.order ?? 'first', this.#features);
      this.#groups.add(port.id, port.ifindex, port.longest);
      this.#configure();
      this.#adjustReception();
    } catch (error) {
      this.removePort(port.id);
      throw error;
    }
    return port.id;
  }

  /** Takes a port away; its interface may be gone already. Frames for its MACs go where unknown ones go. */
  removePort(id: number): void {
    const port = this.#ports.get(id);
    this.#groups.remove(id);
    this.#configure();
    for (const mac of [...port.macs.values()]) this.#takeMac(port, mac);
    port.detach();
    this.#learning.end(id);
    port.addresses = undefined;
    port.enterAddresses(this.#maps);
    this.#maps.setPort(id, undefined);
    this.#ports.delete(id);
    this.#configure();
    this.#adjustReception();
  }

  /** The port's interface is gone, and it waits for another: its MACs stay its own, and frames for them are dropped. */
  vacate(id: number): void {
    const port = this.#ports.get(id);
    this.#groups.remove(id);
    this.#configure();
    this.#maps.setPort(id, undefined);
    port.vacate();
  }

  /** A port that was vacated has another interface: with its MACs, addresses and counters. Throws; then it has none. */
  moveTo(id: number, name: string): void {
    const device = usableDevice(name, 'port');
    const port = this.#ports.get(id);
    this.#ports.checkFree(device);
    port.moveTo(device);
    this.#maps.setPort(id, port.entry());
    this.#groups.add(id, port.ifindex, port.longest);
    this.#configure();
  }

  /** Says whose a MAC is: a port's (taken from whichever port had it), or the host's (another beside the uplink's). */
  setMac(mac: Mac, owner: number | 'host'): void {
    const bytes = macBytes(mac);
    if (owner === 'host') {
      this.#macs.checkFree(bytes);
      this.#macs.give(bytes, layout.SLOT_HOST, 'the host');
      return;
    }
    const port = this.#ports.get(owner);
    const before = this.#macs.slotOf(bytes);
    if (before === port.id) return;
    if (before === undefined || before === layout.SLOT_HOST) {
      this.#macs.checkFree(bytes);
      this.#giveMac(port, bytes);
      return;
    }
    this.#macs.move(bytes, port.id);
    port.macs.set(keyOf(bytes), bytes);
    const loser = this.#ports.get(before);
    loser.macs.delete(keyOf(bytes));
    for (const one of [loser, port]) this.#refresh(one);
  }

  /** Whose a MAC is by the table. */
  owner(mac: Mac): number | 'host' | undefined {
    const owner = this.#macs.slotOf(macBytes(mac));
    return owner === layout.SLOT_HOST ? 'host' : owner;
  }

  /** The MAC is nobody's. Nothing happens if it was not. */
  removeMac(mac: Mac): void {
    const bytes = macBytes(mac);
    const owner = this.#macs.slotOf(bytes);
    if (owner === undefined) return;
    if (owner !== layout.SLOT_HOST) this.#takeMac(this.#ports.get(owner), bytes);
    else this.#macs.take(bytes);
  }

  /** What the port may be sender of; undefined: not checked. */
  setAddresses(id: number, addresses: readonly string[] | undefined): void {
    const port = this.#ports.get(id);
    const before = port.addresses;
    port.addresses = addresses;
    try {
      port.allowed();
    } catch (error) {
      port.addresses = before;
      throw error;
    }
    this.#refresh(port);
  }

  /** Of a port, of what was carried to and from the wire, or the host. */
  counters(of: number | 'wire' | 'host'): Counters {
    if (of === 'wire') return this.#maps.counters(layout.SLOT_WIRE);
    if (of === 'host') return this.#maps.counters(layout.SLOT_HOST);
    return this.#maps.counters(this.#ports.get(of).id);
  }

  /** MACs found by learning. */
  learned(): LearnedMac[] {
    return this.#learning.list();
  }

  /** Forgets learned MACs not seen for `idleMs`. The caller decides when: a bridge's habit is 300 s. */
  forgetLearned(idleMs: number): void {
    if (this.#learning.active) this.#learning.forget((_, idle) => idle >= idleMs);
  }

  /** Forgets what was learned behind these ports. Costs little if there is nothing. */
  forgetBehind(ids: readonly number[]): void {
    this.#learning.forgetBehind(ids);
  }

  /** Of all interfaces, or of these, the indexes of those whose programs are gone: with them, or somebody took them away. */
  lost(among?: ReadonlySet<number>): Set<number> {
    const lost = this.#interfaces(among).filter((one) => one.lost());
    return new Set(lost.map(({ ifindex }) => ifindex));
  }

  /** Looks again at which interfaces frames may skip, and how long they may be: all, or those with these indexes. */
  examine(among?: ReadonlySet<number>): void {
    for (const one of this.#interfaces(among)) {
      if (!one.look(linkDetailsOf(one.ifindex))) continue;
      if (one instanceof HookPort) {
        this.#maps.setPort(one.id, one.entry());
        this.#groups.change(one.id, one.ifindex, one.longest);
      } else this.#configure();
    }
  }

  /** Takes everything away; twice is nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { id } of this.ports()) this.removePort(id);
    this.#dropUplink();
    this.#maps.close();
  }

  #interfaces(among?: ReadonlySet<number>): (Uplink | HookPort)[] {
    const all = [...(this.#uplink ? [this.#uplink] : []), ...this.ports()];
    return all.filter(({ ifindex }) => ifindex !== 0 && (among?.has(ifindex) ?? true));
  }

  #modeOf(target: Target): Mode {
    return this.#mode ?? bestMode(target);
  }

  #giveMac(port: HookPort, mac: Uint8Array): void {
    this.#macs.give(mac, port.id, port.name);
    try {
      this.#uplink?.receive(mac);
    } catch (error) {
      this.#macs.take(mac);
      throw error;
    }
    port.macs.set(keyOf(mac), mac);
    this.#refresh(port);
  }

  #takeMac(port: HookPort, mac: Uint8Array): void {
    port.macs.delete(keyOf(mac));
    this.#macs.take(mac);
    this.#uplink?.receiveNoLonger(mac);
    this.#refresh(port);
  }

  /** The port's entry and addresses, after its MACs or addresses changed. */
  #refresh(port: HookPort): void {
    port.enterAddresses(this.#maps);
    this.#maps.setPort(port.id, port.entry());
  }

  #dropUplink(): void {
    const uplink = this.#uplink;
    if (!uplink) return;
    this.#uplink = undefined;
    this.#configure(); // nothing is sent there any more
    uplink.close();
    if (this.#macs.slotOf(uplink.mac) === layout.SLOT_HOST) this.#macs.take(uplink.mac);
  }

  /** Guests join groups that the NIC's filter knows nothing of (ND's, first of all), and learned MACs are in none. */
  #adjustReception(): void {
    this.#uplink?.receiveMore({ groups: this.ports().length > 0, all: this.#learning.active });
  }

  #configure(): void {
    const fallback = this.#ports.fallback?.id ?? 0;
    const uplink = this.#uplink?.ifindex ?? 0;
    const longest = this.#uplink && { longest: this.#uplink.longest };
    const flags =
      (this.#uplink?.shortcut.taken ? layout.PORT_PEER : 0) | (this.#learning.active ? layout.PORT_LEARN : 0);
    this.#maps.setConfig({ uplink, fallback, groups: this.#groups.length, flags, ...longest });
  }
}
