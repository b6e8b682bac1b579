// The transmit half of netback: requests of the guest become frames. Everything on the ring is hostile: each
// slot is read once into locals (XSA-155), every index, length and count is bounded before it is used.
// Order of calls in a round: netbackPull → a transfer moves the header segments → netbackHeaders → … →
// netbackRelease once the frames are settled → netbackPublish.
import {
  EXTRA_FLAGS,
  EXTRA_GSO_SIZE,
  EXTRA_GSO_TYPE,
  EXTRA_TYPE,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  TXREQ_FLAGS,
  TXREQ_GREF,
  TXREQ_ID,
  TXREQ_OFFSET,
  TXREQ_SIZE,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
  XEN_NETIF_NR_SLOTS_MIN,
} from '../src/abi/netif';
import { NETIF_RING_SIZE } from '../src/abi/ring';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../src/abi/virtio_net';
import { cacheBegin, cacheEnd, cacheMisses } from './cache';
import {
  C_IN_BYTES,
  C_IN_FRAMES,
  C_IN_GSO,
  DROP_BAD_CSUM,
  DROP_BAD_GRANT,
  DROP_BAD_GSO,
  DROP_BAD_SLOT,
  DROP_RUNT,
  DROP_TOO_MANY_SLOTS,
  FENCE_ENDLESS_CHAIN,
  FENCE_MISSING_SLOT,
  FENCE_PAGE_CROSSED,
  FENCE_RING_OVERFLOW,
  FENCE_UNKNOWN_EXTRA,
} from './counters';
import { fragOf, frameClear } from './frame';
import {
  F_COOKIE,
  F_COOKIE2,
  F_COOKIE3,
  F_LEN,
  F_NFRAGS,
  F_QUEUE,
  F_SETTLED,
  F_SLOT,
  F_VERDICT,
  G_ADDR,
  G_COOKIE,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  PAGE_SIZE,
  S_STATUS,
  S_TAG,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
  VERDICT_DROP,
} from './layout';
import { count } from './memory';
import { multicastChange } from './multicast';
import { headerInPlace, headerSegments, REFUSED } from './netback_header';
import {
  FATAL_SLOTS,
  MISSES_PER_ROUND,
  NB_CACHE,
  NB_COUNTERS,
  NB_DOMID,
  NB_FENCED,
  NB_PORT,
  NB_RATE,
  NB_SEGS,
  NB_SEGS_MAX,
  NB_TX_CONS,
  NB_TX_PUBLISHED,
  NB_TX_RING,
  RATE_CREDIT,
  RATE_WANTED,
  SEGS_PER_FRAME,
} from './netif_layout';
import { OFFLOAD_BAD_GSO, offloadFromBlank } from './offload';
import { reqProd, txEntry } from './ring';
import { segAt } from './segment_list';

const ETH_HLEN: u32 = 14;

/** Settles a frame as dropped under `reason`, to be answered with an error. */
export function refuseTx(counters: u32, frame: u32, reason: u32): void {
  store<u32>(frame + F_COOKIE, 1);
  store<u32>(frame + F_VERDICT, VERDICT_DROP + reason);
  store<u32>(frame + F_SETTLED, 1);
  count(counters, reason, 1);
}

/** Ends the dialogue with a guest that broke the protocol. Returns 0, as "no frame". */
function fence(nb: u32, why: u32): u32 {
  store<u32>(nb + NB_FENCED, why);
  return 0;
}

/**
 * Reads requests into the descriptors list[0 … max) and fills the shard's segment list with their header
 * copies. Returns the number of frames in the low half and of segments in the high half.
 * A frame's F_COOKIE: 1 = answer with an error; F_COOKIE2: extra-info slots; F_COOKIE3: NETTXF_* flags.
 */
