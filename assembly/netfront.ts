// netfront: the guest's half, over the same ring code. Its pages are granted once, for good: page i of its RAM
// window has the reference NF_GREF + i, so a frame that already lies in the window is sent without a copy.
// The back end is no friend either: its indices, ids, offsets and lengths are bounded before use.
import {
  EXTRA_FLAGS, EXTRA_GSO_SIZE, EXTRA_GSO_TYPE, NETIF_RSP_NULL, NETIF_RSP_OKAY, NETRXF_csum_blank, NETRXF_data_validated,
  NETRXF_extra_info, NETRXF_more_data, NETTXF_csum_blank, NETTXF_data_validated, NETTXF_extra_info, NETTXF_more_data,
  RXREQ_GREF, RXREQ_ID, RXREQ_PAD, RXRSP_FLAGS, RXRSP_OFFSET, RXRSP_STATUS, TXREQ_FLAGS, TXREQ_GREF, TXREQ_ID, TXREQ_OFFSET, TXREQ_SIZE,
  TXRSP_ID, TXRSP_STATUS, XEN_NETIF_EXTRA_FLAG_MORE, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6, XEN_NETIF_MAX_TX_SIZE,
} from '../src/abi/netif';
import { NETIF_RING_SIZE } from '../src/abi/ring';
import {
  VIRTIO_NET_HDR_F_DATA_VALID, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
} from '../src/abi/virtio_net';
import {
  C_IN_BYTES, C_IN_FRAMES, C_IN_GSO, C_NOTIFICATIONS, C_OUT_BYTES, C_OUT_FRAMES, C_OUT_GSO, C_OUT_WAITS, DROP_BAD_CSUM, DROP_BAD_GSO,
  DROP_BAD_SLOT, DROP_FENCED, DROP_NO_SG, DROP_OVERSIZE, DROP_PEER_ERROR, DROP_RUNT, FENCE_BAD_ID,
  FENCE_MISSING_SLOT, FENCE_RING_OVERFLOW,
} from './counters';
import { fragOf, frameClear, frameLinearize } from './frame';
import {
  F_COOKIE, F_HDR_LEN, F_HEADER, F_LEN, F_NFRAGS, F_SETTLED, F_SINCE, F_VERDICT, FRAGS_MAX, G_ADDR, G_GREF, G_LEN, PAGE_SIZE, V_CSUM_OFFSET,
  V_FLAGS, V_GSO_SIZE, V_GSO_TYPE, VERDICT_DROP,
} from './layout';
import { copyBytes, count } from './memory';
import {
  BE_CSUM4, BE_CSUM6, BE_GSO4, BE_GSO6, BE_SG, NF_COUNTERS, NF_FEATURES, NF_FENCED, NF_FREE_IDS, NF_GREF, NF_PAGES, NF_POOL, NF_PORT, NF_RAM,
  NF_RAM_PAGES, NF_RX_CONS, NF_RX_PUBLISHED, NF_RX_REQ, NF_RX_RING, NF_RX_TABLE, NF_RX_TARGET, NF_TX_CONS, NF_TX_PUBLISHED,
  NF_TX_REQ, NF_TX_RING, NF_TX_TABLE, NF_WAITING, PUSH_CSUM, PUSH_DONE, PUSH_FULL, PUSH_SEGMENT, STACK_COUNT, TX_BUFFER, TX_HEAD,
  TX_LEFT,
} from './netif_layout';
import { offloadCsumFamily, offloadFromBlank } from './offload';
import { armResponses, pushRequests, RING_MASK, rspProd, rxEntry, txEntry } from './ring';
import { stackPop, stackPush } from './stack';

const ETH_HLEN: u32 = 14;
const ID_NONE: u32 = 0xffffffff;

// @ts-ignore: decorator
@inline
function fence(nf: u32, why: u32): void {
  store<u32>(nf + NF_FENCED, why);
}

// @ts-ignore: decorator
@inline
function isGranted(nf: u32, address: u32, length: u32): bool {
  const ram = load<u32>(nf + NF_RAM);
  return address >= ram && address + length <= ram + load<u32>(nf + NF_RAM_PAGES) * PAGE_SIZE;
}

