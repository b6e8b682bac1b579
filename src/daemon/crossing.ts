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
import { linkInfo, linkSet } from '../sys/netlink.js';
import { type AttachedTap, attachTap, createTap, type Datapath } from './tap.js';
import { Undo } from './undo.js';

/** No frame is too long for it: 64 KiB less an Ethernet header. */
const MTU = 65_521;
/** Frames that the kernel keeps for us while the datapath thread is busy. */
const QUEUE = 2000;

export class Crossing {
  readonly name: string;
  readonly mtu = MTU;
  /** The hook's number for it. */
  readonly id: number;
  readonly #tap: AttachedTap;
  readonly #close: () => Promise<void>;

  private constructor(name: string, id: number, tap: AttachedTap, close: () => Promise<void>) {
    this.name = name;
    this.id = id;
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
      const fds = createTap(datapath, name, undo);
      silence(name);
      linkSet(name, { mtu: MTU, txQueueLen: QUEUE });
      // The hook first: until it is there, the host's stack would answer what comes out of the tap.
      const id = hook.addPort({ name, macs, fallback: true });
      undo.push(() => hook.removePort(id));
      linkSet(name, { up: true });
      const tap = await attachTap(datapath, { name, fds, uplink: true, isolated }, undo);
      return new Crossing(name, id, tap, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  get counters(): PortCounters {
    return this.#tap.counters();
  }

  get io(): 'io_uring' | 'plain' {
    return this.#tap.io;
  }

  async close(): Promise<void> {
    await this.#close();
  }
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
