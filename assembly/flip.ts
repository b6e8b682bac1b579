// Page flips: segments are gathered by the guest's page that they go to, their bytes put into a page of the pool, and
// that page is made fit to be given away. The exchange itself is a system call, made outside.
import { GNTST_bad_copy_arg, GNTST_bad_domain, GNTST_okay } from '../src/abi/grant_table';
import { FLIP_END, FLIP_FIRST, FLIP_PAGE, FLIP_SIZE } from './flip_layout';
import { MAP_DOMID, MAP_GREF, MAP_SIZE, MAP_STATUS, MAP_WRITE } from './grant_layout';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SRC_ADDR,
  S_STATUS,
} from './layout';
import { grantMark, grantUnmark } from './map';
import { segAt } from './segment_list';
import { stackPop } from './stack';

/** S_STATUS of a segment whose bytes lie in their pool page already; below TAKEN in move.ts, so that no copy touches it. */
const IN_PLACE: i16 = 1;

let next: u32 = 0;

/** Index behind the last segment that flipPrepare took. */
export function flipNext(): u32 {
  return next;
}

/**
 * Gathers segments [from, n) that go to granted pages of domain `domid`: neighbours with the same reference share a
 * page of the pool ([pool, poolEnd), the free ones on `stack`) and get an address in it. A segment whose bytes lie at
 * the right place of a pool page as it is takes that page. Stops at `max` pages, or when none is free. Returns how many.
 */
export function flipPrepare(
  segs: u32,
  from: u32,
  n: u32,
  domid: u32,
  requests: u32,
  groups: u32,
  max: u32,
  stack: u32,
  pool: u32,
  poolEnd: u32,
): u32 {
  let used: u32 = 0;
  let open = false; // the last group may still grow
  let i = from;
  for (; i < n; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) != GNTST_okay || load<u32>(seg, S_DST_ADDR) != 0) {
      open = false;
      continue;
    }
    const offset = <u32>load<u16>(seg, S_DST_OFF);
    const length = <u32>load<u16>(seg, S_LEN);
    const stranger = <u32>load<u16>(seg, S_DST_DOM) != domid;
    if (stranger || offset + length > <u32>PAGE_SIZE) {
      store<i16>(seg, stranger ? GNTST_bad_domain : GNTST_bad_copy_arg, S_STATUS);
      open = false;
      continue;
    }
    const gref = load<u32>(seg, S_DST_GREF);
    if (open && load<u32>(requests + (used - 1) * MAP_SIZE, MAP_GREF) == gref) {
      const group = groups + (used - 1) * FLIP_SIZE;
      store<u32>(group, i + 1, FLIP_END);
      store<u32>(seg, load<u32>(group, FLIP_PAGE) + offset, S_DST_ADDR);
      continue;
    }
    if (used == max) break;
    const source = load<u32>(seg, S_SRC_ADDR);
    const there = source >= pool && source < poolEnd && (source & (PAGE_SIZE - 1)) == offset;
    const page = there ? source - offset : stackPop(stack);
    if (page == 0) break;
    const request = requests + used * MAP_SIZE;
    store<u32>(request, gref, MAP_GREF);
    store<u16>(request, <u16>domid, MAP_DOMID);
    store<u16>(request, 1, MAP_WRITE);
    const group = groups + used * FLIP_SIZE;
    store<u32>(group, page, FLIP_PAGE);
    store<u32>(group, i, FLIP_FIRST);
    store<u32>(group, i + 1, FLIP_END);
    store<u32>(seg, page + offset, S_DST_ADDR);
    if (there) store<i16>(seg, IN_PLACE, S_STATUS);
    open = true;
    used++;
  }
  next = i;
  return used;
}

/**
 * After the copies: zeroes what they left of each page and marks the guest's grants. What a pool page held before is
 * another guest's, or the back end's, and must not be given away with it. Each request has its status then, MAP_HANDLE
 * the number of the guest's page.
 */
export function flipMark(domains: u32, segs: u32, requests: u32, groups: u32, used: u32): void {
  for (let k: u32 = 0; k < used; k++) {
    const group = groups + k * FLIP_SIZE;
    const request = requests + k * MAP_SIZE;
    const failed = zeroRest(segs, group);
    if (failed != GNTST_okay) store<i16>(request, <i16>failed, MAP_STATUS);
    else grantMark(domains, request, 1);
  }
}

/** GNTST_okay, or why one of the group's copies failed: then the page is not fit to be given away. */
function zeroRest(segs: u32, group: u32): i32 {
  const page = load<u32>(group, FLIP_PAGE);
  const end = load<u32>(group, FLIP_END);
  let filled = page;
  for (let i = load<u32>(group, FLIP_FIRST); i < end; i++) {
    const seg = segAt(segs, i);
    const status = <i32>load<i16>(seg, S_STATUS);
    if (status < 0) return status;
    const at = page + load<u16>(seg, S_DST_OFF);
    // Segments that go backwards leave their page's start to chance: not what netback lays out.
    if (at < filled) return GNTST_bad_copy_arg;
    if (at > filled) memory.fill(filled, 0, at - filled);
    filled = at + load<u16>(seg, S_LEN);
  }
  memory.fill(filled, 0, page + PAGE_SIZE - filled);
  return GNTST_okay;
}

/** After the exchanges: takes the marks away and gives each segment its page's status. */
export function flipSettle(domains: u32, segs: u32, requests: u32, groups: u32, used: u32): void {
  grantUnmark(domains, requests, used);
  for (let k: u32 = 0; k < used; k++) {
    const group = groups + k * FLIP_SIZE;
    const status = load<i16>(requests + k * MAP_SIZE, MAP_STATUS);
    const end = load<u32>(group, FLIP_END);
    for (let i = load<u32>(group, FLIP_FIRST); i < end; i++) store<i16>(segAt(segs, i), status, S_STATUS);
  }
}