/** Sends list[from … n): index of the first frame not handled, and PUSH_* in the high half (as netbackPush). */
export function netfrontPush(nf: u32, list: u32, from: u32, n: u32, now: u32): u32 {
  const counters = load<u32>(nf + NF_COUNTERS);
  netfrontReap(nf);
  for (let i = from; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) >= <u32>VERDICT_DROP) continue;
    const length = load<u32>(frame + F_LEN);
    const features = load<u32>(nf + NF_FEATURES);
    if (load<u32>(nf + NF_FENCED)) {
      refuse(counters, frame, DROP_FENCED);
      continue;
    }
    if (length > 0xffff) {
      refuse(counters, frame, DROP_OVERSIZE);
      continue;
    }
    const gso = <u32>load<u8>(frame, V_GSO_TYPE);
    if (gso != 0) {
      if (!(features & (gso == VIRTIO_NET_HDR_GSO_TCPV4 ? BE_GSO4 : BE_GSO6))) return i | (PUSH_SEGMENT << 16);
    } else if (load<u8>(frame, V_FLAGS) & VIRTIO_NET_HDR_F_NEEDS_CSUM && !canBlank(frame, features)) {
      return i | (PUSH_CSUM << 16);
    }
    if (!sendFrame(nf, frame, length, gso)) {
      if (load<u32>(frame + F_SETTLED)) continue;
      if (load<u32>(frame + F_SINCE) == 0) {
        store<u32>(frame + F_SINCE, now);
        count(counters, C_OUT_WAITS, 1);
      }
      store<u32>(nf + NF_WAITING, 1);
      return i | (PUSH_FULL << 16);
    }
    store<u32>(frame + F_SETTLED, 1);
    count(counters, C_OUT_FRAMES, 1);
    count(counters, C_OUT_BYTES, length);
    if (gso) count(counters, C_OUT_GSO, 1);
  }
  store<u32>(nf + NF_WAITING, 0);
  return n | (PUSH_DONE << 16);
}

function refuse(counters: u32, frame: u32, reason: u32): void {
  count(counters, reason, 1);
  store<u32>(frame + F_SETTLED, 1);
}

/**
 * NETTXF_csum_blank can say "TCP or UDP". The header bytes may be in a fragment here (a guest's tap reads the
 * whole frame into granted pages), so only csum_offset tells; the back end checks against the headers.
 */
function canBlank(frame: u32, features: u32): bool {
  const offset = load<u16>(frame, V_CSUM_OFFSET);
  if (offset != 16 && offset != 6) return false;
  if (load<u32>(frame + F_HDR_LEN) >= ETH_HLEN) {
    const family = offloadCsumFamily(frame);
    return family != 0 && (features & (family == 6 ? BE_CSUM6 : BE_CSUM4)) != 0;
  }
  return (features & (BE_CSUM4 | BE_CSUM6)) == (BE_CSUM4 | BE_CSUM6);
}

/** Writes one frame's requests. False when there is no room (frame pending) or it cannot be sent (settled). */
function sendFrame(nf: u32, frame: u32, length: u32, gso: u32): bool {
  const counters = load<u32>(nf + NF_COUNTERS);
  // Zero copy when everything lies in granted pages, in one run (a tap's buffer).
  const frag = fragOf(frame, 0);
  let data = load<u32>(frag, G_ADDR);
  let owned = load<u32>(frame + F_COOKIE);
  const inPlace = load<u32>(frame + F_HDR_LEN) == 0 && load<u32>(frame + F_NFRAGS) == 1 && owned != 0 && isGranted(nf, data, length);
  const pages = ((data & (PAGE_SIZE - 1)) + length + PAGE_SIZE - 1) / PAGE_SIZE;
  const slots = inPlace ? pages : (length + PAGE_SIZE - 1) / PAGE_SIZE;
  if (slots > 1 && !(load<u32>(nf + NF_FEATURES) & BE_SG)) {
    refuse(counters, frame, DROP_NO_SG);
    return false;
  }
  const need = slots + (gso != 0 ? 1 : 0);
  const req = load<u32>(nf + NF_TX_REQ);
  if (<u32>NETIF_RING_SIZE - (req - load<u32>(nf + NF_TX_CONS)) < need) return false;
  if (load<u32>(load<u32>(nf + NF_FREE_IDS), STACK_COUNT) < slots) {
    // There is room in the ring but not in the table: requests were answered as if they were extra infos.
    fence(nf, FENCE_BAD_ID);
    refuse(counters, frame, DROP_FENCED);
    return false;
  }
  if (inPlace) {
    store<u32>(frame + F_COOKIE, 0); // the buffer is ours until its last response
  } else {
    owned = stackPop(load<u32>(nf + NF_POOL));
    if (owned == 0) return false;
    data = owned;
    frameLinearize(frame, data);
  }
  writeRequests(nf, frame, data, length, slots, gso, owned);
  return true;
}

