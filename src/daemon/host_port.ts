/** The host's own place in the network: a tap in the daemon's network namespace, attached like any other port. */
import { readFileSync } from 'node:fs';
import type { PortCounters } from '../datapath/counters.js';
import { SetupError } from '../sys/errors.js';
import { addressAdd, linkInfo, linkSet } from '../sys/netlink.js';
import { lastingMac, parseMac } from './addresses.js';
import type { HostOptions } from './options.js';
import { type AttachedTap, attachTap, createTap, type Datapath } from './tap.js';
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
  close(): Promise<void>;
}

export class HostPort implements HostPlace {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly io: 'io_uring' | 'plain';
  readonly #tap: AttachedTap;
  readonly #close: () => Promise<void>;

  private constructor(options: HostOptions, mac: string, tap: AttachedTap, close: () => Promise<void>) {
    this.name = options.name;
    this.addresses = options.addresses;
    this.mtu = options.mtu;
    this.mac = mac;
    this.io = tap.io;
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
      const fds = createTap(datapath, name, undo);
      linkSet(name, { mac, mtu: options.mtu });
      linkSet(name, { up: true });
      for (const address of options.addresses) addressAdd(name, address);
      const tap = await attachTap(datapath, { name, fds, mac: parseMac(mac), isolated }, undo);
      return new HostPort(options, mac, tap, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  get counters(): PortCounters {
    return this.#tap.counters();
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
