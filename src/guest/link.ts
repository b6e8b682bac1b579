/** What a guest's network is, whatever the guest is: two wired ports, netfront and a tap, and the handshake. */
import { PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { FENCE_NAMES } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import { ControlFront } from '../netif/control_front.js';
import type { BackendOffer, Frontend } from '../netif/frontend.js';
import {
  GREF_BASE,
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
import type { Tap } from '../sys/tun.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import type { Channel } from '../xen/event_channels.js';
import { announcePages } from './static_pages.js';

const PORT_NETFRONT = 1;
const PORT_TAP = 2;

export interface LinkParts {
  readonly arena: Arena;
  readonly loops: Loops;
  readonly shard: Shard;
  /** `pages` side by side at `address`, all of them granted under the layout's references for as long as the link lives. */
  readonly ram: {
    readonly address: number;
    readonly pages: number;
    readonly layout: NetfrontLayout;
    /** As NetfrontOptions.grefs. */
    readonly grefs?: number;
  };
  readonly tap: Tap;
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
  const { arena, loops, shard, tap, frontend, offer } = parts;
  const { address: ram, pages: ramPages, layout, grefs = 0 } = parts.ram;
  const at = (page: number) => ram + page * PAGE_SIZE;
  for (const page of [PAGE_TX_RING, PAGE_RX_RING, PAGE_CTRL_RING]) loops.initRing(at(page));
  const buffers = arena.allocate(stackSize(layout.txBuffers), 'buffers');
  fillBuffers(arena, buffers, at(PAGE_TX_FIRST), layout.txBuffers);
  const channels = Array.from({ length: offer.split ? 2 : 1 }, () => parts.openChannel());
  const control = offer.control ? parts.openChannel() : undefined;
  await shard.attach({
    kind: 'netfront',
    id: PORT_NETFRONT,
    name: 'netfront',
    ram,
    ramPages,
    grefBase: GREF_BASE,
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
  const tapSpec = { kind: 'tap', id: PORT_TAP, name: tap.name, fd: tap.fd, buffers, header: 0 } as const;
  await shard.attach({ ...tapSpec, block, memory });
  await shard.wire(PORT_NETFRONT, PORT_TAP);
  const controlRef = layout.reference(PAGE_CTRL_RING);
  await frontend.connect({
    txRef: layout.reference(PAGE_TX_RING),
    rxRef: layout.reference(PAGE_RX_RING),
    eventPorts: channels.map((channel) => channel.port),
    control: control && { ref: controlRef, eventPort: control.port },
  });
  if (!control) return 0;
  const client = new ControlFront(arena, loops, at(PAGE_CTRL_RING), parts.notifier(control));
  return announcePages(arena, client, at(PAGE_CTRL_LIST), layout);
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