function writeRequests(nf: u32, frame: u32, data: u32, length: u32, slots: u32, gso: u32, buffer: u32): void {
  const ring = load<u32>(nf + NF_TX_RING);
  const table = load<u32>(nf + NF_TX_TABLE);
  const ids = load<u32>(nf + NF_FREE_IDS);
  const vflags = <u32>load<u8>(frame, V_FLAGS);
  let flags: u32 = vflags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? NETTXF_csum_blank | NETTXF_data_validated
    : vflags & VIRTIO_NET_HDR_F_DATA_VALID ? NETTXF_data_validated : 0;
  if (gso != 0) flags |= NETTXF_extra_info;
  let req = load<u32>(nf + NF_TX_REQ);
  let head = ID_NONE;
  let at = data;
  let left = length;
  for (let s: u32 = 0; s < slots; s++) {
    const offset = at & (PAGE_SIZE - 1);
    const size = min(left, PAGE_SIZE - offset);
    const id = stackPop(ids) - 1;
    if (head == ID_NONE) {
      head = id;
      store<u32>(table + (id << 2), slots, TX_LEFT);
      store<u32>(table + (id << 2), buffer, TX_BUFFER);
    }
    store<u32>(table + (id << 2), head + 1, TX_HEAD);
    const entry = txEntry(ring, req++);
    store<u32>(entry, load<u32>(nf + NF_GREF) + (at - load<u32>(nf + NF_RAM)) / PAGE_SIZE, TXREQ_GREF);
    store<u16>(entry, <u16>offset, TXREQ_OFFSET);
    store<u16>(entry, <u16>(flags | (s + 1 < slots ? NETTXF_more_data : 0)), TXREQ_FLAGS);
    store<u16>(entry, <u16>id, TXREQ_ID);
    store<u16>(entry, <u16>(s == 0 ? length : size), TXREQ_SIZE);
    if (s == 0 && gso != 0) {
      const kind = gso == VIRTIO_NET_HDR_GSO_TCPV4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
      const extra = txEntry(ring, req++);
      store<u64>(extra, <u64>XEN_NETIF_EXTRA_TYPE_GSO | (<u64>load<u16>(frame, V_GSO_SIZE) << 16) | (<u64>kind << 32));
      store<u32>(extra, 0, 8);
    }
    flags = 0;
    at += size;
    left -= size;
  }
  store<u32>(nf + NF_TX_REQ, req);
}

/** Takes TX responses: buffers whose last slot is answered go back to the pool. Returns responses taken. */
export function netfrontReap(nf: u32): u32 {
  if (load<u32>(nf + NF_FENCED)) return 0;
  const ring = load<u32>(nf + NF_TX_RING);
  const prod = rspProd(ring);
  let cons = load<u32>(nf + NF_TX_CONS);
  const taken = prod - cons;
  if (taken == 0) return 0;
  if (taken > load<u32>(nf + NF_TX_PUBLISHED) - cons) {
    fence(nf, FENCE_RING_OVERFLOW);
    return 0;
  }
  const table = load<u32>(nf + NF_TX_TABLE);
  const counters = load<u32>(nf + NF_COUNTERS);
  for (; cons != prod; cons++) {
    const entry = txEntry(ring, cons);
    const status = load<i16>(entry, TXRSP_STATUS);
    if (status == NETIF_RSP_NULL) continue;
    const id = <u32>load<u16>(entry, TXRSP_ID);
    const head = id < <u32>NETIF_RING_SIZE ? load<u32>(table + (id << 2), TX_HEAD) : 0;
    if (head == 0) {
      fence(nf, FENCE_BAD_ID);
      break;
    }
    store<u32>(table + (id << 2), 0, TX_HEAD);
    stackPush(load<u32>(nf + NF_FREE_IDS), id + 1);
    const chief = table + ((head - 1) << 2);
    const left = load<u32>(chief, TX_LEFT) - 1;
    store<u32>(chief, left, TX_LEFT);
    if (status != NETIF_RSP_OKAY && id + 1 == head) count(counters, DROP_PEER_ERROR, 1);
    if (left == 0) stackPush(load<u32>(nf + NF_POOL), load<u32>(chief, TX_BUFFER));
  }
  store<u32>(nf + NF_TX_CONS, cons);
  return taken;
}

