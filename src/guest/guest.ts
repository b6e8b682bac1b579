/** The guest: RAM, grants and rings, the handshake, and a datapath of two wired ports, eth0's tap and netfront. */
import { Socket } from 'node:net';
import { PAGE_SIZE } from '../../assembly/layout.js';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { FENCE_NAMES } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import { ControlFront } from '../netif/control_front.js';
import { Frontend } from '../netif/frontend.js';
import {
  GREF_BASE,
  grantAll,
  PAGE_CTRL_LIST,
  PAGE_CTRL_RING,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_FIRST,
  PAGE_TX_RING,
  RAM_PAGES_NEEDED,
  TX_BUFFERS,
} from '../netif/netfront_memory.js';
import { NETFRONT_MEMORY } from '../netif/netfront_port.js';
import { Shard } from '../shard/shard.js';
import { SetupError } from '../sys/errors.js';
import { signal } from '../sys/eventfd.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import { EmbeddedGrantOwner } from '../xen/embedded/grants.js';
import { connectXenstore } from '../xen/xenstore/client.js';
import type { DomainHandles } from './bootstrap.js';
import { announce, openGuestInterface } from './interface.js';
import { announcePages } from './static_pages.js';

/** RAM, its two copies of state, and room. */
const ARENA_SIZE = 64 * 2 ** 20;
const PORT_NETFRONT = 1;
const PORT_TAP = 2;

export interface RunningGuest {
  /** Resolves when the connection to the daemon or to the back end ends, with the reason. */
  readonly lost: Promise<string>;
  /** `orderly`: tells the back end first, and waits for it to let go. */
  close(orderly: boolean): Promise<void>;
}

/** Connects a domain's network. Throws SetupError. */
export async function startGuest(handles: DomainHandles): Promise<RunningGuest> {
  const { grant } = handles;
  if (grant.ramPages < RAM_PAGES_NEEDED)
    throw new SetupError(`the domain has ${grant.ramPages} pages, ${RAM_PAGES_NEEDED} are needed`);
  const store = connectXenstore(new Socket({ fd: handles.xenstoreFd }));
  const frontend = new Frontend(store);
  const backend = await frontend.discover();

  const arena = Arena.create(ARENA_SIZE);
  const ram = arena.allocate(grant.ramPages * PAGE_SIZE, 'RAM');
  arena.map(ram, grant.ramPages * PAGE_SIZE, handles.ramFd, 0, true);
  const table = arena.allocate(grant.grantPages * PAGE_SIZE, 'grant table');
  arena.map(table, grant.grantPages * PAGE_SIZE, handles.grantFd, 0, true);
  grantAll(new EmbeddedGrantOwner(arena, table, grant.grantPages * PAGE_SIZE), 0);
  const txRing = ram + PAGE_TX_RING * PAGE_SIZE;
  const rxRing = ram + PAGE_RX_RING * PAGE_SIZE;
  const loops = instantiateLoops(arena);
  loops.initRing(txRing);
  loops.initRing(rxRing);
  const controlRing = ram + PAGE_CTRL_RING * PAGE_SIZE;
  loops.initRing(controlRing);
  const buffers = arena.allocate(stackSize(TX_BUFFERS), 'buffers');
  fillBuffers(arena, buffers, ram + PAGE_TX_FIRST * PAGE_SIZE, TX_BUFFERS);

  const tap = openGuestInterface(grant);
  const channels = Array.from({ length: backend.split ? 2 : 1 }, () => handles.allocateEventChannel());
  const controlChannel = backend.control ? handles.allocateEventChannel() : undefined;
  const shard = new Shard(arena);
  shard.onFailure = (error) => {
    process.stderr.write(`netferry: the guest's datapath failed: ${error.stack ?? error.message}\n`);
    process.exit(1);
  };
  await shard.attach({
    kind: 'netfront',
    id: PORT_NETFRONT,
    name: 'netfront',
    ram,
    ramPages: grant.ramPages,
    grefBase: GREF_BASE,
    txRing,
    rxRing,
    rxPages: ram + PAGE_RX_FIRST * PAGE_SIZE,
    buffers,
    features: backend.features,
    block: arena.allocate(PORT_BLOCK, 'descriptors'),
    memory: arena.allocate(NETFRONT_MEMORY, 'netfront'),
    channels,
  });
  const tapMemory = arena.allocate(TAP_MEMORY, 'tap');
  const tapBlock = arena.allocate(PORT_BLOCK, 'descriptors');
  const tapSpec = { kind: 'tap', id: PORT_TAP, name: tap.name, fd: tap.fd, buffers, header: 0 } as const;
  await shard.attach({ ...tapSpec, block: tapBlock, memory: tapMemory });
  await shard.wire(PORT_NETFRONT, PORT_TAP);
  await frontend.connect({
    txRef: GREF_BASE + PAGE_TX_RING,
    rxRef: GREF_BASE + PAGE_RX_RING,
    eventPorts: channels.map((channel) => channel.port),
    control: controlChannel && { ref: GREF_BASE + PAGE_CTRL_RING, eventPort: controlChannel.port },
  });
  if (controlChannel) {
    const client = new ControlFront(arena, loops, controlRing, () => signal(controlChannel.notifyFd));
    await announcePages(arena, client, ram + PAGE_CTRL_LIST * PAGE_SIZE);
  }
  announce(tap.name, grant.mac);
  const fenced = new Promise<string>((resolve) => {
    shard.onFenced = (_port, why) => resolve(`the back end broke the protocol: ${FENCE_NAMES[why] ?? why}`);
  });
  const lost = Promise.race([
    fenced,
    store.closed.then(() => 'the daemon is gone'),
    frontend.closed().then(
      () => 'the back end closed the connection',
      () => 'the daemon is gone',
    ),
  ]);
  return {
    lost,
    close: async (orderly) => {
      if (orderly) await frontend.close().catch(() => {}); // a back end that goes meanwhile needs no good-bye
      await shard.close();
      store.close();
    },
  };
}
