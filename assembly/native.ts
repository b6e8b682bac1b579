// Grant copies of the native platform: copy segments become those of /dev/xen/gntdev, one call moves them all, and
// what Xen says of each comes back.
//
// The driver takes an address of this process only where its page is the process's own. A page that is another
// domain's, mapped here, is copied from and to by its grant: the table of foreign pages says which that is.
import {
  COPY_DEST,
  COPY_FLAGS,
  COPY_LEN,
  COPY_SEGMENT_SIZE,
  COPY_SOURCE,
  COPY_STATUS,
} from '../src/abi/gntdev';
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_general_error,
  GNTST_okay,
} from '../src/abi/grant_table';
import { C_COPIED_BYTES, C_COPIES } from './counters';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SOURCE_REFUSED,
  S_SRC_ADDR,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
} from './layout';
import { count } from './memory';
import { FOREIGN_DOM, FOREIGN_GREF, FOREIGN_SIZE, FOREIGN_WRITE } from './native_layout';
import { segAt } from './segment_list';

/** S_STATUS of a segment that takes part in the call under way. */
const TAKEN: i16 = 0x1000;

let next: u32 = 0;
let copies: u32 = 0;
let bytes: u64 = 0;

/** Index behind the last segment that nativePrepare looked at. */
export function nativeNext(): u32 {
  return next;
}

/** Enters (`dom`: domid + 1) or forgets (0) a granted page that is mapped at `address`. */
export function foreignPage(foreign: u32, address: u32, dom: u32, gref: u32, write: bool): void {
  const at = foreign + (address / PAGE_SIZE) * FOREIGN_SIZE;
  store<u32>(at, gref, FOREIGN_GREF);
  store<u16>(at, <u16>(write ? 1 : 0), FOREIGN_WRITE);
  atomic.store<u16>(at, <u16>dom, FOREIGN_DOM); // threads share the table
}

/**
 * Driver's segments for [from, n) that have a granted end and no error, at most `max` of them, at `out`. Returns how
 * many; the others are as they were, or refused by what can be seen here (the driver would refuse the whole list).
 * `base`: address of the arena in this process.
 */
export function nativePrepare(
  foreign: u32,
  segs: u32,
  from: u32,
  n: u32,
  base: f64,
  out: u32,
  max: u32,
): u32 {
  let used: u32 = 0;
  let i = from;
  for (; i < n && used < max; i++) {
    const seg = segAt(segs, i);
    const src = load<u32>(seg, S_SRC_ADDR);
    const dst = load<u32>(seg, S_DST_ADDR);
    if ((src != 0 && dst != 0) || load<i16>(seg, S_STATUS) != GNTST_okay) continue;
    const length = <u32>load<u16>(seg, S_LEN);
    const to = out + used * COPY_SEGMENT_SIZE;
    store<u64>(to, 0, COPY_LEN); // and flags, status and padding
    if (!sourceEnd(foreign, seg, src, length, base, to)) {
      refuseSource(seg, GNTST_bad_copy_arg);
      continue;
    }
    if (!targetEnd(foreign, seg, dst, length, base, to)) {
      store<i16>(seg, GNTST_bad_copy_arg, S_STATUS);
      continue;
    }
    if (length == 0) {
      copies++;
      continue;
    }
    store<u16>(to, <u16>length, COPY_LEN);
    store<i16>(seg, TAKEN, S_STATUS);
    used++;
  }
  next = i;
  return used;
}

/** An end as u32 reference, u16 offset, u16 domid; false when it would cross a page of the domain's. */
function sourceEnd(foreign: u32, seg: u32, src: u32, length: u32, base: f64, to: u32): bool {
  let end = load<u64>(seg, S_SRC_GREF);
  if (src != 0) {
    end = grantAt(foreign, src);
    if (end == 0) {
      store<u64>(to, <u64>base + src, COPY_SOURCE);
      return true;
    }
  }
  store<u64>(to, end, COPY_SOURCE);
  store<u16>(to, load<u16>(to, COPY_FLAGS) | GNTCOPY_source_gref, COPY_FLAGS);
  return (<u32>(end >> 32) & 0xffff) + length <= <u32>PAGE_SIZE;
}

