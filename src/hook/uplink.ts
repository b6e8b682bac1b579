/** The uplink's side of the hook: its two programs, and what its NIC takes in for the ports. */
import { close } from '../sys/libc.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { macBytes } from '../sys/netlink.js';
import { ReceiveFilter } from '../sys/packet_socket.js';
import { attach } from './attach.js';
import type { Attachment, Mode, Orders } from './attachment.js';
import { usableDevice } from './device.js';
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
}

export class Uplink {
  readonly name: string;
  readonly ifindex: number;
  /** The host's MAC, when it was attached. */
  readonly mac: Uint8Array;
  /** Whether ports' unicast frames for the wire skip it. */
  readonly shortcut: Shortcut;
  readonly #attachment: Attachment;
  readonly #filter: ReceiveFilter;
  readonly #promiscuityBefore: number;
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
    this.mac = macBytes(device.mac);
    this.#promiscuityBefore = device.promiscuity;
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

  /** Whether its programs are no longer in place. */
  lost(): boolean {
    return !this.#attachment.attached();
  }

  /** Whether the NIC became promiscuous for us: for want of a unicast filter, or because a port learns. */
  promiscuous(): boolean {
    const now = linkDetailsOf(this.ifindex);
    return now !== undefined && now.promiscuity > this.#promiscuityBefore;
  }

  /** Frames from the wire to this MAC come in. */
  receive(mac: Uint8Array): void {
    this.#filter.add(mac);
  }

  receiveNoLonger(mac: Uint8Array): void {
    this.#filter.remove(mac);
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
