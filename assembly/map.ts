// Access grants: pages mapped for the length of a batch (transfer "map"), checked and marked as the embedded platform
// does for every mapping.
import { GNTST_bad_copy_arg, GNTST_bad_domain, GNTST_okay } from '../src/abi/grant_table';
import { domainOf, pin, pinned, refusal, unpin } from './domains';
import {
  DOM_UNMAPPABLE,
  DOM0,
  MAP_DOMID,
  MAP_GREF,
  MAP_HANDLE,
  MAP_MARKS,
  MAP_SIZE,
  MAP_STATUS,
  MAP_WRITE,
} from './grant_layout';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_GREF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_STATUS,
} from './layout';
import { segAt } from './segment_list';

/** Checks requests [0, n) and marks what they map in use. Each gets its status; MAP_HANDLE is the page's number. */
export function grantMark(domains: u32, requests: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const request = requests + i * MAP_SIZE;
    const dom = domainOf(domains, load<u16>(request, MAP_DOMID));
    if (dom == 0) {
      store<i16>(request, GNTST_bad_domain, MAP_STATUS);
      continue;
    }
    const entry = pin(dom, load<u32>(request, MAP_GREF), DOM0, load<u16>(request, MAP_WRITE) != 0);
    store<i16>(request, entry == 0 ? <i16>refusal() : GNTST_okay, MAP_STATUS);
    store<u16>(request, <u16>pinned(), MAP_MARKS);
    store<u32>(request, <u32>(entry >> 32), MAP_HANDLE);
  }
}

/** Takes the marks of the good ones of requests [0, n) away. A domain that is gone took its table with it. */
export function grantUnmark(domains: u32, requests: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const request = requests + i * MAP_SIZE;
    if (load<i16>(request, MAP_STATUS) != GNTST_okay) continue;
    const dom = domainOf(domains, load<u16>(request, MAP_DOMID));
    if (dom != 0) unpin(dom, load<u32>(request, MAP_GREF), load<u16>(request, MAP_MARKS));
  }
}

/** Index behind the last segment that mapPrepare took. */
let next: u32 = 0;
/** Requests of the last mapPrepare for pages that are written to. */
let written: u32 = 0;

export function mapNext(): u32 {
  return next;
}

export function mapTargets(): u32 {
  return written;
}

/**
 * Requests for the granted ends of segments [from, n), `max` (2 at least) at most; the page of request k will appear
 * at `window` + k pages, and the segments are given those addresses now. Neighbours share a page: it is mapped once.
 * Ends that cannot be mapped at all are left. Pages that are read are requests [0, returned number), those that are
 * written to the last ones, [max - mapTargets(), max): a platform may map pages of one kind by one call.
 */
export function mapPrepare(
  domains: u32,
  segs: u32,
  from: u32,
  n: u32,
  requests: u32,
  window: u32,
  max: u32,
): u32 {
  let sources: u32 = 0;
  let targets: u32 = 0;
  let i = from;
  for (; i < n && sources + targets + 2 <= max; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) != GNTST_okay) continue;
    const reads = mustMap(domains, seg, S_SRC_ADDR);
    const writes = mustMap(domains, seg, S_DST_ADDR);
    const length = <u32>load<u16>(seg, S_LEN);
    if ((reads && beyond(seg, S_SRC_GREF, length)) || (writes && beyond(seg, S_DST_GREF, length))) {
      store<i16>(seg, GNTST_bad_copy_arg, S_STATUS);
      continue;
    }
    if (reads) {
      if (sources == 0 || !same(requests, sources - 1, seg, S_SRC_GREF))
        request(requests, sources++, seg, S_SRC_GREF, 0);
      store<u32>(seg, window + (sources - 1) * PAGE_SIZE + load<u16>(seg, S_SRC_GREF + 4), S_SRC_ADDR);
    }
    if (writes) {
      if (targets == 0 || !same(requests, max - targets, seg, S_DST_GREF))
        request(requests, max - ++targets, seg, S_DST_GREF, 1);
      store<u32>(seg, window + (max - targets) * PAGE_SIZE + load<u16>(seg, S_DST_GREF + 4), S_DST_ADDR);
    }
  }
  next = i;
  written = targets;
  return sources;
}

/** An end (S_SRC_ADDR, S_DST_ADDR) without an address, of a domain whose pages can be mapped. */
function mustMap(domains: u32, seg: u32, field: u32): bool {
  if (load<u32>(seg + field) != 0) return false;
  const dom = domainOf(domains, load<u16>(seg + field + (S_SRC_DOM - S_SRC_ADDR)));
  return dom == 0 || load<u32>(dom, DOM_UNMAPPABLE) == 0;
}

/** `field`: S_SRC_GREF or S_DST_GREF, behind which u16 offset and u16 domid stand. */
function beyond(seg: u32, field: u32, length: u32): bool {
  return <u32>load<u16>(seg + field + 4) + length > <u32>PAGE_SIZE;
}

/** Is request number `at` for that very page? */
function same(requests: u32, at: u32, seg: u32, field: u32): bool {
  const request = requests + at * MAP_SIZE;
  return (
    load<u32>(request, MAP_GREF) == load<u32>(seg + field) &&
    load<u16>(request, MAP_DOMID) == load<u16>(seg + field + 6)
  );
}

function request(requests: u32, at: u32, seg: u32, field: u32, write: u32): void {
  const request = requests + at * MAP_SIZE;
  store<u32>(request, load<u32>(seg + field), MAP_GREF);
  store<u16>(request, load<u16>(seg + field + 6), MAP_DOMID);
  store<u16>(request, <u16>write, MAP_WRITE);
  store<u32>(request, 0, MAP_STATUS); // and MAP_MARKS behind it
  store<u32>(request, 0, MAP_HANDLE);
}

/**
 * After mapping: the segments of [from, to) whose page was refused get that status, and no address. Returns how many
 * good ones have an end that was not mapped. `max` as for mapPrepare.
 */
export function mapSettle(segs: u32, from: u32, to: u32, requests: u32, window: u32, max: u32): u32 {
  let left: u32 = 0;
  const end = window + max * PAGE_SIZE;
  for (let i = from; i < to; i++) {
    const seg = segAt(segs, i);
    settleEnd(seg, S_SRC_ADDR, requests, window, end);
    settleEnd(seg, S_DST_ADDR, requests, window, end);
    const whole = load<u32>(seg, S_SRC_ADDR) != 0 && load<u32>(seg, S_DST_ADDR) != 0;
    if (!whole && load<i16>(seg, S_STATUS) == GNTST_okay) left++;
  }
  return left;
}

function settleEnd(seg: u32, field: u32, requests: u32, window: u32, end: u32): void {
  const address = load<u32>(seg + field);
  if (address < window || address >= end) return;
  const status = load<i16>(requests + ((address - window) / PAGE_SIZE) * MAP_SIZE, MAP_STATUS);
  if (status == GNTST_okay) return;
  store<u32>(seg + field, 0);
  if (load<i16>(seg, S_STATUS) == GNTST_okay) store<i16>(seg, status, S_STATUS);
}