export function netbackPull(nb: u32, list: u32, max: u32): u32 {
  if (load<u32>(nb + NB_FENCED)) return 0;
  const ring = load<u32>(nb + NB_TX_RING);
  const segs = load<u32>(nb + NB_SEGS);
  const segsMax = load<u32>(nb + NB_SEGS_MAX);
  let cons = load<u32>(nb + NB_TX_CONS);
  const prod = reqProd(ring);
  if (prod == cons) return 0;
  // XSA-39: never more requests than the ring holds beyond the answers it was shown, nor fewer than were read.
  const unanswered = cons - load<u32>(nb + NB_TX_PUBLISHED);
  if (prod - cons > <u32>NETIF_RING_SIZE - unanswered) return fence(nb, FENCE_RING_OVERFLOW);
  const port = load<u32>(nb + NB_PORT);
  const cache = load<u32>(nb + NB_CACHE);
  if (cache != 0) cacheBegin(cache);
  let frames: u32 = 0;
  let nsegs: u32 = 0;
  while (frames < max && cons != prod && nsegs + SEGS_PER_FRAME <= segsMax) {
    const frame = load<u32>(list + (frames << 2));
    frameClear(frame, port);
    store<u32>(frame + F_SLOT, cons);
    store<u32>(frame + F_QUEUE, nb);
    const next = readRequest(nb, ring, frame, cons, prod);
    if (next == cons) break; // it stays; the requests of frames before this one get their answers, fenced or not
    cons = next;
    frames++;
    if (load<u32>(frame + F_SETTLED)) continue;
    const into = segAt(segs, nsegs);
    const added = cache != 0 ? headerInPlace(cache, frame, into) : headerSegments(frame, into);
    if (added == REFUSED) refuseTx(load<u32>(nb + NB_COUNTERS), frame, DROP_BAD_GRANT);
    else nsegs += added;
    // Each is a system call: a guest that changes its grants before each use gets them by turns with the others.
    if (cache != 0 && cacheMisses() >= <u32>MISSES_PER_ROUND) break;
  }
  if (cache != 0) cacheEnd(cache);
  store<u32>(nb + NB_TX_CONS, cons);
  return frames | (nsegs << 16);
}

/** Takes the credit for a packet; false when there is not enough. */
function pay(rate: u32, size: u32): bool {
  const credit = load<f64>(rate + RATE_CREDIT);
  if (credit >= <f64>size) {
    store<f64>(rate + RATE_CREDIT, credit - <f64>size);
    return true;
  }
  const wanted = load<u32>(rate + RATE_WANTED);
  if (wanted == 0 || size < wanted) store<u32>(rate + RATE_WANTED, size);
  return false;
}

/**
 * Parses one packet's slots from `cons`. Returns the index behind them, or `cons` itself after fencing, and while there is
 * no credit for it.
 */
