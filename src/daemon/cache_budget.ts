/**
 * How many pages the mapping caches of all vifs may map together: each can cost the kernel one mapping of
 * vm.max_map_count, of which the rest of the process needs some. (At its limit V8 itself finds no memory.)
 */
import { readFileSync } from 'node:fs';
import { CACHE_PAGES } from '../transfer/persistent.js';
import { STATIC_PAGES } from '../transfer/static.js';

/** linux/mm.h: DEFAULT_MAX_MAP_COUNT. */
export const MAP_COUNT = 65530;
const SHARE = 0.75;
/** Both rings' worth of pages: with fewer, frames in flight would find no place. */
const LEAST = 512;

/** What the kernel allows a process; undefined: it is not to be read. */
export function mapLimit(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/vm/max_map_count', 'latin1'));
  } catch {
    return undefined;
  }
}

export class CacheBudget {
  #left: number;

  constructor(limit = mapLimit() ?? MAP_COUNT) {
    this.#left = Math.floor(limit * SHARE);
  }

  /**
   * Pages for the cache of one more vif: full ones while there are few vifs, smaller ones when they are many. 0: there
   * are none. Its owner gives them back.
   */
  take(transfer: 'persistent' | 'static'): number {
    const left = this.#left;
    // What a guest announces is everything it will ever use; neighbours share a kernel mapping.
    const wanted =
      transfer === 'static'
        ? Math.min(STATIC_PAGES, Math.floor(left / 8))
        : Math.min(CACHE_PAGES, Math.floor(left / 16));
    const pages = Math.max(LEAST, wanted);
    if (pages > left) return 0;
    this.#left -= pages;
    return pages;
  }

  give(pages: number): void {
    this.#left += pages;
  }
}

/** Vifs of transfer `persistent` for which a limit is enough. */
export function vifsWithin(limit: number): number {
  const budget = new CacheBudget(limit);
  let vifs = 0;
  while (budget.take('persistent') > 0) vifs++;
  return vifs;
}

/** The smallest limit that is enough for so many, to the next 4096. */
export function limitFor(vifs: number): number {
  let limit = 4096;
  while (vifsWithin(limit) < vifs) limit += 4096;
  return limit;
}

/** For the log: a vif whose wish for a mapping cache met the limit. */
export function crowded(name: string, wanted: string): string {
  return `vif ${name}: copied by grant, not ${wanted}: the mapping caches of all vifs are as large as vm.max_map_count lets them be`;
}
