/**
 * "static": a buffer between the two ends that is mapped once (the talk's "static buffer between netfront and netback",
 * proposed by Ian Pratt). A front end announces its pages over the control ring (netif.h, ADD_GREF_MAPPING); they are
 * mapped and pinned for good, and a move is a look-up without a check of the grant, and the copy. What it did not
 * announce it may use all the same: that is copied by grant.
 *
 * The talk counts two copies on receive. The first is ours, into the static page. The second is the guest's, out of
 * it, before it can post the page again: NetfrontOptions.copyOut does it here; in an embedded guest it is the
 * kernel's, when the page is written to the tap.
 */
import { CACHE_STATIC } from '../../assembly/grant_layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import type { GrantTable } from '../xen/grant_table.js';
import { emptyWindow, layCache, type MappingCache } from './persistent.js';
import type { Transfer } from './transfer.js';

/** Pages that a vif may announce at most: all RAM of an embedded guest. */
export const STATIC_PAGES = 6144;

export class Static implements Transfer {
  readonly name = 'static';
  readonly cache: number;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #grants: GrantTable;
  readonly #cache: MappingCache;

  constructor(arena: Arena, loops: Loops, grants: GrantTable, cache: MappingCache) {
    this.#arena = arena;
    this.#loops = loops;
    this.#grants = grants;
    this.#cache = cache;
    this.cache = cache.tables;
    layCache(arena, cache, CACHE_STATIC);
  }

  move(segments: number, n: number): void {
    const left = this.#loops.cacheResolve(this.cache, segments, n);
    this.#loops.moveLocal(segments, n, this.#cache.counters);
    if (left > 0) this.#grants.copy(segments, n, this.#cache.counters);
  }

  borrow(list: number, n: number, bad: number): number {
    return this.#loops.cacheBorrow(this.cache, list, n, bad);
  }

  tick(): void {}

  settle(): void {}

  close(): void {
    emptyWindow(this.#arena, this.#cache);
    this.#loops.staticRelease(this.cache);
  }
}
