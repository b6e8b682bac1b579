/** Counters as tests ask for them. */
import type { Arena } from '../../src/arena/arena.js';
import { readCounters } from '../../src/datapath/counters.js';

/** Drop reasons and counts of a port, without the zeroes. */
export function dropsOf(arena: Arena, port: { readonly counters: number }): Readonly<Record<string, number>> {
  return readCounters(arena, port.counters).drops;
}

export function countersOf(arena: Arena, port: { readonly counters: number }) {
  return readCounters(arena, port.counters);
}

/** All drops of a port together. */
export function dropped(arena: Arena, port: { readonly counters: number }): number {
  return Object.values(dropsOf(arena, port)).reduce((a, b) => a + b, 0);
}
