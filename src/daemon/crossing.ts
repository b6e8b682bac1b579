/**
 * Where frames cross between user space and the kernel: a tap that is the datapath's uplink on one side and a port of
 * the hook on the other. Frames of up to 64 KiB with their offloads (virtio_net_hdr) go through it both ways.
 *
 *   vifs ── engine ── nfx0 ── hook ── kernel ports, host, wire
 *
 * The tap has a queue for each datapath thread. Its interface speaks for nobody: it has no address, and the
 * hook's program takes every frame that comes out of it, so the host's stack sees none.
 */
import { writeFileSync } from 'node:fs';
import type { PortCounters } from '../datapath/counters.js';
import type { Hook } from '../hook/hook.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { linkInfo, linkSet } from '../sys/netlink.js';
import { type Datapath, OwnTap } from './tap.js';
import type { Kept } from './tap_keeper.js';
import { Undo } from './undo.js';

/** No frame is too long for it: 64 KiB less an Ethernet header. */
const MTU = 65_521;
/** Frames that the kernel keeps for us while the datapath thread is busy. */
const QUEUE = 2000;

export class Crossing implements Kept {
  readonly mtu = MTU;
  /** The hook's number for it. */
  readonly id: number;
  absent: string | null = null;
  readonly #hook: Hook;
  readonly #tap: OwnTap;
  readonly #close: () => Promise<void>;

  private constructor(hook: Hook, id: number, tap: OwnTap, close: () => Promise<void>) {
    this.id = id;
    this.#hook = hook;
    this.#tap = tap;
    this.#close = close;
  }

  /**
   * `macs`: those in user space. `isolated`: it exchanges no frames with the host's own tap. Throws SetupError; nothing
   * is left then.
   */
  static async open(
    datapath: Datapath,
    hook: Hook,
    macs: readonly string[],
    isolated: boolean,
  ): Promise<Crossing> {
    const undo = new Undo();
    const close = () => undo.run();
    try {
      const name = freeName();
      const own = OwnTap.create(datapath, name, undo);
      prepare(name);
      // The hook first: until it is there, the host's stack would answer what comes out of the tap.
      const id = hook.addPort({ name, macs, fallback: true });
      undo.push(() => hook.removePort(id));
      linkSet(name, { up: true });
      await own.attach({ uplink: true, isolated }, undo);
      return new Crossing(hook, id, own, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  get name(): string {
    return this.#tap.name;
  }

  get ifindex(): number {
    return this.#tap.ifindex;
  }

  get counters(): PortCounters {
    return this.#tap.counters;
  }

  get io(): 'io_uring' | 'plain' {
    return this.#tap.io;
  }

  /**
   * Deleted, or moved to where its frames would come to another's stack. What else befalls it is nobody's but ours to say:
   * it is put back.
   */
  gone(): boolean {
    const link = linkDetailsOf(this.ifindex);
    if (!link || this.#tap.deleted) return true;
    try {
      if (link.mtu !== MTU) linkSet(link.name, { mtu: MTU });
      if (!link.up) linkSet(link.name, { up: true });
    } catch (error) {
      if (!linkDetailsOf(this.ifindex)) return true; // since we looked
      throw error;
    }
    if (link.name !== this.name) this.#tap.renamed(link.name);
    return false;
  }

  /** Its MACs stay its own: what is for them is dropped meanwhile, and not sent to the wire. */
  miss(): void {
    this.#hook.vacate(this.id);
  }

  async renew(): Promise<void> {
    this.miss(); // again, where the last attempt came half-way
    const name = linkInfo(this.name) ? freeName() : this.name;
    await this.#tap.remake(name);
    prepare(name);
    this.#hook.moveTo(this.id, name);
    linkSet(name, { up: true });
    await this.#tap.rejoin();
  }

  async close(): Promise<void> {
    await this.#close();
  }
}

/** As no other interface is: before it is up. */
function prepare(name: string): void {
  silence(name);
  linkSet(name, { mtu: MTU, txQueueLen: QUEUE });
}

/** Daemons on other uplinks of this namespace have crossings too. */
function freeName(): string {
  for (let number = 0; ; number++) if (!linkInfo(`nfx${number}`)) return `nfx${number}`;
}

/** The kernel would give it an IPv6 address and tell the guests about it. */
function silence(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  } catch {} // no IPv6; or /proc/sys is read-only, and then it says a few words that nobody answers
}
