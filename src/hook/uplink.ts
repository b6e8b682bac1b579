/** The uplink's side of the hook: its two programs, and what its NIC takes in for the ports. */
import { close } from '../sys/libc.js';
import { type LinkDetails, linkDetailsOf } from '../sys/link_details.js';
import { macBytes, macText } from '../sys/netlink.js';
import { ReceiveFilter } from '../sys/packet_socket.js';
import { attach } from './attach.js';
import type { Attachment, Mode, Orders } from './attachment.js';
import { type Reaching, reachOf, refuseCircles } from './circles.js';
import { longestFrame, usableDevice } from './device.js';
import { loadProgram } from './loader.js';
import type { Maps } from './maps.js';
import { uplinkEgress, uplinkIngress } from './programs/uplink.js';
import { Shortcut } from './shortcut.js';
import { type Features, SwitchedOff } from './switched_off.js';

export interface UplinkOptions {
  readonly orders?: Orders;
  /** `HookOptions.uplinkPeer`. */
  readonly peer?: boolean | undefined;
  readonly features?: Features | undefined;
  /** What else the hook has. */
  readonly beside?: Iterable<Reaching>;
}

export class Uplink {
  readonly name: string;
  readonly ifindex: number;
  /** The host's MAC, when it was attached. */
  readonly mac: Uint8Array;
  /** Whether ports' unicast frames for the wire skip it. */
  readonly shortcut: Shortcut;
  /** Interfaces that frames come to by it. */
  readonly reach: ReadonlySet<number>;
  /** Bytes of the longest frame that it takes. */
  longest: number;
  readonly #attachment: Attachment;
  readonly #filter: ReceiveFilter;
  /** MACs of ports that come in. */
  readonly #macs = new Set<string>();
  /** It has no unicast filter; undefined: that has not shown yet. */
  #filterless: boolean | undefined;
  readonly #wanted: Features | undefined;
  #features: SwitchedOff | undefined;
  #more = { groups: false, all: false };

  /** Throws SetupError for an interface that cannot be one, SysError; then nothing is attached. */
  constructor(
    name: string,
    mode: (target: { ifindex: number; name: string }) => Mode,
    maps: Maps,
    options: UplinkOptions,
  ) {
    const device = usableDevice(name, 'uplink');
    this.shortcut = new Shortcut(device, options.peer);
    this.#wanted = options.features;
    this.name = device.name;
    this.ifindex = device.index;
    this.reach = reachOf(device);
    refuseCircles(this, options.beside ?? []);
    this.mac = macBytes(device.mac);
    this.longest = longestFrame(device);
    this.#filter = new ReceiveFilter(device.index);
    const programs: number[] = [];
    try {
      const ingress = loadProgram(uplinkIngress(), maps.descriptors);
      programs.push(ingress);
      const egress = loadProgram(uplinkEgress(), maps.descriptors);
      programs.push(egress);
      const target = { ifindex: device.index, name: device.name };
      this.#attachment = attach(target, { ingress, egress }, mode(target), options.orders);
    } catch (error) {
      this.#filter.close();
      throw error;
    } finally {
      for (const fd of programs) close(fd); // the attachment keeps them
    }
  }

  get mode(): Mode {
    return this.#attachment.mode;
  }

  /** What its NIC must not do meanwhile; undefined before `switchOff`. */
  get features(): SwitchedOff | undefined {
    return this.#features;
  }

  /** The last step, when all else went well: some NICs lose their link for a moment by it. */
  switchOff(): void {
    this.#features = new SwitchedOff(this.ifindex, 'uplink', this.#wanted);
  }

  /** `device` as it is now, if it still is. True when what the programs see of it changed. */
  look(device: LinkDetails | undefined): boolean {
    const before = this.longest;
    if (device) this.longest = longestFrame(device);
    return this.shortcut.look(device) || this.longest !== before;
  }

  /** Whether its programs are no longer in place. */
  lost(): boolean {
    return !this.#attachment.attached();
  }

  /** Whether the NIC is promiscuous for us, whoever else wants it so: for want of a unicast filter, or because a port learns. */
  promiscuous(): boolean {
    return this.#more.all || (this.#filterless === true && this.#macs.size > 0);
  }

  /** Frames from the wire to this MAC come in. */
  receive(mac: Uint8Array): void {
    const before = this.#filterless === undefined ? this.#promiscuity() : 0;
    this.#filter.add(mac);
    this.#macs.add(macText(mac));
    if (this.#filterless !== undefined) return;
    // The kernel asks for promiscuous mode once, so where it is on already (for a macvlan, maybe) nothing shows.
    const now = this.#promiscuity();
    if (now > before) this.#filterless = true;
    else if (now === 0) this.#filterless = false;
  }

  receiveNoLonger(mac: Uint8Array): void {
    this.#filter.remove(mac);
    this.#macs.delete(macText(mac));
  }

  #promiscuity(): number {
    return linkDetailsOf(this.ifindex)?.promiscuity ?? 0;
  }

  /** Whether every group's frames come in too, and whether really all do (promiscuous). */
  receiveMore(wanted: { readonly groups: boolean; readonly all: boolean }): void {
    if (wanted.groups !== this.#more.groups) this.#filter.allGroups(wanted.groups);
    if (wanted.all !== this.#more.all) this.#filter.everything(wanted.all);
    this.#more = wanted;
  }

  close(): void {
    this.#attachment.close();
    this.#features?.restore();
    this.#filter.close();
  }
}
