/** MACs that the ports' programs found by themselves: the part of the table whose truth is in the kernel. */
import { macText } from '../sys/netlink.js';
import type { Maps } from './maps.js';

export interface LearnedMac {
  readonly mac: string;
  readonly port: number;
  /** Since it was last seen. */
  readonly idleMs: number;
}

/** Every learned MAC. */
export function learnedMacs(maps: Maps): LearnedMac[] {
  const now = process.hrtime.bigint(); // CLOCK_MONOTONIC, as the programs'
  return maps
    .macs()
    .filter(({ entry }) => entry.learned)
    .map(({ mac, entry }) => {
      const idleMs = Math.max(0, Number(now - entry.seen) / 1e6);
      return { mac: macText(mac), port: entry.slot, idleMs };
    });
}
