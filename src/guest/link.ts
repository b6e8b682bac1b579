/** What a guest's network is, whatever the guest is: for each queue two wired ports, netfront and tap, and the handshake. */
import { PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { FENCE_NAMES } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import { ControlFront } from '../netif/control_front.js';
import type { BackendOffer, Frontend, FrontendQueue } from '../netif/frontend.js';
import {
  type NetfrontLayout,
  PAGE_CTRL_LIST,
  PAGE_CTRL_RING,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_FIRST,
  PAGE_TX_RING,
} from '../netif/netfront_memory.js';
import { NETFRONT_MEMORY } from '../netif/netfront_port.js';
import type { Shard } from '../shard/shard.js';
import { setCarrier } from '../sys/tun.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import type { Channel } from '../xen/event_channels.js';
import type { GuestInterface } from './interface.js';
import { announcePages } from './static_pages.js';

/** A queue's share of the RAM: `pages` side by side at `address`, all granted for as long as the link lives. */
export interface QueueRam {
  readonly address: number;
  readonly pages: number;
  readonly layout: NetfrontLayout;
  /** As NetfrontOptions.grefs. */
  readonly grefs?: number;
}

export interface LinkParts {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly shard: Shard;
  /** As many queues, offered by the back end. */
  readonly queues: readonly QueueRam[];
  /** With a descriptor for each queue. */
  readonly tap: GuestInterface;
  readonly frontend: Frontend;
  readonly offer: BackendOffer;
  /** A new event channel that the back end can bind. */
  openChannel(): Channel;
  /** What wakes the back end by such a channel. */
  notifier(channel: Channel): () => void;
}

/**
 * Resolves when frames flow, with the number of pages that the back end keeps mapped. Throws SetupError with what the
 * back end said.
 */
export async function link(parts: LinkParts): Promise<number> {
  const { arena, loops, frontend, offer } = parts;
  const [{ address, layout }] = parts.queues;
  const controlRing = address + PAGE_CTRL_RING * PAGE_SIZE;
  loops.initRing(controlRing);
  const queues = [];
  for (const [q, ram] of parts.queues.entries()) queues.push(await linkQueue(parts, ram, q));
  const control = offer.control ? parts.openChannel() : undefined;
  await frontend.connect({
    queues,
    control: control && { ref: layout.reference(PAGE_CTRL_RING), eventPort: control.port },
  });
  await frontend.watchLink((up) => setCarrier(parts.tap.fds[0], up));
  if (!control) return 0;
  const client = new ControlFront(arena, loops, controlRing, parts.notifier(control));
  const layouts = parts.queues.map((queue) => queue.layout);
  return announcePages(arena, client, address + PAGE_CTRL_LIST * PAGE_SIZE, layouts);
}

/** One queue of netfront, wired to one queue of the tap: what the kernel sends there goes here, and what comes goes there. */
async function linkQueue(parts: LinkParts, ram: QueueRam, q: number): Promise<FrontendQueue> {
  const { arena, loops, shard, tap, offer } = parts;
  const { layout, grefs = 0 } = ram;
  const [netfront, wire] = [2 * q + 1, 2 * q + 2];
  const at = (page: number) => ram.address + page * PAGE_SIZE;
  for (const page of [PAGE_TX_RING, PAGE_RX_RING]) loops.initRing(at(page));
  const buffers = arena.allocate(stackSize(layout.txBuffers), 'buffers');
  fillBuffers(arena, buffers, at(PAGE_TX_FIRST), layout.txBuffers);
  const channels = Array.from({ length: offer.split ? 2 : 1 }, () => parts.openChannel());
  await shard.attach({
    kind: 'netfront',
    id: netfront,
    name: `netfront ${q}`,
    ram: ram.address,
    ramPages: ram.pages,
    grefBase: grefs === 0 ? layout.reference(0) : 0,
    grefs,
    txRing: at(PAGE_TX_RING),
    rxRing: at(PAGE_RX_RING),
    rxPages: at(PAGE_RX_FIRST),
    buffers,
    features: offer.features,
    block: arena.allocate(PORT_BLOCK, 'descriptors'),
    memory: arena.allocate(NETFRONT_MEMORY, 'netfront'),
    channels,
  });
  const memory = arena.allocate(TAP_MEMORY, 'tap');
  const block = arena.allocate(PORT_BLOCK, 'descriptors');
  const fd = tap.fds[q];
  await shard.attach({ kind: 'tap', id: wire, name: tap.name, fd, buffers, header: 0, block, memory });
  await shard.wire(netfront, wire);
  return {
    txRef: layout.reference(PAGE_TX_RING),
    rxRef: layout.reference(PAGE_RX_RING),
    eventPorts: channels.map((channel) => channel.port),
  };
}

/** Resolves, with the reason, when a link that was up is no more. `closed`: the connection to xenstore. */
export function lost(
  shard: Shard,
  frontend: Frontend,
  closed: Promise<void>,
  daemon: string,
): Promise<string> {
  const fenced = new Promise<string>((resolve) => {
    shard.onFenced = (_port, why) => resolve(`the back end broke the protocol: ${FENCE_NAMES[why] ?? why}`);
  });
  return Promise.race([
    fenced,
    closed.then(() => `${daemon} is gone`),
    frontend.closed().then(
      () => 'the back end closed the connection',
      () => `${daemon} is gone`,
    ),
  ]);
}
