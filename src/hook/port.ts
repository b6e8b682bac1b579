/** One port of the hook as its owner knows it; `hook.ts` keeps them. */

import { linkLocal, parseAddress } from '../sys/inet.js';
import { close } from '../sys/libc.js';
import type { LinkDetails } from '../sys/link_details.js';
import { attach } from './attach.js';
import type { Attachment, Mode, Order } from './attachment.js';
import { longestFrame } from './device.js';
import { loadProgram } from './loader.js';
import type { Maps, PortEntry } from './maps.js';
import { PORT_CHECKED, PORT_LEARN, PORT_PEER } from './programs/layout.js';
import { portIngress } from './programs/port.js';
import type { Shortcut } from './shortcut.js';
import { type Features, SwitchedOff } from './switched_off.js';

export class HookPort {
  readonly id: number;
  name: string;
  /** 0 while it has no interface. */
  ifindex: number;
  /** Whether frames to it skip its interface. */
  readonly shortcut: Shortcut;
  /** Interfaces that frames come to by it. */
  readonly reach: ReadonlySet<number>;
  /** Bytes of the longest frame that it takes. */
  longest: number;
  /** MACs it may learn; 0: none. */
  readonly learn: number;
  /** Where unknown unicast goes while there is no uplink. */
  readonly fallback: boolean;
  /** MACs the table gives it, in the order given. Those learned are in the map alone. */
  readonly macs = new Map<string, Uint8Array>();
  /** As given; undefined: not checked. */
  addresses: readonly string[] | undefined;
  /** What is in the map for them. */
  #entered: Uint8Array[] = [];
  #attachment: Attachment | undefined;
  #put: (() => void) | undefined;
  #wanted: Features | undefined;
  /** What a NIC must not do while it is a port. */
  #features: SwitchedOff | undefined;

  constructor(
    id: number,
    device: LinkDetails,
    fixed: Pick<HookPort, 'shortcut' | 'reach' | 'learn' | 'fallback'>,
  ) {
    this.id = id;
    this.name = device.name;
    this.ifindex = device.index;
    this.longest = longestFrame(device);
    this.shortcut = fixed.shortcut;
    this.reach = fixed.reach;
    this.learn = fixed.learn;
    this.fallback = fixed.fallback;
  }

  /** Puts the port's program on its interface. Throws SetupError, SysError. */
  attach(maps: Maps, mode: Mode, order: Order, features: Features | undefined): void {
    const put = () => {
      const program = loadProgram(portIngress(this.id), maps.descriptors);
      try {
        this.#attachment = attach(this, { ingress: program }, mode, { ingress: order });
      } finally {
        close(program); // the attachment keeps it
      }
    };
    put();
    this.#put = put;
    this.#wanted = features;
    this.#features = new SwitchedOff(this.ifindex, 'port', features);
  }

  /** It has no interface any more, until `moveTo`. */
  vacate(): void {
    this.detach();
    this.#attachment = undefined;
    this.ifindex = 0;
  }

  /** The same on another interface. Throws SetupError, SysError; then it has none. */
  moveTo(device: LinkDetails): void {
    this.name = device.name;
    this.ifindex = device.index;
    try {
      this.look(device);
      this.#put?.();
      this.#features = new SwitchedOff(this.ifindex, 'port', this.#wanted);
    } catch (error) {
      this.vacate();
      throw error;
    }
  }

  /** The same once more, after somebody took it away. Throws SetupError, SysError. */
  reattach(): void {
    this.#attachment?.close();
    this.#put?.();
  }

  detach(): void {
    this.#attachment?.close();
    this.#features?.restore();
  }

  /** Whether its program is no longer in place. */
  lost(): boolean {
    return this.#attachment?.attached() === false;
  }

  /** `device` as it is now, if it still is. True when what the programs see of it changed. */
  look(device: LinkDetails | undefined): boolean {
    const before = this.longest;
    if (device) this.longest = longestFrame(device);
    return this.shortcut.look(device) || this.longest !== before;
  }

  /** What the programs see. */
  entry(): PortEntry {
    const flags =
      (this.shortcut.taken ? PORT_PEER : 0) |
      (this.learn > 0 ? PORT_LEARN : 0) |
      (this.addresses === undefined ? 0 : PORT_CHECKED);
    const [first] = this.macs.values();
    const ipv4 = this.allowed().find(({ length }) => length === 4);
    return { ifindex: this.ifindex, flags, mac: first, ipv4, longest: this.longest };
  }

  /**
   * The addresses to let through: those given, and, with an IPv6 one among them, the link-local address that stacks
   * make of their MAC (RFC 4291, appendix A); the rule is that of src/netif/senders.ts.
   */
  allowed(): Uint8Array[] {
    if (this.addresses === undefined) return [];
    const given = this.addresses.map((text) => parseAddress(text).bytes);
    if (!given.some(({ length }) => length === 16)) return given;
    return [...given, ...Array.from(this.macs.values(), linkLocal)];
  }

  /** Into the map what may be let through now, and out of it what was and may be no longer. */
  enterAddresses(maps: Maps): void {
    const wanted = this.allowed();
    for (const address of wanted) maps.setAddress(this.id, address, true);
    for (const address of this.#entered) {
      if (!wanted.some((one) => Buffer.compare(one, address) === 0)) maps.setAddress(this.id, address, false);
    }
    this.#entered = wanted;
  }

  toString(): string {
    return `${this.name} (${[...this.macs.keys()].join(', ') || 'no MAC'})`;
  }
}
