/** What of a vif one datapath thread has: some of its queues, with memory and a transfer of their own. */
import { PAGE_SIZE } from '../../assembly/layout.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import type { FrontendKeys } from '../netif/frontend_keys.js';
import { BOUNCE_SIZE, netbackCounters, netbackMemory } from '../netif/netback_memory.js';
import type { VifIdentity } from '../netif/vif_connector.js';
import type { NetbackSpec, QueueSpec } from '../shard/spec.js';
import { MAP_TABLES } from '../transfer/map.js';
import { cacheTables } from '../transfer/persistent.js';
import type { TransferName } from '../transfer/transfer.js';
import type { BackendDomain } from '../xen/platform.js';

/** What all parts of a vif are told alike. */
export type VifCommons = Omit<NetbackSpec, 'kind' | 'queues' | 'block' | 'memory' | 'bounce' | 'cache'>;

/**
 * Can several threads share a vif's queues? Not where these have a state in common: credit, a list of groups, announced
 * pages. (A hash, with queues chosen by it, is refused when the guest comes with it.)
 */
export function separable(vif: VifIdentity, keys: FrontendKeys, transfer: TransferName): boolean {
  const { rate } = vif.config;
  const common = rate || keys.settings.multicastControl || transfer === 'static';
  return keys.queues.length > 1 && !common;
}

/** `capacity`: pages of its mapping cache, or window; `allocate`: zeroed bytes of the arena, for as long as the vif lasts (`apart`: see Arena). */
export function vifPart(
  commons: VifCommons,
  queues: readonly QueueSpec[],
  {
    domain,
    capacity,
    allocate,
  }: {
    domain: BackendDomain;
    capacity: number;
    allocate: (bytes: number, what: string, apart?: boolean) => number;
  },
): NetbackSpec {
  const tables = commons.transfer === 'map' ? MAP_TABLES : cacheTables(domain.grants, capacity);
  return {
    ...commons,
    kind: 'netback',
    queues,
    block: allocate(PORT_BLOCK, 'descriptors', true),
    memory: allocate(netbackMemory(queues.length), 'state', true),
    bounce: allocate(BOUNCE_SIZE, 'private copies'),
    cache: {
      window: capacity && allocate(capacity * PAGE_SIZE, 'mapping cache'),
      tables: capacity && allocate(tables, 'mapping cache', true),
      capacity,
      grants: domain.grants,
      ramFd: domain.ramFd,
    },
  };
}

/** Where a part counts: the sum of these blocks is its share. */
export function partCounters({ block, memory, queues }: NetbackSpec): number[] {
  return netbackCounters(block, memory, queues.length);
}

/** Where the `q`-th queue of a part counts what is its own. */
export function queueCountersOf(part: NetbackSpec, q: number): number {
  const [port, ...queues] = partCounters(part);
  return queues[q] ?? port;
}
