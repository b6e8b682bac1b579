/** The embedded guest: RAM that it grants whole, and a link over it. */
import { Socket } from 'node:net';
import { PAGE_SIZE } from '../../assembly/layout.js';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { Frontend } from '../netif/frontend.js';
import { embeddedLayout, grantAll, RAM_PAGES_NEEDED } from '../netif/netfront_memory.js';
import { Shard } from '../shard/shard.js';
import { SetupError } from '../sys/errors.js';
import { signal } from '../sys/eventfd.js';
import { EmbeddedGrantOwner } from '../xen/embedded/grants.js';
import { connectXenstore } from '../xen/xenstore/client.js';
import type { DomainHandles } from './bootstrap.js';
import { announce, openGuestInterface } from './interface.js';
import { link, lost } from './link.js';

/** For each queue: its share of the RAM, its two ports' state, and room. */
const ARENA_SIZE = 64 * 2 ** 20;

export interface RunningGuest {
  /** Resolves when the connection to the daemon or to the back end ends, with the reason. */
  readonly lost: Promise<string>;
  /** `orderly`: tells the back end first, and waits for it to let go. */
  close(orderly: boolean): Promise<void>;
}

/** Connects a domain's network, with so many queues, or as many as the back end takes. Throws SetupError. */
export async function startGuest(handles: DomainHandles, wanted = 1): Promise<RunningGuest> {
  const { grant } = handles;
  const needed = wanted * RAM_PAGES_NEEDED;
  if (grant.ramPages < needed)
    throw new SetupError(`the domain has ${grant.ramPages} pages, ${needed} are needed`);
  const store = connectXenstore(new Socket({ fd: handles.xenstoreFd }));
  const frontend = new Frontend(store);
  const offer = await frontend.discover();

  const queues = Math.min(wanted, offer.queues);
  const arena = Arena.create(wanted * ARENA_SIZE);
  const ram = arena.allocate(grant.ramPages * PAGE_SIZE, 'RAM');
  arena.map(ram, grant.ramPages * PAGE_SIZE, handles.ramFd, 0, true);
  const table = arena.allocate(grant.grantPages * PAGE_SIZE, 'grant table');
  arena.map(table, grant.grantPages * PAGE_SIZE, handles.grantFd, 0, true);
  grantAll(new EmbeddedGrantOwner(arena, table, grant.grantPages * PAGE_SIZE), 0, RAM_PAGES_NEEDED, queues);
  const loops = instantiateLoops(arena);
  const tap = openGuestInterface('eth0', grant, queues);
  const shard = new Shard(arena);
  shard.onFailure = (error) => {
    process.stderr.write(`netferry: the guest's datapath failed: ${error.stack ?? error.message}\n`);
    process.exit(1);
  };
  await link({
    arena,
    loops,
    shard,
    queues: Array.from({ length: queues }, (_, q) => ({
      address: ram + q * RAM_PAGES_NEEDED * PAGE_SIZE,
      pages: RAM_PAGES_NEEDED,
      layout: embeddedLayout(q),
    })),
    tap,
    frontend,
    offer,
    openChannel: handles.allocateEventChannel,
    notifier: (channel) => () => signal(channel.notifyFd),
  });
  announce(tap.name, grant.mac);
  return {
    lost: lost(shard, frontend, store.closed, 'the daemon'),
    close: async (orderly) => {
      if (orderly) await frontend.close().catch(() => {}); // a back end that goes meanwhile needs no good-bye
      await shard.close();
      store.close();
    },
  };
}
