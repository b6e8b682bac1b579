// The mapping cache, a batch at a time: segments and frames whose pages it knows become addresses.
import { GNTST_bad_copy_arg, GNTST_permission_denied } from '../src/abi/grant_table';
import {
  cacheBegin,
  cacheBound,
  cachedPage,
  cacheEnd,
  cacheEndRx,
  cacheMayMap,
  lend,
  mayCopy,
  refusedWith,
  refuseWith,
} from './cache';
import { fragOf } from './frame';
import { CACHE_DOMID } from './grant_layout';
import {
  F_NFRAGS,
  F_SETTLED,
  G_ADDR,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
} from './layout';
import { segAt } from './segment_list';

/** Nothing may be done about the last refusal: what was announced for reading is not written by grant copy either. */
function isRefused(): bool {
  return !mayCopy() || refusedWith() == GNTST_permission_denied;
}

/**
 * Replaces granted ends of this cache's domain by mapped addresses. Returns how many segments still need a grant copy: also
 * those whose pages would have to be mapped when that was done often enough in this round. (For many a page was looked for
 * before, and the window had no place: all of it is in use in that tick, and free for others in this one.)
 */
export function cacheResolve(cache: u32, segs: u32, n: u32): u32 {
  const domid = load<u32>(cache + CACHE_DOMID);
  let left: u32 = 0;
  cacheBegin(cache);
  cacheBound(cacheMayMap(cache));
  for (let i: u32 = 0; i < n; i++) {
    const seg = segAt(segs, i);
    if (load<u32>(seg, S_SRC_ADDR) == 0 && <u32>load<u16>(seg, S_SRC_DOM) == domid) {
      const page = resolvedPage(cache, seg, S_SRC_GREF, false);
      if (page != 0) store<u32>(seg, page + load<u16>(seg, S_SRC_OFF), S_SRC_ADDR);
      else if (isRefused()) store<i16>(seg, <i16>refusedWith(), S_STATUS);
    }
    if (load<u32>(seg, S_DST_ADDR) == 0 && <u32>load<u16>(seg, S_DST_DOM) == domid) {
      const page = resolvedPage(cache, seg, S_DST_GREF, true);
      if (page != 0) store<u32>(seg, page + load<u16>(seg, S_DST_OFF), S_DST_ADDR);
      else if (isRefused()) store<i16>(seg, <i16>refusedWith(), S_STATUS);
    }
    if (load<i16>(seg, S_STATUS) == 0 && (load<u32>(seg, S_SRC_ADDR) == 0 || load<u32>(seg, S_DST_ADDR) == 0))
      left++;
  }
  cacheEndRx(cache);
  return left;
}

/** `field`: S_SRC_GREF or S_DST_GREF, behind which the offset stands. Behind the page lies another page of the guest's. */
function resolvedPage(cache: u32, seg: u32, field: u32, write: bool): u32 {
  if (<u32>load<u16>(seg + field + 4) + load<u16>(seg, S_LEN) > <u32>PAGE_SIZE) {
    refuseWith(GNTST_bad_copy_arg);
    return 0;
  }
  return cachedPage(cache, load<u32>(seg + field), write);
}

/** Makes the fragments of list[0 … n) readable in place. Returns how many frames have one that the grant does not allow. */
export function cacheBorrow(cache: u32, list: u32, n: u32, bad: u32): u32 {
  const domid = load<u32>(cache + CACHE_DOMID);
  let refused: u32 = 0;
  cacheBegin(cache);
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    const frags = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < frags; k++) {
      const frag = fragOf(frame, k);
      if (load<u16>(frag, G_LEN) == 0 || load<u32>(frag, G_ADDR) != 0 || <u32>load<u16>(frag, G_DOM) != domid)
        continue;
      const page = cachedPage(cache, load<u32>(frag, G_GREF), false);
      if (page == 0 && mayCopy()) continue;
      if (page == 0) {
        store<u32>(bad + (refused++ << 2), frame);
        break;
      }
      lend(page);
      store<u32>(frag, page + load<u16>(frag, G_OFF), G_ADDR);
    }
  }
  cacheEnd(cache);
  return refused;
}
