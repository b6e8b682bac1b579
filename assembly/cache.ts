// The mapping cache: granted pages stay mapped, a table says where (transfer "persistent").
import {
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_no_device_space,
  GNTST_okay,
  GNTST_permission_denied,
  GRANT_ENTRY_SIZE,
  GTF_permit_access,
  GTF_readonly,
} from '../src/abi/grant_table';
import { C_CACHE_COPIED, C_CACHE_EVICTIONS, C_CACHE_HITS, C_CACHE_MISSES } from './counters';
import { domainOf, entryAllows, GRANT_BUSY } from './domains';
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
  CACHE_PINS,
  CACHE_RESTS,
  CACHE_RX_LEFT,
  CACHE_RX_ROUND,
  CACHE_SLOT,
  CACHE_SLOTS,
  CACHE_STATIC,
  CACHE_TABLE,
  CACHE_TICK,
  CACHE_WINDOW,
  DOM_TABLE,
  DOM0,
  ENTRY_GRANT,
  ENTRY_PAGE,
  ENTRY_USED,
  NO_FRAME,
  SLOT_HOLDER,
  SLOT_LENT,
} from './grant_layout';
import { mapPage } from './host';
import { PAGE_SIZE } from './layout';
import { count } from './memory';
import { MISSES_PER_ROUND } from './netif_layout';

/** Ticks for which a cache leaves the kernel alone that had no mapping left. */
const REST: u32 = 256;

/** Why the last `cachedPage` returned 0. */
let cacheRefusal: i32 = 0;

export function refusedWith(): i32 {
  return cacheRefusal;
}

export function refuseWith(status: i32): void {
  cacheRefusal = status;
}

// The cache that a batch works on, out of its record for the length of the batch.
let domain: u32 = 0;
let table: u32 = 0;
let references: u32 = 0;
let known: u32 = 0;
let slots: u32 = 0;
let window: u32 = 0;
let tick: u32 = 0;
let hits: u32 = 0;
let misses: u32 = 0;
/** Pages that the batch may map; beyond, what a good grant allows is left to a grant copy. */
let most: u32 = u32.MAX_VALUE;
let announced: bool = false; // CACHE_STATIC
let pins: bool = false; // CACHE_PINS
// Neighbouring segments are often pieces of one page: its last look-up is remembered within the batch.
let lastPage: u32 = 0;
let lastGref: u32 = 0;
let lastWrite: bool = false;

/** Takes up a cache for a batch of look-ups. */
export function cacheBegin(cache: u32): void {
  pins = load<u32>(cache + CACHE_PINS) != 0;
  domain = pins ? 0 : domainOf(load<u32>(cache + CACHE_DOMAINS), load<u32>(cache + CACHE_DOMID));
  table = domain == 0 ? 0 : load<u32>(domain, DOM_TABLE);
  references = domain == 0 && !pins ? 0 : load<u32>(cache + CACHE_GRANTS);
  known = load<u32>(cache + CACHE_TABLE);
  slots = load<u32>(cache + CACHE_SLOTS);
  window = load<u32>(cache + CACHE_WINDOW);
  tick = load<u32>(cache + CACHE_TICK);
  hits = 0;
  misses = 0;
  most = u32.MAX_VALUE;
  announced = load<u32>(cache + CACHE_KIND) == CACHE_STATIC;
  lastPage = 0;
}

/** Pages looked for and not found, so mapped or refused, since cacheBegin. */
export function cacheMisses(): u32 {
  return misses;
}

let round: u32 = 1;

/** A round of this thread begins: as many pages may be mapped again for what each vif receives. */
export function cacheRound(): void {
  round++;
}

/** Pages that may still be mapped in this round for frames that the vif receives. */
export function cacheMayMap(cache: u32): i32 {
  if (load<u32>(cache + CACHE_RX_ROUND) != round) {
    store<u32>(cache + CACHE_RX_ROUND, round);
    store<i32>(cache + CACHE_RX_LEFT, MISSES_PER_ROUND);
  }
  return load<i32>(cache + CACHE_RX_LEFT);
}

/** The batch maps as many pages as that from its begin on, and no more. */
export function cacheBound(pages: i32): void {
  most = <u32>max(pages, 0);
}

/** Ends a batch of look-ups for frames that the vif receives. */
export function cacheEndRx(cache: u32): void {
  if (misses != 0) store<i32>(cache + CACHE_RX_LEFT, load<i32>(cache + CACHE_RX_LEFT) - <i32>misses);
  cacheEnd(cache);
}

/** Ends the batch: counts its hits. */
export function cacheEnd(cache: u32): void {
  count(load<u32>(cache + CACHE_COUNTERS), C_CACHE_HITS, hits);
}

