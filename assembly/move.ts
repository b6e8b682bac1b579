// Moving copy segments by each mechanism: what src/transfer/ chooses from.
import {
  GNTST_bad_copy_arg, GNTST_bad_gntref, GNTST_general_error, GNTST_no_device_space, GNTST_okay, GTF_reading, GTF_writing,
} from '../src/abi/grant_table';
import { C_CACHE_EVICTIONS, C_CACHE_HITS, C_CACHE_MISSES, C_COPIED_BYTES, C_COPIES } from './counters';
import { domainOf, entryAllows, entryOf, pin, pinned, ramOf, refusal, refuseWith, unpin } from './domains';
import { fragOf } from './frame';
import {
  CACHE_CAPACITY, CACHE_COUNTERS, CACHE_DOMAINS, CACHE_DOMID, CACHE_FLOOR, CACHE_GRANTS, CACHE_ID, CACHE_INDEX, CACHE_SLOT,
  CACHE_SLOTS, CACHE_TICK, CACHE_USED, CACHE_WINDOW, DOM0, IOVEC_SIZE, SLOT_ENTRY, SLOT_GREF, SLOT_USED, SLOT_WRITABLE,
} from './grant_layout';
import {
  F_NFRAGS, F_SETTLED, G_ADDR, G_DOM, G_GREF, G_LEN, G_OFF, PAGE_SIZE, S_DST_ADDR, S_DST_DOM, S_DST_GREF, S_DST_OFF, S_LEN,
  S_SRC_ADDR, S_SRC_DOM, S_SRC_GREF, S_SRC_OFF, S_STATUS,
} from './layout';
import { copyBytes, count } from './memory';
import { segAt } from './segment_list';

/** Maps page `frame` of the cache's domain at `address` (mmap); 0, or a negative errno. */
@external('host', 'mapPage')
declare function hostMapPage(cacheId: u32, address: u32, frame: u32, writable: u32): i32;

/** Why the last `cachedPage` returned 0. */
let cacheRefusal: i32 = 0;

/** Arena address of a granted page, mapped now or earlier; 0 when the grant does not allow it. */
function cachedPage(cache: u32, gref: u32, write: bool): u32 {
  const dom = domainOf(load<u32>(cache + CACHE_DOMAINS), load<u32>(cache + CACHE_DOMID));
  if (dom == 0 || gref >= load<u32>(cache + CACHE_GRANTS)) {
    cacheRefusal = GNTST_bad_gntref;
    return 0;
  }
  const entry = entryOf(dom, gref);
  const known = load<u32>(load<u32>(cache + CACHE_INDEX) + (gref << 2));
  if (known != 0) {
    const slot = load<u32>(cache + CACHE_SLOTS) + (known - 1) * CACHE_SLOT;
    if (load<u64>(slot, SLOT_ENTRY) == entry && (!write || load<u32>(slot, SLOT_WRITABLE))) {
      store<u32>(slot, load<u32>(cache + CACHE_TICK), SLOT_USED);
      hits++;
      return load<u32>(cache + CACHE_WINDOW) + (known - 1) * PAGE_SIZE;
    }
  }
  return mapInto(cache, dom, gref, entry, write, known);
}

let hits: u32 = 0;

/** The slow path: a grant never seen, changed since, or evicted. */
function mapInto(cache: u32, dom: u32, gref: u32, entry: u64, write: bool, known: u32): u32 {
  const counters = load<u32>(cache + CACHE_COUNTERS);
  count(counters, C_CACHE_MISSES, 1);
  const index = load<u32>(cache + CACHE_INDEX) + (gref << 2);
  const slots = load<u32>(cache + CACHE_SLOTS);
  if (known != 0) {
    // The grant ended or changed: what is mapped there is no longer ours to touch.
    store<u64>(slots + (known - 1) * CACHE_SLOT, 0, SLOT_ENTRY);
    store<u32>(index, 0);
  }
  cacheRefusal = entryAllows(dom, entry, DOM0, write);
  if (cacheRefusal != GNTST_okay) return 0;
  const chosen = known != 0 ? known - 1 : chooseSlot(cache, gref);
  if (chosen == 0xffffffff) {
    cacheRefusal = GNTST_no_device_space;
    return 0;
  }
  const slot = slots + chosen * CACHE_SLOT;
  if (load<u64>(slot, SLOT_ENTRY) != 0) {
    store<u32>(load<u32>(cache + CACHE_INDEX) + (load<u32>(slot, SLOT_GREF) << 2), 0);
    store<u64>(slot, 0, SLOT_ENTRY);
    count(counters, C_CACHE_EVICTIONS, 1);
  }
  const writable = entryAllows(dom, entry, DOM0, true) == GNTST_okay;
  const address = load<u32>(cache + CACHE_WINDOW) + chosen * PAGE_SIZE;
  if (hostMapPage(load<u32>(cache + CACHE_ID), address, <u32>(entry >> 32), writable ? 1 : 0) != 0) {
    cacheRefusal = GNTST_no_device_space;
    return 0;
  }
  store<u64>(slot, entry, SLOT_ENTRY);
  store<u32>(slot, gref, SLOT_GREF);
  store<u32>(slot, load<u32>(cache + CACHE_TICK), SLOT_USED);
  store<u32>(slot, writable ? 1 : 0, SLOT_WRITABLE);
  store<u32>(index, chosen + 1);
  return address;
}

