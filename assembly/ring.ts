// Xen's shared ring (xen/io/ring.h): indices run free modulo 2^32, entries lie at RING_ENTRIES.
// The producer index that is ours is kept privately too (`from`): the peer could overwrite the shared one.
// Everything in a shared ring may be written by the peer at any moment. An index is read once, atomically
// (WebAssembly atomics are sequentially consistent: every xen_mb/rmb/wmb of ring.h is implied), then bounded.
import {
  NETIF_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_EVENT,
  RING_REQ_PROD,
  RING_RSP_EVENT,
  RING_RSP_PROD,
  RX_ENTRY_SIZE,
  TX_ENTRY_SIZE,
} from '../src/abi/ring';

export const RING_MASK: u32 = NETIF_RING_SIZE - 1;
/**
 * The last word of the header's padding (ring.h: __pad), which both ends leave alone: where rsp_prod will be once the
 * back end has written the responses that it is about to show. Dies it in between, its successor knows which slots are
 * answered, though it cannot tell by their bytes.
 */
const RING_SHOWING = RING_ENTRIES - 4;

export function txEntry(ring: u32, index: u32): u32 {
  return ring + RING_ENTRIES + (index & RING_MASK) * TX_ENTRY_SIZE;
}

export function rxEntry(ring: u32, index: u32): u32 {
  return ring + RING_ENTRIES + (index & RING_MASK) * RX_ENTRY_SIZE;
}

export function reqProd(ring: u32): u32 {
  return atomic.load<u32>(ring + RING_REQ_PROD);
}

export function rspProd(ring: u32): u32 {
  return atomic.load<u32>(ring + RING_RSP_PROD);
}

/** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY: true when the front end asked to be woken for one of these. */
export function pushResponses(ring: u32, from: u32, to: u32): bool {
  atomic.store<u32>(ring + RING_RSP_PROD, to);
  const wanted = atomic.load<u32>(ring + RING_RSP_EVENT);
  return to - wanted < to - from;
}

/** Says which responses are about to be written into the ring: those up to `to`. */
export function beginResponses(ring: u32, to: u32): void {
  store<u32>(ring + RING_SHOWING, to);
}

/** Up to where a predecessor had begun to write responses, which it showed up to `at`: `at` itself when all is well. */
export function begunResponses(ring: u32, at: u32): u32 {
  const to = load<u32>(ring + RING_SHOWING);
  return to - at <= min<u32>(reqProd(ring) - at, NETIF_RING_SIZE) ? to : at;
}

/** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: true when the back end asked to be woken for one of these. */
export function pushRequests(ring: u32, from: u32, to: u32): bool {
  atomic.store<u32>(ring + RING_REQ_PROD, to);
  const wanted = atomic.load<u32>(ring + RING_REQ_EVENT);
  return to - wanted < to - from;
}

/** RING_FINAL_CHECK_FOR_REQUESTS: asks to be woken at the next request; true when one is there already. */
export function armRequests(ring: u32, consumed: u32): bool {
  if (reqProd(ring) != consumed) return true;
  atomic.store<u32>(ring + RING_REQ_EVENT, consumed + 1);
  return reqProd(ring) != consumed;
}

/** RING_FINAL_CHECK_FOR_RESPONSES. */
export function armResponses(ring: u32, consumed: u32): bool {
  if (rspProd(ring) != consumed) return true;
  atomic.store<u32>(ring + RING_RSP_EVENT, consumed + 1);
  return rspProd(ring) != consumed;
}

/** Asks to be woken once `produced` requests are exceeded by one; true when they are already. */
export function armMoreRequests(ring: u32, produced: u32): bool {
  atomic.store<u32>(ring + RING_REQ_EVENT, produced + 1);
  return reqProd(ring) != produced;
}

/** SHARED_RING_INIT, by the front end. */
export function initRing(ring: u32): void {
  memory.fill(ring, 0, 4096);
  atomic.store<u32>(ring + RING_REQ_EVENT, 1);
  atomic.store<u32>(ring + RING_RSP_EVENT, 1);
}
