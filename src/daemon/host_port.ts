/** The host's own place in the network: a tap in the daemon's network namespace, attached like any other port. */
import { readFileSync } from 'node:fs';
import type { PortCounters } from '../datapath/counters.js';
import { SetupError } from '../sys/errors.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { addressAdd, linkInfo, linkSet } from '../sys/netlink.js';
import { lastingMac, parseMac } from './addresses.js';
import type { HostOptions } from './options.js';
import { type Datapath, OwnTap } from './tap.js';
import type { Kept } from './tap_keeper.js';
import { Undo } from './undo.js';

/** Which machine this is; else which boot of it. */
const IDS = ['/etc/machine-id', '/proc/sys/kernel/random/boot_id'];

/**
 * The MAC of the host port of that name: the same at each start, for guests that live through a restart go on sending
 * to it. Undefined where this machine has no name of its own.
 */
export function hostMac(name: string): string | undefined {
  for (const path of IDS) {
    try {
      const id = readFileSync(path, 'utf8').trim();
      if (id) return lastingMac('netferry', id, name);
    } catch {} // there may be none
  }
  return undefined;
}

/** What the daemon knows of it, however it is made. */
export interface HostPlace {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly io: 'io_uring' | 'plain';
  /** Absent where the port is listed among the vifs. */
  readonly counters?: PortCounters;
  /** Why its interface is not there; null, or absent: it is. */
  readonly absent?: string | null;
  close(): Promise<void>;
}

export class HostPort implements HostPlace, Kept {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  absent: string | null = null;
  readonly #options: HostOptions;
  readonly #tap: OwnTap;
  readonly #close: () => Promise<void>;

  private constructor(options: HostOptions, mac: string, tap: OwnTap, close: () => Promise<void>) {
    this.name = options.name;
    this.addresses = options.addresses;
    this.mtu = options.mtu;
    this.mac = mac;
    this.#options = options;
    this.#tap = tap;
    this.#close = close;
  }

  /**
   * Makes the tap, gives it its addresses, brings it up and attaches it. `isolated`: guests have another way to the
   * host, and this one exchanges no frames with that. Throws SetupError; nothing is left then.
   */
  static async open(
    datapath: Datapath,
    options: HostOptions,
    mac: string,
    isolated: boolean,
  ): Promise<HostPort> {
    const { name } = options;
    if (linkInfo(name)) {
      throw new SetupError(`interface ${name} exists`, 'another daemon runs, or choose another --host-name');
    }
    const undo = new Undo();
    const close = () => undo.run();
    try {
      const tap = OwnTap.create(datapath, name, undo);
      dress(options, mac);
      await tap.attach({ mac: parseMac(mac), isolated }, undo);
      return new HostPort(options, mac, tap, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  get ifindex(): number {
    return this.#tap.ifindex;
  }

  get io(): 'io_uring' | 'plain' {
    return this.#tap.io;
  }

  get counters(): PortCounters {
    return this.#tap.counters;
  }

  /** It is the host's own: who brings it down, or gives it to another namespace, may. Deleted it is of use to nobody. */
  gone(): boolean {
    return linkDetailsOf(this.ifindex) === undefined && this.#tap.deleted;
  }

  miss(): void {}

  async renew(): Promise<void> {
    await this.#tap.remake(this.name);
    dress(this.#options, this.mac);
    await this.#tap.rejoin();
  }

  async close(): Promise<void> {
    await this.#close();
  }
}

/** With the addresses that were asked for, and up. */
function dress({ name, mtu, addresses }: HostOptions, mac: string): void {
  linkSet(name, { mac, mtu });
  linkSet(name, { up: true });
  for (const address of addresses) addressAdd(name, address);
}