/** In place of a grant table: announced pages are pinned, there is nothing to compare. No table lies there. */
export const NO_TABLE: u32 = 1;
/** Likewise, where pages are pinned as they are met: their last use is noted. */
const PINNED: u32 = 2;

/** Address of the grant table that a cache's references lie in, for `mappedPage`; 0 when its domain is gone. */
export function cacheTable(cache: u32): u32 {
  if (load<u32>(cache + CACHE_PINS)) return load<u32>(cache + CACHE_KIND) == CACHE_STATIC ? NO_TABLE : PINNED;
  const dom = domainOf(load<u32>(cache + CACHE_DOMAINS), load<u32>(cache + CACHE_DOMID));
  if (dom == 0) return 0;
  return load<u32>(cache + CACHE_KIND) == CACHE_STATIC ? NO_TABLE : load<u32>(dom, DOM_TABLE);
}

/** Address of a page that is mapped already and whose grant is as it was then; else 0, and nothing changes. */
export function mappedPage(
  grantTable: u32,
  entries: u32,
  grants: u32,
  gref: u32,
  write: bool,
  now: u32,
): u32 {
  if (gref >= grants) return 0;
  const entry = entries + gref * CACHE_ENTRY;
  const has = load<u64>(entry, ENTRY_GRANT);
  // Without a table there is nothing to compare. (No call in here, nor much else: it is inlined in the direct lane.)
  const grant =
    grantTable <= PINNED ? has : atomic.load<u64>(grantTable + gref * GRANT_ENTRY_SIZE) & ~GRANT_BUSY;
  const page = load<u32>(entry, ENTRY_PAGE);
  if (page == 0 || has != grant || (write && (grant & GTF_readonly) != 0)) return 0;
  if (grantTable != NO_TABLE) store<u32>(entry, now, ENTRY_USED);
  return page;
}

/** The page of a static cache's entry, pinned until it is withdrawn; 0 when there is none, or not for writing. */
function announcedPage(entry: u32, write: bool): u32 {
  return write && (load<u32>(entry, ENTRY_GRANT) & GTF_readonly) != 0 ? 0 : load<u32>(entry, ENTRY_PAGE);
}

/**
 * Arena address of a granted page, mapped now or earlier; 0 when the grant does not allow it, or (`mayCopy`) was
 * not announced.
 */
export function cachedPage(cache: u32, gref: u32, write: bool): u32 {
  if (gref == lastGref && write == lastWrite && lastPage != 0) {
    hits++;
    return lastPage;
  }
  if (gref >= references) {
    cacheRefusal = GNTST_bad_gntref;
    return 0;
  }
  const entry = known + gref * CACHE_ENTRY;
  let page = announced ? announcedPage(entry, write) : load<u32>(entry, ENTRY_PAGE);
  if (announced) {
    if (page == 0) {
      // Left to a grant copy, unless it was announced for reading.
      cacheRefusal = load<u32>(entry, ENTRY_PAGE) == 0 ? GNTST_bad_gntref : GNTST_permission_denied;
      count(load<u32>(cache + CACHE_COUNTERS), C_CACHE_MISSES, 1);
      return 0;
    }
    hits++;
    lastPage = page;
    lastGref = gref;
    lastWrite = write;
    return page;
  }
  const grant = pins
    ? wantedGrant(entry, page, write)
    : atomic.load<u64>(table + gref * GRANT_ENTRY_SIZE) & ~GRANT_BUSY;
  if (page != 0 && load<u64>(entry, ENTRY_GRANT) == grant && !(write && (grant & GTF_readonly) != 0)) {
    store<u32>(entry, tick, ENTRY_USED);
    hits++;
  } else {
    page = mapInto(cache, gref, grant, write);
  }
  lastPage = page;
  lastGref = gref;
  lastWrite = write;
  return page;
}

/** In place of the entry that cannot be seen: what is mapped already if that will do, else what has to be. */
function wantedGrant(entry: u32, page: u32, write: bool): u64 {
  const has = load<u64>(entry, ENTRY_GRANT);
  if (page != 0 && !(write && (has & GTF_readonly) != 0)) return has;
  return write ? GTF_permit_access : GTF_permit_access | GTF_readonly;
}

/**
 * What the cache in use refused just now may still be copied by grant: it knows announced pages only, or not the grants, or
 * the grant is good and there is no mapping to be had, or none more in this round.
 */
export function mayCopy(): bool {
  return announced || pins || cacheRefusal == GNTST_no_device_space;
}

