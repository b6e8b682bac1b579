/**
 * "persistent": do not unmap a guest's page after use; keep a table of what is mapped. Guests use the same pages
 * again and again, so that nearly every move is a look-up and a copy.
 *
 * The cache is a window of arena pages, bounded, least recently used first out. An entry remembers the grant as it
 * was when it was mapped and is looked at again on every use: when the guest ends the grant, the cache knows. A
 * cached mapping does not keep the guest from ending it.
 *
 * On Xen itself a mapping pins its grant, and no entry can be seen. There this is for front ends that keep their
 * grants, and say so (`feature-persistent`): others would find a page in use that they want back.
 */
import {
  CACHE_CAPACITY,
  CACHE_COUNTERS,
  CACHE_DOMAINS,
  CACHE_DOMID,
  CACHE_ENTRY,
  CACHE_FLOOR,
  CACHE_GRANTS,
  CACHE_ID,
  CACHE_KIND,
  CACHE_PERSISTENT,
  CACHE_PINS,
  CACHE_SIZE,
  CACHE_SLOT,
  CACHE_SLOTS,
  CACHE_TABLE,
  CACHE_TICK,
  CACHE_WINDOW,
} from '../../assembly/grant_layout.js';
import { PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import type { GrantTable } from '../xen/grant_table.js';
import type { Transfer } from './transfer.js';

export interface MappingCache {
  /** Number by which the loops ask for a page of this cache. */
  readonly id: number;
  readonly domid: number;
  /** Address of the domain records. */
  readonly domains: number;
  /** Grant references the domain has. */
  readonly grants: number;
  /** Pages at most. */
  readonly capacity: number;
  /** Arena address of `capacity` pages. */
  readonly window: number;
  /** Arena address of cacheTables(grants, capacity) zeroed bytes. */
  readonly tables: number;
  readonly counters: number;
  /** Do the platform's mappings pin their grants? Then no entry is compared, and the front end must not end them. */
  readonly pins?: boolean;
  /** Empties the window, where that takes more than zero pages in its place. Throws SysError. */
  readonly unmapWindow?: (address: number, bytes: number) => void;
}

/** Pages that a vif's cache maps at most, by default: more than both rings of full-sized frames use. */
export const CACHE_PAGES = 2048;

/** Bytes of arena for a cache's tables. */
export function cacheTables(grants: number, capacity: number): number {
  return CACHE_SIZE + grants * CACHE_ENTRY + capacity * CACHE_SLOT;
}

/** Writes a cache's record, into its zeroed tables. `kind`: CACHE_PERSISTENT, CACHE_STATIC. */
export function layCache(arena: Arena, cache: MappingCache, kind: number): void {
  const table = cache.tables + CACHE_SIZE;
  const fields: [number, number][] = [
    [CACHE_DOMAINS, cache.domains],
    [CACHE_DOMID, cache.domid],
    [CACHE_WINDOW, cache.window],
    [CACHE_CAPACITY, cache.capacity],
    [CACHE_TABLE, table],
    [CACHE_SLOTS, table + cache.grants * CACHE_ENTRY],
    [CACHE_TICK, 1],
    [CACHE_FLOOR, 1],
    [CACHE_COUNTERS, cache.counters],
    [CACHE_ID, cache.id],
    [CACHE_GRANTS, cache.grants],
    [CACHE_KIND, kind],
    [CACHE_PINS, cache.pins ? 1 : 0],
  ];
  for (const [field, value] of fields) arena.u32[(cache.tables + field) / 4] = value;
}

/** Unmaps everything; if the kernel has no memory for that now, the window's owner does it when it frees it. */
export function emptyWindow(arena: Arena, cache: MappingCache): void {
  const bytes = cache.capacity * PAGE_SIZE;
  try {
    if (cache.unmapWindow) cache.unmapWindow(cache.window, bytes);
    else arena.unmap(cache.window, bytes);
  } catch {
    // see above
  }
}

export class Persistent implements Transfer {
  readonly name = 'persistent';
  readonly cache: number;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #grants: GrantTable;
  readonly #cache: MappingCache;
  readonly #address: number;
  /** Tick of the oldest batch still in flight; 0 = none. */
  #floor = 0;

  constructor(arena: Arena, loops: Loops, grants: GrantTable, cache: MappingCache) {
    this.#arena = arena;
    this.#loops = loops;
    this.#grants = grants;
    this.#cache = cache;
    this.#address = cache.tables;
    this.cache = cache.tables;
    layCache(arena, cache, CACHE_PERSISTENT);
  }

  move(segments: number, n: number): void {
    this.#loops.cacheTick(this.#address, this.#floor);
    const left = this.#loops.cacheResolve(this.#address, segments, n);
    this.#loops.moveLocal(segments, n, this.#cache.counters);
    // A page of a guest whose own transfer does not map: the segment's other end is local by now.
    if (left > 0) this.#grants.copy(segments, n, this.#cache.counters);
  }

  tick(): void {
    const tick = this.#loops.cacheTick(this.#address, this.#floor);
    if (this.#floor === 0) this.#floor = tick;
  }

  borrow(list: number, n: number, bad: number): number {
    const tick = this.#loops.cacheTick(this.#address, this.#floor);
    if (this.#floor === 0) this.#floor = tick;
    return this.#loops.cacheBorrow(this.#address, list, n, bad);
  }

  settle(): void {
    this.#floor = 0;
  }

  close(): void {
    emptyWindow(this.#arena, this.#cache);
  }
}
