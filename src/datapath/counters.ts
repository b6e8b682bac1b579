/** The names of the counters that the hot loops keep (assembly/counters.ts). */
import * as C from '../../assembly/counters.js';
import type { Arena } from '../arena/arena.js';

/** Drop reasons, as users meet them in `vif list`, logs and metrics. */
export const DROP_NAMES: Readonly<Record<number, string>> = {
  [C.DROP_RUNT]: 'runt',
  [C.DROP_OVERSIZE]: 'oversize',
  [C.DROP_BAD_SLOT]: 'bad-slot',
  [C.DROP_TOO_MANY_SLOTS]: 'too-many-slots',
  [C.DROP_BAD_GRANT]: 'bad-grant',
  [C.DROP_BAD_CSUM]: 'bad-csum',
  [C.DROP_BAD_GSO]: 'bad-gso',
  [C.DROP_SPOOFED]: 'spoofed-source',
  [C.DROP_UNKNOWN_UNICAST]: 'unknown-unicast',
  [C.DROP_SELF]: 'to-itself',
  [C.DROP_RX_FULL]: 'rx-full',
  [C.DROP_RX_STALLED]: 'rx-stalled',
  [C.DROP_TAP_ERROR]: 'tap-error',
  [C.DROP_NO_BUFFER]: 'no-buffer',
  [C.DROP_FENCED]: 'fenced',
  [C.DROP_PORT_GONE]: 'port-gone',
  [C.DROP_PEER_ERROR]: 'peer-error',
  [C.DROP_NO_SG]: 'no-scatter-gather',
  [C.DROP_EMPTY_GROUP]: 'group-of-none',
  [C.DROP_MULTICAST]: 'group-not-listed',
  [C.DROP_SPOOFED_IP]: 'spoofed-ip',
  [C.DROP_SPOOFED_ARP]: 'spoofed-arp',
  [C.DROP_SPOOFED_ND]: 'spoofed-nd',
};

/** Why a peer was fenced. */
export const FENCE_NAMES: Readonly<Record<number, string>> = {
  [C.FENCE_RING_OVERFLOW]: 'more requests than the ring holds',
  [C.FENCE_MISSING_SLOT]: 'a packet announces slots that are not there',
  [C.FENCE_ENDLESS_CHAIN]: 'a packet of too many slots',
  [C.FENCE_UNKNOWN_EXTRA]: 'an extra-info type that was not negotiated',
  [C.FENCE_PAGE_CROSSED]: 'a slot that reaches beyond its page',
  [C.FENCE_BAD_ID]: 'a response to no request',
};

/** Adds to counter `index` of the block at `counters`, as the loops do; for the thread that writes that block. */
export function countUp(u32: Uint32Array, counters: number, index: number, by = 1): void {
  const low = (counters + index * 8) / 4;
  const sum = u32[low] + by;
  u32[low] = sum >>> 0;
  if (sum > 0xffffffff) u32[low + 1]++;
}

/** A port's counters at one moment. */
export interface PortCounters {
  /** `limited`: times that its rate made it wait. */
  readonly in: { frames: number; bytes: number; gso: number; limited: number };
  readonly out: {
    frames: number;
    bytes: number;
    gso: number;
    waits: number;
    segmented: number;
    checksums: number;
  };
  readonly copies: { count: number; bytes: number };
  /** `copied`: pages that could not be mapped for want of mappings, and were copied by grant instead. */
  readonly cache: { hits: number; misses: number; evictions: number; copied: number };
  /** Requests on the control ring, those of them refused, and changes of the multicast list. */
  readonly control: { requests: number; refused: number; multicast: number };
  /** Frames with the hash that their receiver asked for. */
  readonly hashed: number;
  readonly notifications: number;
  /** Times that the peer made notifications wait. */
  readonly blocked: number;
  readonly events: number;
  /** Reasons with at least one drop. */
  readonly drops: Readonly<Record<string, number>>;
}

/** Reads a counter block, or the sum of several. The datapath thread goes on counting meanwhile. */
export function readCounters(arena: Arena, ...addresses: readonly number[]): PortCounters {
  const at = (index: number) =>
    addresses.reduce((sum, address) => sum + Number(arena.view.getBigUint64(address + index * 8, true)), 0);
  const drops: Record<string, number> = {};
  for (const [index, name] of Object.entries(DROP_NAMES)) {
    const n = at(Number(index));
    if (n > 0) drops[name] = n;
  }
  return {
    in: {
      frames: at(C.C_IN_FRAMES),
      bytes: at(C.C_IN_BYTES),
      gso: at(C.C_IN_GSO),
      limited: at(C.C_IN_LIMITED),
    },
    out: {
      frames: at(C.C_OUT_FRAMES),
      bytes: at(C.C_OUT_BYTES),
      gso: at(C.C_OUT_GSO),
      waits: at(C.C_OUT_WAITS),
      segmented: at(C.C_SEGMENTED),
      checksums: at(C.C_CSUM_FILLED),
    },
    copies: { count: at(C.C_COPIES), bytes: at(C.C_COPIED_BYTES) },
    cache: {
      hits: at(C.C_CACHE_HITS),
      misses: at(C.C_CACHE_MISSES),
      evictions: at(C.C_CACHE_EVICTIONS),
      copied: at(C.C_CACHE_COPIED),
    },
    control: {
      requests: at(C.C_CONTROL),
      refused: at(C.C_CONTROL_REFUSED),
      multicast: at(C.C_MULTICAST),
    },
    hashed: at(C.C_HASHED),
    notifications: at(C.C_NOTIFICATIONS),
    blocked: at(C.C_BLOCKED),
    events: at(C.C_EVENTS),
    drops,
  };
}
