// The pages of transfer "static": a front end announces them once (netif.h, "Static Grants"), they are mapped and
// pinned, and from then on a look-up is all it takes. The table is a mapping cache's (CACHE_KIND), without its clock.
//
// A pin is what Xen sets for a mapping: GTF_reading and GTF_writing in the grant entry, so that the guest cannot end
// the grant. Taken away is only what was set here: a ring page that a guest announces, too, stays pinned.
import {
  GNTST_bad_gntref,
  GNTST_no_device_space,
  GNTST_okay,
  GTF_permit_access,
  GTF_readonly,
} from '../src/abi/grant_table';
import {
  GREF_FLAGS,
  GREF_REF,
  GREF_STATUS,
  XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_CTRLF_GREF_readonly,
  XEN_NETIF_GREF_SIZE,
} from '../src/abi/netif_ctrl';
import { domainOf, pin, pinned, refusal, unpin } from './domains';
import { fragOf } from './frame';
import {
  CACHE_CAPACITY,
  CACHE_DOMAINS,
  CACHE_DOMID,
  CACHE_ENTRY,
  CACHE_GRANTS,
  CACHE_ID,
  CACHE_PINS,
  CACHE_SLOT,
  CACHE_SLOTS,
  CACHE_TABLE,
  CACHE_WINDOW,
  DOM0,
  ENTRY_GRANT,
  ENTRY_HOME,
  ENTRY_MARKS,
  ENTRY_PAGE,
  NO_FRAME,
  SLOT_HOLDER,
} from './grant_layout';
import { mapPage } from './host';
import { F_NFRAGS, G_ADDR, G_GREF, G_LEN, G_OFF, PAGE_SIZE } from './layout';

function entryOf(cache: u32, gref: u32): u32 {
  return load<u32>(cache + CACHE_TABLE) + gref * CACHE_ENTRY;
}

function slotOf(cache: u32, index: u32): u32 {
  return load<u32>(cache + CACHE_SLOTS) + index * CACHE_SLOT;
}

function indexOf(cache: u32, page: u32): u32 {
  return (page - load<u32>(cache + CACHE_WINDOW)) / PAGE_SIZE;
}

/** The place with the reference's own number if it is free (neighbours then share a kernel mapping), else the next. */
function freeIndex(cache: u32, gref: u32): u32 {
  const capacity = load<u32>(cache + CACHE_CAPACITY);
  let index = gref % capacity;
  for (let tries: u32 = 0; tries < capacity; tries++) {
    if (load<u32>(slotOf(cache, index), SLOT_HOLDER) == 0) return index;
    index = index + 1 == capacity ? 0 : index + 1;
  }
  return capacity;
}

/** Maps and pins one page. GNTST_*; a reference that is there already is a bad one. */
function add(cache: u32, gref: u32, readOnly: bool): i32 {
  const pins = load<u32>(cache + CACHE_PINS) != 0; // where mapping is what pins
  const dom = pins ? 0 : domainOf(load<u32>(cache + CACHE_DOMAINS), load<u32>(cache + CACHE_DOMID));
  if ((dom == 0 && !pins) || gref >= load<u32>(cache + CACHE_GRANTS)) return GNTST_bad_gntref;
  const entry = entryOf(cache, gref);
  if (load<u32>(entry, ENTRY_PAGE) != 0) return GNTST_bad_gntref;
  const index = freeIndex(cache, gref);
  if (index == load<u32>(cache + CACHE_CAPACITY)) return GNTST_no_device_space;
  const grant = pins ? GTF_permit_access : pin(dom, gref, DOM0, !readOnly);
  if (grant == 0) return refusal();
  const marks = pins ? 0 : pinned();
  const page = load<u32>(cache + CACHE_WINDOW) + index * PAGE_SIZE;
  const what = pins ? gref : <u32>(grant >> 32);
  if (mapPage(load<u32>(cache + CACHE_ID), page, what, readOnly ? 0 : 1) != 0) {
    if (!pins) unpin(dom, gref, marks);
    return GNTST_no_device_space;
  }
  store<u32>(entry, readOnly ? <u32>grant | GTF_readonly : <u32>grant, ENTRY_GRANT);
  store<u32>(entry, page, ENTRY_HOME);
  store<u32>(entry, page, ENTRY_PAGE);
  store<u32>(entry, marks, ENTRY_MARKS);
  store<u32>(slotOf(cache, index), gref + 1, SLOT_HOLDER);
  return GNTST_okay;
}