/** Reads received frames into list[0 … max). Returns how many. Their fragments are the granted pages themselves. */
export function netfrontPull(nf: u32, list: u32, max: u32): u32 {
  if (load<u32>(nf + NF_FENCED)) return 0;
  const ring = load<u32>(nf + NF_RX_RING);
  const prod = rspProd(ring);
  let cons = load<u32>(nf + NF_RX_CONS);
  if (prod == cons) return 0;
  if (prod - cons > load<u32>(nf + NF_RX_PUBLISHED) - cons) {
    fence(nf, FENCE_RING_OVERFLOW);
    return 0;
  }
  let frames: u32 = 0;
  while (frames < max && cons != prod) {
    const frame = load<u32>(list + (frames << 2));
    frameClear(frame, load<u32>(nf + NF_PORT));
    cons = readResponses(nf, ring, frame, cons, prod);
    if (load<u32>(nf + NF_FENCED)) break;
    frames++;
  }
  store<u32>(nf + NF_RX_CONS, cons);
  return frames;
}

/** One frame's responses from `cons` on; returns the index behind them. The frame is settled when it is bad. */
function readResponses(nf: u32, ring: u32, frame: u32, cons: u32, prod: u32): u32 {
  const counters = load<u32>(nf + NF_COUNTERS);
  const table = load<u32>(nf + NF_RX_TABLE);
  let flags: u32 = 0;
  let first = true;
  let length: u32 = 0;
  let n: u32 = 0;
  let bad: u32 = 0;
  while (true) {
    if (cons == prod) {
      fence(nf, FENCE_MISSING_SLOT);
      return cons;
    }
    const response = load<u64>(rxEntry(ring, cons));
    const page = load<u32>(table + ((cons & RING_MASK) << 2));
    cons++;
    const offset = <u32>(response >> (RXRSP_OFFSET * 8)) & 0xffff;
    const slotFlags = <u32>(response >> (RXRSP_FLAGS * 8)) & 0xffff;
    const status = <i32>(<i16>(response >> (RXRSP_STATUS * 8)));
    if (n < <u32>FRAGS_MAX) {
      const frag = fragOf(frame, n++);
      const usable = status > 0 && offset + <u32>status <= <u32>PAGE_SIZE;
      store<u32>(frag, page + (usable ? offset : 0), G_ADDR);
      store<u32>(frag, page, G_GREF); // what goes back to the stack, wherever G_ADDR moves meanwhile
      store<u16>(frag, <u16>(usable ? status : 0), G_LEN);
      if (usable) length += <u32>status;
      else bad = status < 0 ? DROP_PEER_ERROR : DROP_BAD_SLOT;
    } else {
      bad = DROP_OVERSIZE;
      stackPush(load<u32>(nf + NF_PAGES), page);
    }
    if (first) {
      flags = slotFlags;
      first = false;
      let more = (slotFlags & NETRXF_extra_info) != 0;
      while (more) {
        if (cons == prod) {
          fence(nf, FENCE_MISSING_SLOT);
          return cons;
        }
        const extra = load<u64>(rxEntry(ring, cons));
        stackPush(load<u32>(nf + NF_PAGES), load<u32>(table + ((cons & RING_MASK) << 2)));
        cons++;
        if ((<u32>extra & 0xff) == XEN_NETIF_EXTRA_TYPE_GSO) {
          const kind = <u32>(extra >> (EXTRA_GSO_TYPE * 8)) & 0xff;
          store<u16>(frame, <u16>(extra >> (EXTRA_GSO_SIZE * 8)), V_GSO_SIZE);
          store<u8>(frame, <u8>(kind == XEN_NETIF_GSO_TYPE_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6), V_GSO_TYPE);
        }
        more = ((<u32>(extra >> (EXTRA_FLAGS * 8))) & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
      }
    }
    if (!(slotFlags & NETRXF_more_data)) break;
  }
  store<u32>(frame + F_LEN, length);
  store<u32>(frame + F_NFRAGS, n);
  if (bad == 0 && length < ETH_HLEN) bad = DROP_RUNT;
  if (bad == 0 && length > <u32>XEN_NETIF_MAX_TX_SIZE) bad = DROP_OVERSIZE; // more than any receiver's buffer
  if (bad == 0) bad = settleOffloads(frame, flags);
  if (bad != 0) {
    count(counters, bad, 1);
    store<u32>(frame + F_SETTLED, 1);
    return cons;
  }
  count(counters, C_IN_FRAMES, 1);
  count(counters, C_IN_BYTES, length);
  if (load<u8>(frame, V_GSO_TYPE) != 0) count(counters, C_IN_GSO, 1);
  return cons;
}

/** NETRXF_* into virtio_net_hdr. The headers are read from a private copy of the first bytes. */
function settleOffloads(frame: u32, flags: u32): u32 {
  const gso = load<u8>(frame, V_GSO_TYPE) != 0;
  if (!(flags & NETRXF_csum_blank) && !gso) {
    if (flags & NETRXF_data_validated) store<u8>(frame, VIRTIO_NET_HDR_F_DATA_VALID, V_FLAGS);
    return 0;
  }
  takeHeader(frame, 128);
  if (offloadFromBlank(frame) == 0) return 0;
  return gso ? DROP_BAD_GSO : DROP_BAD_CSUM;
}

/** Moves the first bytes of a frame from its fragments into the descriptor's header. */
function takeHeader(frame: u32, want: u32): void {
  const n = load<u32>(frame + F_NFRAGS);
  let done: u32 = 0;
  for (let i: u32 = 0; i < n && done < want; i++) {
    const frag = fragOf(frame, i);
    const length = <u32>load<u16>(frag, G_LEN);
    const take = min(length, want - done);
    copyBytes(frame + F_HEADER + done, load<u32>(frag, G_ADDR), take);
    store<u32>(frag, load<u32>(frag, G_ADDR) + take, G_ADDR);
    store<u16>(frag, <u16>(length - take), G_LEN);
    done += take;
  }
  store<u32>(frame + F_HDR_LEN, done);
}

/** The pages of settled frames go back to the stack; waiting frames move to the front. Returns how many wait. */
export function netfrontRelease(nf: u32, list: u32, n: u32, scratch: u32): u32 {
  const pages = load<u32>(nf + NF_PAGES);
  let kept: u32 = 0;
  let freed: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (!load<u32>(frame + F_SETTLED)) {
      store<u32>(list + (kept++ << 2), frame);
      continue;
    }
    store<u32>(scratch + (freed++ << 2), frame);
    const frags = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < frags; k++) stackPush(pages, load<u32>(fragOf(frame, k), G_GREF));
  }
  for (let i: u32 = 0; i < freed; i++) store<u32>(list + ((kept + i) << 2), load<u32>(scratch + (i << 2)));
  return kept;
}