/**
 * The slot whose number is the reference's, if it is empty: neighbours in the guest then lie side by side
 * here and share one kernel mapping. Else the least recently used one that no frame in flight refers to.
 */
function chooseSlot(cache: u32, gref: u32): u32 {
  const capacity = load<u32>(cache + CACHE_CAPACITY);
  const slots = load<u32>(cache + CACHE_SLOTS);
  const own = gref % capacity;
  if (load<u64>(slots + own * CACHE_SLOT, SLOT_ENTRY) == 0) return own;
  const floor = load<u32>(cache + CACHE_FLOOR);
  const tick = load<u32>(cache + CACHE_TICK);
  let best: u32 = 0xffffffff;
  let oldest: u32 = 0;
  for (let i: u32 = 0; i < capacity; i++) {
    const slot = slots + i * CACHE_SLOT;
    if (load<u64>(slot, SLOT_ENTRY) == 0) return i;
    const used = load<u32>(slot, SLOT_USED);
    const age = tick - used;
    if (tick - floor < age && age >= oldest) {
      oldest = age;
      best = i;
    }
  }
  return best;
}

/** A new batch begins; what frames in flight since tick `floor` use must stay mapped. */
export function cacheTick(cache: u32, floor: u32): u32 {
  const tick = load<u32>(cache + CACHE_TICK) + 1;
  store<u32>(cache + CACHE_TICK, tick);
  store<u32>(cache + CACHE_FLOOR, floor == 0 ? tick : floor);
  return tick;
}

/** Replaces granted ends of this cache's domain by mapped addresses. Returns how many segments still need a grant copy. */
export function cacheResolve(cache: u32, segs: u32, n: u32): u32 {
  const domid = load<u32>(cache + CACHE_DOMID);
  let left: u32 = 0;
  hits = 0;
  for (let i: u32 = 0; i < n; i++) {
    const seg = segAt(segs, i);
    if (load<u32>(seg, S_SRC_ADDR) == 0 && <u32>load<u16>(seg, S_SRC_DOM) == domid) {
      const page = cachedPage(cache, load<u32>(seg, S_SRC_GREF), false);
      if (page == 0) store<i16>(seg, <i16>cacheRefusal, S_STATUS);
      else store<u32>(seg, page + load<u16>(seg, S_SRC_OFF), S_SRC_ADDR);
    }
    if (load<u32>(seg, S_DST_ADDR) == 0 && <u32>load<u16>(seg, S_DST_DOM) == domid) {
      const page = cachedPage(cache, load<u32>(seg, S_DST_GREF), true);
      if (page == 0) store<i16>(seg, <i16>cacheRefusal, S_STATUS);
      else store<u32>(seg, page + load<u16>(seg, S_DST_OFF), S_DST_ADDR);
    }
    if (load<i16>(seg, S_STATUS) == 0 && (load<u32>(seg, S_SRC_ADDR) == 0 || load<u32>(seg, S_DST_ADDR) == 0)) left++;
  }
  count(load<u32>(cache + CACHE_COUNTERS), C_CACHE_HITS, hits);
  return left;
}

/** Makes the fragments of list[0 … n) readable in place. Returns how many frames have one that the grant does not allow. */
export function cacheBorrow(cache: u32, list: u32, n: u32, bad: u32): u32 {
  const domid = load<u32>(cache + CACHE_DOMID);
  let refused: u32 = 0;
  hits = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    const frags = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < frags; k++) {
      const frag = fragOf(frame, k);
      if (load<u16>(frag, G_LEN) == 0 || load<u32>(frag, G_ADDR) != 0 || <u32>load<u16>(frag, G_DOM) != domid) continue;
      const page = cachedPage(cache, load<u32>(frag, G_GREF), false);
      if (page == 0) {
        store<u32>(bad + (refused++ << 2), frame);
        break;
      }
      store<u32>(frag, page + load<u16>(frag, G_OFF), G_ADDR);
    }
  }
  count(load<u32>(cache + CACHE_COUNTERS), C_CACHE_HITS, hits);
  return refused;
}

