// Moving copy segments: in the arena itself, and as a grant copy of the embedded platform.
import {
  GNTST_bad_copy_arg,
  GNTST_general_error,
  GNTST_okay,
  GTF_reading,
  GTF_writing,
} from '../src/abi/grant_table';
import { C_COPIED_BYTES, C_COPIES } from './counters';
import { domainOf, pin, pinned, pinnedPage, ramOf, refusal, refuseWith, unpin } from './domains';
import { DOM_VIEW, DOM0, IOVEC_SIZE } from './grant_layout';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SOURCE_REFUSED,
  S_SRC_ADDR,
  S_SRC_GREF,
  S_STATUS,
} from './layout';
import { copyBytes, count } from './memory';
import { segAt } from './segment_list';

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
 * end is checked and marked in use. A segment whose granted ends all lie in the hypervisor's view (DOM_VIEW) needs no
 * iovec: it is copied and done at once. Returns how many iovecs were written; `grantNext()` says where it stopped.
 * `base`: address of the arena in this process.
 */
export function grantPrepare(
  domains: u32,
  segs: u32,
  from: u32,
  n: u32,
  base: f64,
  local: u32,
  remote: u32,
  max: u32,
): u32 {
  let used: u32 = 0;
  let i = from;
  for (; i < n && used < max; i++) {
    const seg = segAt(segs, i);
    const src = load<u32>(seg, S_SRC_ADDR);
    const dst = load<u32>(seg, S_DST_ADDR);
    if ((src != 0 && dst != 0) || load<i16>(seg, S_STATUS) != 0) continue;
    const length = <u32>load<u16>(seg, S_LEN);
    if ((src != 0 || hasView(domains, seg, S_SRC_GREF)) && (dst != 0 || hasView(domains, seg, S_DST_GREF))) {
      copyInView(domains, seg, src, dst);
      continue;
    }
    const reads = src == 0;
    const source = reads ? grantedAddress(domains, seg, S_SRC_GREF, false) : <u64>base + src;
    if (source == 0) {
      refuseSource(seg);
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

/** Says whose fault it is, too: that of the domain that granted the bytes to be read. */
function refuseSource(seg: u32): void {
  store<i16>(seg, <i16>refusal(), S_STATUS);
  store<u16>(seg, load<u16>(seg, S_DST_OFF) | S_SOURCE_REFUSED, S_DST_OFF);
}

function hasView(domains: u32, seg: u32, field: u32): bool {
  const dom = domainOf(domains, load<u16>(seg + field + 6));
  return dom != 0 && load<u32>(dom, DOM_VIEW) != 0;
}

/** One copy between pages that are all at hand: check, mark, copy, unmark. */
function copyInView(domains: u32, seg: u32, src: u32, dst: u32): void {
  const length = <u32>load<u16>(seg, S_LEN);
  const from = src != 0 ? src : viewAddress(domains, seg, S_SRC_GREF, false);
  const sourceMarks = src == 0 && from != 0 ? pinned() : 0;
  const to = from == 0 ? 0 : dst != 0 ? dst : viewAddress(domains, seg, S_DST_GREF, true);
  if (from == 0) refuseSource(seg);
  else if (to == 0) store<i16>(seg, <i16>refusal(), S_STATUS);
  else {
    const targetMarks = dst == 0 ? pinned() : 0;
    copyBytes(to, from, length);
    release(domains, seg, S_DST_GREF, targetMarks);
    viewed++;
    viewedBytes += length;
  }
  release(domains, seg, S_SRC_GREF, sourceMarks);
}

/** Copies made in the view since grantFinish counted last. */
let viewed: u32 = 0;
let viewedBytes: u64 = 0;

/** Like grantedAddress, of a domain with a view. */
function viewAddress(domains: u32, seg: u32, field: u32, write: bool): u32 {
  const offset = <u32>load<u16>(seg + field + 4);
  if (offset + <u32>load<u16>(seg, S_LEN) > <u32>PAGE_SIZE) {
    refuseWith(GNTST_bad_copy_arg);
    return 0;
  }
  const page = pinnedPage(domainOf(domains, load<u16>(seg + field + 6)), load<u32>(seg + field), write);
  return page == 0 ? 0 : page + offset;
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
  count(counters, C_COPIES, copies + viewed);
  count(counters, C_COPIED_BYTES, bytes + viewedBytes);
  viewed = 0;
  viewedBytes = 0;
}