function targetEnd(foreign: u32, seg: u32, dst: u32, length: u32, base: f64, to: u32): bool {
  let end = load<u64>(seg, S_DST_GREF);
  if (dst != 0) {
    end = grantAt(foreign, dst);
    if (end == 0) {
      store<u64>(to, <u64>base + dst, COPY_DEST);
      return true;
    }
  }
  store<u64>(to, end, COPY_DEST);
  store<u16>(to, load<u16>(to, COPY_FLAGS) | GNTCOPY_dest_gref, COPY_FLAGS);
  return (<u32>(end >> 32) & 0xffff) + length <= <u32>PAGE_SIZE;
}

/** The grant behind an address of the arena; 0 where the page is the back end's own. */
function grantAt(foreign: u32, address: u32): u64 {
  const at = foreign + (address / PAGE_SIZE) * FOREIGN_SIZE;
  const dom = <u32>load<u16>(at, FOREIGN_DOM);
  if (dom == 0) return 0;
  const offset = address & (PAGE_SIZE - 1);
  // A reference 0 with domid 0 at offset 0 would read as "no grant"; Xen keeps that reference for the console.
  return <u64>load<u32>(at, FOREIGN_GREF) | ((<u64>offset) << 32) | ((<u64>(dom - 1)) << 48);
}

/** Says whose fault it is, too: that of the domain that granted the bytes to be read. */
function refuseSource(seg: u32, status: i32): void {
  store<i16>(seg, <i16>status, S_STATUS);
  store<u16>(seg, load<u16>(seg, S_DST_OFF) | S_SOURCE_REFUSED, S_DST_OFF);
}

/**
 * After the call: each segment that took part has its status. `failed`: the call itself failed, and nothing is known
 * of any. Returns how many failed although both ends are granted: nativeProbe finds out which end it was.
 */
export function nativeFinish(segs: u32, from: u32, to: u32, out: u32, failed: bool, counters: u32): u32 {
  let k = out;
  let doubtful: u32 = 0;
  for (let i = from; i < to; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) != TAKEN) continue;
    const status = failed ? <i16>GNTST_general_error : load<i16>(k, COPY_STATUS);
    k += COPY_SEGMENT_SIZE;
    store<i16>(seg, status, S_STATUS);
    if (status == GNTST_okay) {
      copies++;
      bytes += load<u16>(seg, S_LEN);
    } else if (load<u32>(seg, S_SRC_ADDR) == 0 && load<u32>(seg, S_DST_ADDR) == 0 && !failed) {
      doubtful++;
    }
  }
  count(counters, C_COPIES, copies);
  count(counters, C_COPIED_BYTES, bytes);
  copies = 0;
  bytes = 0;
  return doubtful;
}

/** Driver's segments that read one byte of each doubtful source into `sink`, 4 bytes at `base` + that. Their number. */
export function nativeProbe(segs: u32, from: u32, to: u32, base: f64, out: u32, sink: u32): u32 {
  let used: u32 = 0;
  for (let i = from; i < to; i++) {
    const seg = segAt(segs, i);
    if (!doubtful(seg)) continue;
    const at = out + used++ * COPY_SEGMENT_SIZE;
    store<u64>(at, load<u64>(seg, S_SRC_GREF), COPY_SOURCE);
    store<u64>(at, <u64>base + sink, COPY_DEST);
    store<u64>(at, 1, COPY_LEN);
    store<u16>(at, GNTCOPY_source_gref, COPY_FLAGS);
  }
  return used;
}

/** After that call: sources that cannot be read are named as the ones at fault. */
export function nativeProbed(segs: u32, from: u32, to: u32, out: u32): void {
  let k = out;
  for (let i = from; i < to; i++) {
    const seg = segAt(segs, i);
    if (!doubtful(seg)) continue;
    const status = <i32>load<i16>(k, COPY_STATUS);
    if (status != GNTST_okay) refuseSource(seg, status);
    k += COPY_SEGMENT_SIZE;
  }
}

function doubtful(seg: u32): bool {
  return (
    load<i16>(seg, S_STATUS) < 0 &&
    load<u32>(seg, S_SRC_ADDR) == 0 &&
    load<u32>(seg, S_DST_ADDR) == 0 &&
    (load<u16>(seg, S_DST_OFF) & S_SOURCE_REFUSED) == 0 &&
    <u32>load<u16>(seg, S_SRC_OFF) < <u32>PAGE_SIZE
  );
}
