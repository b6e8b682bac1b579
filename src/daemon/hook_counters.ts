/** The hook's counters in the words of `vif list`: the same names for the same reasons as in user space. */
import type { PortCounters } from '../datapath/counters.js';
import type { Counters } from '../hook/maps.js';

const DROP_NAMES = {
  dropRunt: 'runt',
  dropSpoofedMac: 'spoofed-source',
  dropSpoofedArp: 'spoofed-arp',
  dropSpoofedNd: 'spoofed-nd',
  dropSpoofedIp: 'spoofed-ip',
  dropReserved: 'reserved-group',
  dropEcho: 'to-itself',
  dropUnknown: 'unknown-unicast',
  dropGone: 'port-gone',
  dropLearnFull: 'learn-full',
  dropClone: 'copy-refused',
  dropOversize: 'oversize',
} as const satisfies Partial<Record<keyof Counters, string>>;

/** Reasons with at least one drop. */
export function hookDrops(counters: Counters): Record<string, number> {
  const drops: Record<string, number> = {};
  for (const [counter, name] of Object.entries(DROP_NAMES)) {
    const count = counters[counter as keyof typeof DROP_NAMES];
    if (count > 0) drops[name] = count;
  }
  return drops;
}

/** What is never done for a kernel port (copies by our own hand, rings, caches) is 0. */
export function hookCounters(counters: Counters): PortCounters {
  const { rxFrames, rxBytes, txFrames, txBytes } = counters;
  return {
    in: { frames: rxFrames, bytes: rxBytes, gso: 0, limited: 0 },
    out: { frames: txFrames, bytes: txBytes, gso: 0, waits: 0, segmented: 0, checksums: 0 },
    copies: { count: 0, bytes: 0 },
    cache: { hits: 0, misses: 0, evictions: 0, copied: 0 },
    control: { requests: 0, refused: 0, multicast: 0 },
    hashed: 0,
    notifications: 0,
    blocked: 0,
    events: 0,
    drops: hookDrops(counters),
  };
}
