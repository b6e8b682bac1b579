// A tap's frames: iovecs over descriptors and buffers, and the result of each read.
import {
  C_IN_BYTES,
  C_IN_FRAMES,
  C_IN_GSO,
  C_OUT_BYTES,
  C_OUT_FRAMES,
  C_OUT_GSO,
  DROP_OVERSIZE,
  DROP_RUNT,
} from './counters';
import { fragOf, frameClear, frameRest } from './frame';
import {
  F_COOKIE,
  F_HDR_LEN,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_VNET,
  G_ADDR,
  G_LEN,
  V_GSO_TYPE,
  V_NUM_BUFFERS,
  VNET_SIZE,
} from './layout';
import { count } from './memory';
import { stackPop, stackPush } from './stack';
import {
  IOV_STRIDE,
  TAP_BASE,
  TAP_BUFFER_SIZE,
  TAP_BUFFERS,
  TAP_COUNTERS,
  TAP_HEADER,
  TAP_IOVS,
  TAP_PORT,
} from './tap_layout';

const ETH_HLEN: u32 = 14;

function iovec(at: u32, base: u64, address: u32, length: u32): void {
  store<u64>(at, base + address);
  store<u64>(at, length, 8);
}

/** Gives each of list[0 … n) a buffer and two iovecs. Returns how many got one. */
export function tapPrepareReads(tap: u32, list: u32, n: u32): u32 {
  const base = <u64>load<f64>(tap + TAP_BASE);
  const header = load<u32>(tap + TAP_HEADER);
  const iovs = load<u32>(tap + TAP_IOVS);
  const pool = load<u32>(tap + TAP_BUFFERS);
  const port = load<u32>(tap + TAP_PORT);
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    const buffer = stackPop(pool);
    if (buffer == 0) return i;
    frameClear(frame, port);
    store<u32>(frame + F_COOKIE, buffer);
    const iov = iovs + i * IOV_STRIDE;
    iovec(iov, base, frame + F_VNET, VNET_SIZE + header);
    // Where it would lie had the header bytes come along: pages of the frame are pages of the buffer, and a grant copy
    // into a guest's page reads a single page.
    iovec(iov + 16, base, buffer + header, TAP_BUFFER_SIZE - header);
  }
  return n;
}

/** Result of reading frame `frame`: bytes with the vnet header. False: nothing there, its buffer goes back. */
export function tapFinishRead(tap: u32, frame: u32, result: i32): bool {
  const buffer = load<u32>(frame + F_COOKIE);
  if (result <= <i32>VNET_SIZE) {
    stackPush(load<u32>(tap + TAP_BUFFERS), buffer);
    store<u32>(frame + F_COOKIE, 0);
    return false;
  }
  const counters = load<u32>(tap + TAP_COUNTERS);
  const length = <u32>result - VNET_SIZE;
  const header = min(length, load<u32>(tap + TAP_HEADER));
  store<u32>(frame + F_LEN, length);
  store<u32>(frame + F_HDR_LEN, header);
  frameRest(frame, buffer + load<u32>(tap + TAP_HEADER), length - header);
  store<u16>(frame, 1, V_NUM_BUFFERS);
  if (length < ETH_HLEN || length > 0xffff) {
    store<u32>(frame + F_SETTLED, 1);
    count(counters, length < ETH_HLEN ? DROP_RUNT : DROP_OVERSIZE, 1);
    return true;
  }
  count(counters, C_IN_FRAMES, 1);
  count(counters, C_IN_BYTES, length);
  if (load<u8>(frame, V_GSO_TYPE) != 0) count(counters, C_IN_GSO, 1);
  return true;
}

/**
 * iovecs for writing a frame whose fragments are all readable here, as the index-th write: one for each run of bytes, since the
 * kernel copies a run faster than its pages. Returns their number.
 */
export function tapPrepareWrite(tap: u32, frame: u32, index: u32): u32 {
  const base = <u64>load<f64>(tap + TAP_BASE);
  let iov = load<u32>(tap + TAP_IOVS) + index * IOV_STRIDE;
  iovec(iov, base, frame + F_VNET, VNET_SIZE + load<u32>(frame + F_HDR_LEN));
  let n: u32 = 1;
  let end: u32 = 0; // of the run at `iov`
  const frags = load<u32>(frame + F_NFRAGS);
  for (let k: u32 = 0; k < frags; k++) {
    const frag = fragOf(frame, k);
    const length = <u32>load<u16>(frag, G_LEN);
    if (length == 0) continue;
    const address = load<u32>(frag, G_ADDR);
    if (address == end) {
      store<u64>(iov, load<u64>(iov, 8) + length, 8);
    } else {
      iov += 16;
      iovec(iov, base, address, length);
      n++;
    }
    end = address + length;
  }
  store<u16>(frame, 0, V_NUM_BUFFERS);
  return n;
}

export function tapWritten(tap: u32, frame: u32): void {
  const counters = load<u32>(tap + TAP_COUNTERS);
  count(counters, C_OUT_FRAMES, 1);
  count(counters, C_OUT_BYTES, load<u32>(frame + F_LEN));
  if (load<u8>(frame, V_GSO_TYPE) != 0) count(counters, C_OUT_GSO, 1);
}

/** Gives the buffers of settled frames back and moves the waiting ones to the front. Returns how many wait. */
export function tapRelease(tap: u32, list: u32, n: u32, scratch: u32): u32 {
  const pool = load<u32>(tap + TAP_BUFFERS);
  let kept: u32 = 0;
  let freed: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (!load<u32>(frame + F_SETTLED)) {
      store<u32>(list + (kept++ << 2), frame);
      continue;
    }
    store<u32>(scratch + (freed++ << 2), frame);
    const buffer = load<u32>(frame + F_COOKIE); // 0 when a netfront took it over
    if (buffer != 0) stackPush(pool, buffer);
  }
  for (let i: u32 = 0; i < freed; i++) store<u32>(list + ((kept + i) << 2), load<u32>(scratch + (i << 2)));
  return kept;
}
