/** MACs that the ports' programs found by themselves: the part of the table whose truth is in the kernel. */
import { macBytes, macText } from '../sys/netlink.js';
import type { Maps } from './maps.js';
import { LEARNED_ALL, LEARNED_MOST } from './programs/layout.js';

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

/**
 * Forgets those of which `isGone` says so. Then it counts what the learning ports, and all together, have: `ports`, with
 * how many each may have.
 */
export function forget(
  maps: Maps,
  ports: Iterable<{ readonly id: number; readonly learn: number }>,
  isGone: (one: LearnedMac) => boolean,
): void {
  const counts = new Map<number, number>();
  let all = 0;
  for (const one of learnedMacs(maps)) {
    if (isGone(one)) maps.removeMac(macBytes(one.mac));
    else {
      counts.set(one.port, (counts.get(one.port) ?? 0) + 1);
      all++;
    }
  }
  for (const { id, learn } of ports) if (learn > 0) maps.setLearned(id, counts.get(id) ?? 0, learn);
  maps.setLearned(LEARNED_ALL, all, LEARNED_MOST);
}