function readRequest(nb: u32, ring: u32, frame: u32, cons: u32, prod: u32): u32 {
  const counters = load<u32>(nb + NB_COUNTERS);
  const domid = load<u32>(nb + NB_DOMID);
  let at = cons;
  let entry = txEntry(ring, at);
  let gref = load<u32>(entry, TXREQ_GREF);
  let offset = <u32>load<u16>(entry, TXREQ_OFFSET);
  let flags = <u32>load<u16>(entry, TXREQ_FLAGS);
  let id = load<u16>(entry, TXREQ_ID);
  const total = <u32>load<u16>(entry, TXREQ_SIZE);
  const firstFlags = flags;
  at++;
  const rate = load<u32>(nb + NB_RATE);
  if (rate != 0 && !pay(rate, total)) return cons;

  let extras: u32 = 0;
  let change: u64 = 0; // of the multicast list; an addition comes before a removal, as in Linux netback
  if (flags & NETTXF_extra_info) {
    let more = true;
    while (more) {
      if (at == prod) {
        fence(nb, FENCE_MISSING_SLOT);
        return cons;
      }
      const extra = txEntry(ring, at);
      const head = load<u64>(extra); // the whole 8 octets, once
      at++;
      extras++;
      const type = <u32>(head >> (EXTRA_TYPE * 8)) & 0xff;
      if (type == XEN_NETIF_EXTRA_TYPE_GSO) {
        const kind = <u32>(head >> (EXTRA_GSO_TYPE * 8)) & 0xff;
        store<u16>(frame, <u16>(head >> (EXTRA_GSO_SIZE * 8)), V_GSO_SIZE);
        // An unknown kind stays as it is: offloadFromBlank refuses the frame.
        const known =
          kind == XEN_NETIF_GSO_TYPE_TCPV4
            ? VIRTIO_NET_HDR_GSO_TCPV4
            : kind == XEN_NETIF_GSO_TYPE_TCPV6
              ? VIRTIO_NET_HDR_GSO_TCPV6
              : 0x7f;
        store<u8>(frame, <u8>known, V_GSO_TYPE);
      } else if (type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD) {
        change = head;
      } else if (type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL) {
        if (<u32>(change & 0xff) != XEN_NETIF_EXTRA_TYPE_MCAST_ADD) change = head;
      } else if (type != XEN_NETIF_EXTRA_TYPE_HASH) {
        fence(nb, FENCE_UNKNOWN_EXTRA);
        return cons;
      }
      more = (<u32>(head >> (EXTRA_FLAGS * 8)) & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
      if (extras > <u32>FATAL_SLOTS) {
        fence(nb, FENCE_ENDLESS_CHAIN);
        return cons;
      }
    }
  }

  if (change != 0) {
    multicastChange(nb, frame, change, extras, id);
    return at;
  }

  // The first slot's size is the packet's; each further slot's is its own (netif.h).
  let slots: u32 = 0;
  let rest = total;
  let bad = false;
  while (true) {
    const frag = fragOf(frame, slots);
    store<u32>(frag, 0, G_ADDR);
    store<u32>(frag, gref, G_GREF);
    store<u16>(frag, <u16>offset, G_OFF);
    store<u16>(frag, <u16>domid, G_DOM);
    store<u16>(frag, id, G_COOKIE);
    slots++;
    if (!(flags & NETTXF_more_data)) break;
    if (at == prod) {
      fence(nb, FENCE_MISSING_SLOT);
      return cons;
    }
    if (slots == FATAL_SLOTS) {
      fence(nb, FENCE_ENDLESS_CHAIN);
      return cons;
    }
    entry = txEntry(ring, at);
    gref = load<u32>(entry, TXREQ_GREF);
    offset = <u32>load<u16>(entry, TXREQ_OFFSET);
    flags = <u32>load<u16>(entry, TXREQ_FLAGS);
    id = load<u16>(entry, TXREQ_ID);
    const size = <u32>load<u16>(entry, TXREQ_SIZE);
    at++;
    if (offset + size > <u32>PAGE_SIZE) {
      fence(nb, FENCE_PAGE_CROSSED);
      return cons;
    }
    if (size == 0 || size >= rest)
      bad = true; // XSA-448, and sizes that add up to more than the packet
    else rest -= size;
    store<u16>(fragOf(frame, slots), <u16>size, G_LEN);
  }
  const first = fragOf(frame, 0);
  if (!bad && <u32>load<u16>(first, G_OFF) + rest > <u32>PAGE_SIZE) {
    fence(nb, FENCE_PAGE_CROSSED);
    return cons;
  }
  store<u16>(first, <u16>rest, G_LEN);
  store<u32>(frame + F_LEN, total);
  store<u32>(frame + F_NFRAGS, slots);
  store<u32>(frame + F_COOKIE2, extras);
  store<u32>(frame + F_COOKIE3, firstFlags);
  if (bad) refuseTx(counters, frame, DROP_BAD_SLOT);
  else if (total < ETH_HLEN) refuseTx(counters, frame, DROP_RUNT);
  else if (slots > <u32>XEN_NETIF_NR_SLOTS_MIN) refuseTx(counters, frame, DROP_TOO_MANY_SLOTS);
  return at;
}

/** After the move: refuses frames whose header could not be read, and settles the offload state of the others. */
export function netbackHeaders(nb: u32, list: u32, frames: u32, nsegs: u32): void {
  const counters = load<u32>(nb + NB_COUNTERS);
  const segs = load<u32>(nb + NB_SEGS);
  for (let i: u32 = 0; i < nsegs; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) == 0) continue;
    const frame = load<u32>(seg, S_TAG);
    if (!load<u32>(frame + F_SETTLED)) refuseTx(counters, frame, DROP_BAD_GRANT);
  }
  let bytes: u64 = 0;
  let good: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    const flags = load<u32>(frame + F_COOKIE3);
    const gso = load<u8>(frame, V_GSO_TYPE) != 0;
    if (flags & NETTXF_csum_blank || gso) {
      const verdict = offloadFromBlank(frame);
      if (verdict != 0) {
        refuseTx(counters, frame, verdict == OFFLOAD_BAD_GSO ? DROP_BAD_GSO : DROP_BAD_CSUM);
        continue;
      }
      if (gso) count(counters, C_IN_GSO, 1);
    } else if (flags & NETTXF_data_validated) {
      store<u8>(frame, VIRTIO_NET_HDR_F_DATA_VALID, V_FLAGS);
    }
    good++;
    bytes += load<u32>(frame + F_LEN);
  }
  count(counters, C_IN_FRAMES, good);
  count(counters, C_IN_BYTES, bytes);
}
