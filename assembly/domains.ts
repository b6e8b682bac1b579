// What the embedded hypervisor knows of each domain, for the grant checks of the datapath. Private memory;
// only the grant table itself is shared with its guest.
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_okay,
  GNTST_permission_denied,
  GRANT_ENTRY_SIZE,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_type_mask,
  GTF_writing,
} from '../src/abi/grant_table';
import {
  DOM_BASE,
  DOM_FRAMES,
  DOM_GRANTS,
  DOM_SIZE,
  DOM_TABLE,
  DOM_VIEW,
  DOM0,
  DOMAINS_MAX,
} from './grant_layout';
import { PAGE_SIZE } from './layout';

/** Bits of an entry that say "in use", not what is granted. */
export const GRANT_BUSY: u64 = GTF_reading | GTF_writing;
const FLAGS_OTHER: u64 = 0xffff & ~(<u64>(GTF_type_mask | GTF_readonly | GTF_reading | GTF_writing));

/** The record of a domain, or 0. */
export function domainOf(domains: u32, domid: u32): u32 {
  if (domid >= <u32>DOMAINS_MAX) return 0;
  const dom = domains + domid * DOM_SIZE;
  return load<u32>(dom, DOM_TABLE) == 0 ? 0 : dom;
}

/** GNTST_okay when this entry lets `backend` access a page of the domain's RAM in that direction. */
export function entryAllows(dom: u32, entry: u64, backend: u32, write: bool): i32 {
  if ((entry & GTF_type_mask) != GTF_permit_access || (entry & FLAGS_OTHER) != 0) return GNTST_bad_gntref;
  if (((<u32>entry >> 16) & 0xffff) != backend) return GNTST_bad_domain;
  if (write && (entry & GTF_readonly) != 0) return GNTST_permission_denied;
  if (<u32>(entry >> 32) >= load<u32>(dom, DOM_FRAMES)) return GNTST_bad_page;
  return GNTST_okay;
}

/**
 * Marks an entry in use for one copy, as Xen does (GTF_reading, and GTF_writing for a write), if it allows
 * it. Returns the entry, or 0 when refused: then `refusal()` says why. `pinned()`: the marks that were not
 * there before (a mapping, or an earlier segment, may have set some), for `unpin`.
 */
export function pin(dom: u32, gref: u32, backend: u32, write: bool): u64 {
  why = GNTST_bad_gntref;
  if (gref >= load<u32>(dom, DOM_GRANTS)) return 0;
  const at = load<u32>(dom, DOM_TABLE) + gref * GRANT_ENTRY_SIZE;
  const mark: u64 = write ? GRANT_BUSY : GTF_reading;
  for (let tries = 0; tries < 4; tries++) {
    const old = atomic.load<u64>(at);
    why = entryAllows(dom, old & ~GRANT_BUSY, backend, write);
    if (why != GNTST_okay) return 0;
    added = <u32>(mark & ~old);
    if (added == 0) return old;
    if (atomic.cmpxchg<u64>(at, old, old | mark) == old) return old | mark;
  }
  why = GNTST_bad_gntref; // the guest changes the entry faster than we can mark it
  return 0;
}

let why: i32 = 0;
let added: u32 = 0;

export function pinned(): u32 {
  return added;
}

export function refusal(): i32 {
  return why;
}

/**
 * Takes the marks away that `pin` set. No batch overlaps another of this thread, so no count is kept. (A guest that names one grant
 * in queues of two threads may find it unmarked before the second is done with it: it harms what is its own.)
 */
export function unpin(dom: u32, gref: u32, marks: u32): void {
  atomic.and<u64>(load<u32>(dom, DOM_TABLE) + gref * GRANT_ENTRY_SIZE, ~(<u64>marks & GRANT_BUSY));
}

/** First byte of the domain's RAM in this process, outside the arena. */
export function ramOf(dom: u32): u64 {
  return load<u64>(dom, DOM_BASE);
}

/**
 * Address of a granted page in the hypervisor's view, its entry marked in use (see `pin`); 0 when the grant does not
 * allow it. Only for a domain with a view.
 */
export function pinnedPage(dom: u32, gref: u32, write: bool): u32 {
  const entry = pin(dom, gref, DOM0, write);
  return entry == 0 ? 0 : load<u32>(dom, DOM_VIEW) + <u32>(entry >> 32) * PAGE_SIZE;
}

export function refuseWith(code: i32): void {
  why = code;
}
