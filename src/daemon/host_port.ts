/** The host's own place in the network: a tap in the daemon's network namespace, attached like any other port. */
import { closeSync } from 'node:fs';
import { HEADER_READ } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { type PortCounters, readCounters } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import type { Shard } from '../shard/shard.js';
import { SetupError } from '../sys/errors.js';
import { addressAdd, linkInfo, linkSet } from '../sys/netlink.js';
import { openTap } from '../sys/tun.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import { parseMac } from './addresses.js';
import type { HostOptions } from './options.js';
import { Undo } from './undo.js';
import type { PortIds } from './vifs.js';

/** Frames of the host in flight at most. */
const BUFFERS = 96;

export class HostPort {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly io: 'io_uring' | 'plain';
  readonly #arena: Arena;
  readonly #block: number;
  readonly #close: () => Promise<void>;

  private constructor(
    arena: Arena,
    options: HostOptions,
    parts: { mac: string; io: 'io_uring' | 'plain'; block: number; close: () => Promise<void> },
  ) {
    this.#arena = arena;
    this.name = options.name;
    this.addresses = options.addresses;
    this.mtu = options.mtu;
    this.mac = parts.mac;
    this.io = parts.io;
    this.#block = parts.block;
    this.#close = parts.close;
  }

  /** Makes the tap, gives it its addresses, brings it up and attaches it. Throws SetupError; nothing is left then. */
  static async open(
    arena: Arena,
    shard: Shard,
    ports: PortIds,
    options: HostOptions,
    mac: string,
  ): Promise<HostPort> {
    if (linkInfo(options.name)) {
      throw new SetupError(
        `interface ${options.name} exists`,
        'another daemon runs, or choose another --host-name',
      );
    }
    const undo = new Undo();
    const close = () => undo.run();
    const allocate = (bytes: number) => {
      const address = arena.allocate(bytes, options.name);
      undo.push(() => arena.free(address, bytes));
      return address;
    };
    try {
      const tap = openTap(options.name);
      undo.push(() => closeSync(tap.fd));
      linkSet(options.name, { mac, mtu: options.mtu });
      linkSet(options.name, { up: true });
      for (const address of options.addresses) addressAdd(options.name, address);
      const block = allocate(PORT_BLOCK);
      const memory = allocate(TAP_MEMORY);
      const buffers = allocate(stackSize(BUFFERS));
      fillBuffers(arena, buffers, allocate(BUFFERS * 65536), BUFFERS);
      const id = ports.take();
      undo.push(() => ports.give(id));
      const spec = {
        kind: 'tap',
        id,
        name: options.name,
        mac: parseMac(mac),
        fd: tap.fd,
        block,
        memory,
        buffers,
      } as const;
      const { io = 'plain' } = await shard.attach({ ...spec, header: HEADER_READ });
      undo.push(() => shard.detach(id));
      return new HostPort(arena, options, { mac, io, block, close });
    } catch (error) {
      await close();
      throw error;
    }
  }

  get counters(): PortCounters {
    return readCounters(this.#arena, this.#block);
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