/** The slow path: a grant never seen, changed since, or evicted. */
function mapInto(cache: u32, gref: u32, grant: u64, write: bool): u32 {
  const counters = load<u32>(cache + CACHE_COUNTERS);
  const id = load<u32>(cache + CACHE_ID);
  const entry = known + gref * CACHE_ENTRY;
  const old = load<u32>(entry, ENTRY_PAGE);
  count(counters, C_CACHE_MISSES, 1);
  cacheRefusal = pins ? GNTST_okay : entryAllows(domain, grant, DOM0, write);
  if (cacheRefusal != GNTST_okay) {
    // A grant that ended: what is mapped there is no longer ours to touch. One that is only read-only stays.
    misses++;
    if (old != 0 && load<u64>(entry, ENTRY_GRANT) != grant) {
      forget(entry, old);
      mapPage(id, old, NO_FRAME, 0);
    }
    return 0;
  }
  const page = misses >= most || resting(cache) ? 0 : old != 0 ? old : choosePage(cache, gref);
  if (page == 0) {
    cacheRefusal = GNTST_no_device_space;
    count(counters, C_CACHE_COPIED, 1);
    return 0;
  }
  misses++;
  const slot = slotOf(page);
  const evicted = load<u32>(slot, SLOT_HOLDER);
  if (evicted != 0) {
    forget(known + (evicted - 1) * CACHE_ENTRY, page);
    if (evicted != gref + 1) count(counters, C_CACHE_EVICTIONS, 1);
  }
  const writable = (grant & GTF_readonly) == 0;
  if (mapPage(id, page, pins ? gref : <u32>(grant >> 32), writable ? 1 : 0) != 0) {
    cacheRefusal = pins ? GNTST_general_error : GNTST_no_device_space;
    if (!pins) {
      store<u32>(cache + CACHE_RESTS, (tick + REST) | 1);
      count(counters, C_CACHE_COPIED, 1);
    }
    if (pins && old != 0) forget(entry, old); // it was mapped for reading, and is not any more
    return 0;
  }
  store<u64>(entry, grant, ENTRY_GRANT);
  store<u32>(entry, page, ENTRY_PAGE);
  store<u32>(entry, tick, ENTRY_USED);
  store<u32>(slot, gref + 1, SLOT_HOLDER);
  store<u32>(slot, 0, SLOT_LENT);
  return page;
}

/** The kernel had no more mappings a while ago. */
function resting(cache: u32): bool {
  const until = load<u32>(cache + CACHE_RESTS);
  if (until == 0) return false;
  if (<i32>(until - tick) > 0) return true;
  store<u32>(cache + CACHE_RESTS, 0); // ticks wrap
  return false;
}

function slotOf(page: u32): u32 {
  return slots + ((page - window) / PAGE_SIZE) * CACHE_SLOT;
}

/** A frame refers to this page from now until it is released: it stays mapped so long. */
export function lend(page: u32): void {
  store<u32>(slotOf(page), tick, SLOT_LENT);
}

/** Empties an entry and its place in the window. */
function forget(entry: u32, page: u32): void {
  store<u64>(entry, 0, ENTRY_GRANT);
  store<u32>(entry, 0, ENTRY_PAGE);
  store<u32>(slotOf(page), 0, SLOT_HOLDER);
}

/**
 * A page of the window: the one with the reference's own number, if it is empty (neighbours in the guest then lie
 * side by side here and share one kernel mapping); else any empty one; else the least recently used one that no
 * frame in flight refers to. 0 when there is none.
 */
function choosePage(cache: u32, gref: u32): u32 {
  const capacity = load<u32>(cache + CACHE_CAPACITY);
  const own = gref % capacity;
  if (load<u32>(slots + own * CACHE_SLOT, SLOT_HOLDER) == 0) return window + own * PAGE_SIZE;
  const floor = load<u32>(cache + CACHE_FLOOR);
  let best: u32 = 0;
  let oldest: u32 = 0;
  for (let i: u32 = 0; i < capacity; i++) {
    const slot = slots + i * CACHE_SLOT;
    const holder = load<u32>(slot, SLOT_HOLDER);
    if (holder == 0) return window + i * PAGE_SIZE;
    const lent = load<u32>(slot, SLOT_LENT);
    if (lent != 0 && <i32>(lent - floor) >= 0) continue;
    const age = tick - load<u32>(known + (holder - 1) * CACHE_ENTRY, ENTRY_USED);
    if (age > oldest) {
      oldest = age; // never 0: what this batch used stays
      best = window + i * PAGE_SIZE;
    }
  }
  return best;
}

/** A new batch begins; what frames in flight since tick `floor` use must stay mapped. */
export function cacheTick(cache: u32, floor: u32): u32 {
  const next = load<u32>(cache + CACHE_TICK) + 1;
  store<u32>(cache + CACHE_TICK, next);
  store<u32>(cache + CACHE_FLOOR, floor == 0 ? next : floor);
  return next;
}