/** Unmaps and unpins a page that no look-up finds any more. False when the kernel could not: it is announced as before. */
function drop(cache: u32, gref: u32): bool {
  const entry = entryOf(cache, gref);
  const page = load<u32>(entry, ENTRY_HOME);
  if (mapPage(load<u32>(cache + CACHE_ID), page, NO_FRAME, 0) != 0) {
    store<u32>(entry, page, ENTRY_PAGE);
    return false;
  }
  store<u32>(entry, 0, ENTRY_PAGE);
  store<u64>(entry, 0, ENTRY_GRANT);
  store<u32>(slotOf(cache, indexOf(cache, page)), 0, SLOT_HOLDER);
  release(cache, gref);
  return true;
}

function release(cache: u32, gref: u32): void {
  const dom = domainOf(load<u32>(cache + CACHE_DOMAINS), load<u32>(cache + CACHE_DOMID));
  if (dom != 0) unpin(dom, gref, load<u32>(entryOf(cache, gref), ENTRY_MARKS));
}

/** ADD_GREF_MAPPING: all of the list (private memory, n × struct xen_netif_gref), or nothing of it. */
export function staticAdd(cache: u32, list: u32, n: u32): bool {
  for (let i: u32 = 0; i < n; i++) {
    const gref = load<u32>(list + i * XEN_NETIF_GREF_SIZE, GREF_REF);
    const flags = <u32>load<u16>(list + i * XEN_NETIF_GREF_SIZE, GREF_FLAGS);
    if (
      (flags & ~(<u32>XEN_NETIF_CTRLF_GREF_readonly)) == 0 &&
      add(cache, gref, (flags & XEN_NETIF_CTRLF_GREF_readonly) != 0) == GNTST_okay
    )
      continue;
    for (let k: u32 = 0; k < i; k++) {
      drop(cache, load<u32>(list + k * XEN_NETIF_GREF_SIZE, GREF_REF));
    }
    return false;
  }
  return true;
}

/**
 * DEL_GREF_MAPPING: writes each entry's status into the list; returns how many went. frames[0 … flying) are the vif's
 * own in flight: what they have in such a page is a reference again, to be copied by grant when they are delivered.
 */
export function staticDelete(cache: u32, list: u32, n: u32, frames: u32, flying: u32): u32 {
  const references = load<u32>(cache + CACHE_GRANTS);
  // First no look-up finds them, then no frame, then they are unmapped.
  for (let i: u32 = 0; i < n; i++) {
    const item = list + i * XEN_NETIF_GREF_SIZE;
    const gref = load<u32>(item, GREF_REF);
    const page = gref < references ? load<u32>(entryOf(cache, gref), ENTRY_PAGE) : 0;
    store<u16>(
      item,
      page != 0 ? XEN_NETIF_CTRL_STATUS_SUCCESS : XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
      GREF_STATUS,
    );
    if (page != 0) store<u32>(entryOf(cache, gref), 0, ENTRY_PAGE);
  }
  revert(cache, frames, flying);
  let gone: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const item = list + i * XEN_NETIF_GREF_SIZE;
    if (load<u16>(item, GREF_STATUS) != XEN_NETIF_CTRL_STATUS_SUCCESS) continue;
    if (drop(cache, load<u32>(item, GREF_REF))) gone++;
    else store<u16>(item, XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER, GREF_STATUS);
  }
  return gone;
}

/** Fragments in pages of the window that no entry names any more become references. */
function revert(cache: u32, frames: u32, flying: u32): void {
  const window = load<u32>(cache + CACHE_WINDOW);
  const bytes = load<u32>(cache + CACHE_CAPACITY) * PAGE_SIZE;
  for (let i: u32 = 0; i < flying; i++) {
    const frame = load<u32>(frames + (i << 2));
    const n = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < n; k++) {
      const frag = fragOf(frame, k);
      const address = load<u32>(frag, G_ADDR);
      if (load<u16>(frag, G_LEN) == 0 || address - window >= bytes) continue;
      if (load<u32>(entryOf(cache, load<u32>(frag, G_GREF)), ENTRY_PAGE) != 0) continue;
      store<u32>(frag, 0, G_ADDR);
      store<u16>(frag, <u16>((address - window) & (PAGE_SIZE - 1)), G_OFF);
    }
  }
}

/** Unpins everything; the window is unmapped as a whole by its owner. */
export function staticRelease(cache: u32): void {
  const capacity = load<u32>(cache + CACHE_CAPACITY);
  for (let index: u32 = 0; index < capacity; index++) {
    const slot = slotOf(cache, index);
    const holder = load<u32>(slot, SLOT_HOLDER);
    if (holder == 0) continue;
    release(cache, holder - 1);
    store<u32>(slot, 0, SLOT_HOLDER);
    store<u32>(entryOf(cache, holder - 1), 0, ENTRY_PAGE);
    store<u64>(entryOf(cache, holder - 1), 0, ENTRY_GRANT);
  }
}