/** Copies the segments both of whose ends are in the arena. */
export function moveLocal(segs: u32, n: u32, counters: u32): void {
  let bytes: u64 = 0;
  let copies: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const seg = segAt(segs, i);
    const from = load<u32>(seg, S_SRC_ADDR);
    const to = load<u32>(seg, S_DST_ADDR);
    if (from == 0 || to == 0 || load<i16>(seg, S_STATUS) != 0) continue;
    const length = <u32>load<u16>(seg, S_LEN);
    copyBytes(to, from, length);
    copies++;
    bytes += length;
  }
  count(counters, C_COPIES, copies);
  count(counters, C_COPIED_BYTES, bytes);
}

// ---- grant copy of the embedded platform: check and mark every entry, one system call, unmark -------------

/** S_STATUS of a segment while the call is under way: TAKEN, the marks set on its source, and on its target. */
const TAKEN: u32 = 0x1000;
const MARKS_MASK: u32 = GTF_reading | GTF_writing;
const MARKS_DST: u32 = 4;

/**
 * iovecs for segments [from, n) that have a granted end and no error, at most `max` of them. Every granted
 * end is checked and marked in use. Returns how many iovecs were written; `grantNext()` says where it stopped.
 * `base`: address of the arena in this process.
 */
export function grantPrepare(domains: u32, segs: u32, from: u32, n: u32, base: f64, local: u32, remote: u32, max: u32): u32 {
  let used: u32 = 0;
  let i = from;
  for (; i < n && used < max; i++) {
    const seg = segAt(segs, i);
    const src = load<u32>(seg, S_SRC_ADDR);
    const dst = load<u32>(seg, S_DST_ADDR);
    if ((src != 0 && dst != 0) || load<i16>(seg, S_STATUS) != 0) continue;
    const length = <u32>load<u16>(seg, S_LEN);
    const reads = src == 0;
    const source = reads ? grantedAddress(domains, seg, S_SRC_GREF, false) : <u64>base + src;
    if (source == 0) {
      store<i16>(seg, <i16>refusal(), S_STATUS);
      continue;
    }
    let marks: u32 = reads ? pinned() : 0;
    const target = dst == 0 ? grantedAddress(domains, seg, S_DST_GREF, true) : <u64>base + dst;
    if (target == 0) {
      store<i16>(seg, <i16>refusal(), S_STATUS);
      if (reads) release(domains, seg, S_SRC_GREF, marks);
      continue;
    }
    if (dst == 0) marks |= pinned() << MARKS_DST;
    store<i16>(seg, <i16>(TAKEN | marks), S_STATUS);
    const at = used * IOVEC_SIZE;
    store<u64>(remote + at, source);
    store<u64>(remote + at + 8, length);
    store<u64>(local + at, target);
    store<u64>(local + at + 8, length);
    used++;
  }
  next = i;
  return used;
}

let next: u32 = 0;

export function grantNext(): u32 {
  return next;
}

/** `field`: S_SRC_GREF or S_DST_GREF, behind which u16 offset and u16 domid stand. 0 when refused. */
function grantedAddress(domains: u32, seg: u32, field: u32, write: bool): u64 {
  const offset = <u32>load<u16>(seg + field + 4);
  const dom = domainOf(domains, load<u16>(seg + field + 6));
  const length = <u32>load<u16>(seg, S_LEN);
  if (dom == 0 || offset + length > <u32>PAGE_SIZE) {
    refuseWith(GNTST_bad_copy_arg);
    return 0;
  }
  const entry = pin(dom, load<u32>(seg + field), DOM0, write);
  if (entry == 0) return 0;
  return ramOf(dom) + (entry >> 32) * PAGE_SIZE + offset;
}

function release(domains: u32, seg: u32, field: u32, marks: u32): void {
  const dom = domainOf(domains, load<u16>(seg + field + 6));
  if (dom != 0 && marks != 0) unpin(dom, load<u32>(seg + field), marks);
}

/**
 * After the call moved `moved` bytes: unmarks the entries of the segments that grantPrepare took from
 * [from, to) and gives those not wholly moved an error. A refused element (XSA-361) took no part in the call.
 */
export function grantFinish(domains: u32, segs: u32, from: u32, to: u32, moved: u32, counters: u32): void {
  let left = moved;
  let copies: u32 = 0;
  let bytes: u64 = 0;
  for (let i = from; i < to; i++) {
    const seg = segAt(segs, i);
    const status = <i32>load<i16>(seg, S_STATUS);
    if (status < <i32>TAKEN) continue;
    release(domains, seg, S_SRC_GREF, status & MARKS_MASK);
    release(domains, seg, S_DST_GREF, (status >> MARKS_DST) & MARKS_MASK);
    store<i16>(seg, GNTST_okay, S_STATUS);
    const length = <u32>load<u16>(seg, S_LEN);
    if (left >= length) {
      left -= length;
      copies++;
      bytes += length;
    } else {
      left = 0;
      store<i16>(seg, GNTST_general_error, S_STATUS);
    }
  }
  count(counters, C_COPIES, copies);
  count(counters, C_COPIED_BYTES, bytes);
}