/** Posts free pages as RX requests, id = slot number. */
export function netfrontPost(nf: u32): void {
  if (load<u32>(nf + NF_FENCED)) return;
  const ring = load<u32>(nf + NF_RX_RING);
  const table = load<u32>(nf + NF_RX_TABLE);
  const pages = load<u32>(nf + NF_PAGES);
  const target = load<u32>(nf + NF_RX_TARGET);
  const cons = load<u32>(nf + NF_RX_CONS);
  let req = load<u32>(nf + NF_RX_REQ);
  while (req - cons < target) {
    const page = stackPop(pages);
    if (page == 0) break;
    store<u32>(table + ((req & RING_MASK) << 2), page);
    const entry = rxEntry(ring, req);
    store<u16>(entry, <u16>(req & RING_MASK), RXREQ_ID);
    store<u16>(entry, 0, RXREQ_PAD);
    store<u32>(entry, load<u32>(nf + NF_GREF) + (page - load<u32>(nf + NF_RAM)) / PAGE_SIZE, RXREQ_GREF);
    req++;
  }
  store<u32>(nf + NF_RX_REQ, req);
}

/** Shows the back end new requests: bit 0 = wake it for TX, bit 1 = for RX. */
export function netfrontPublish(nf: u32): u32 {
  if (load<u32>(nf + NF_FENCED)) return 0;
  let wake: u32 = 0;
  const tx = load<u32>(nf + NF_TX_REQ);
  const txShown = load<u32>(nf + NF_TX_PUBLISHED);
  if (tx != txShown) {
    store<u32>(nf + NF_TX_PUBLISHED, tx);
    if (pushRequests(load<u32>(nf + NF_TX_RING), txShown, tx)) wake |= 1;
  }
  const rx = load<u32>(nf + NF_RX_REQ);
  const rxShown = load<u32>(nf + NF_RX_PUBLISHED);
  if (rx != rxShown) {
    store<u32>(nf + NF_RX_PUBLISHED, rx);
    if (pushRequests(load<u32>(nf + NF_RX_RING), rxShown, rx)) wake |= 2;
  }
  if (wake) count(load<u32>(nf + NF_COUNTERS), C_NOTIFICATIONS, wake == 3 ? 2 : 1);
  return wake;
}

/** Before sleeping: asks for events at the next received frame and, when a frame waits or buffers run out, at TX responses. */
export function netfrontArm(nf: u32): bool {
  if (load<u32>(nf + NF_FENCED)) return false;
  if (armResponses(load<u32>(nf + NF_RX_RING), load<u32>(nf + NF_RX_CONS))) return true;
  const low = load<u32>(load<u32>(nf + NF_POOL), STACK_COUNT) == 0;
  if (!load<u32>(nf + NF_WAITING) && !low) return false;
  return armResponses(load<u32>(nf + NF_TX_RING), load<u32>(nf + NF_TX_CONS));
}
