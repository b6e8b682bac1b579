// netfront, transmit: the guest's half, over the same ring code. Its pages are granted once, for good (grefOf), so a
// frame that already lies in them is sent without a copy.
// The back end is no friend either: its indices, ids, offsets and lengths are bounded before use.
import {
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  TXREQ_FLAGS,
  TXREQ_GREF,
  TXREQ_ID,
  TXREQ_OFFSET,
  TXREQ_SIZE,
  TXRSP_ID,
  TXRSP_STATUS,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '../src/abi/netif';
import { NETIF_RING_SIZE } from '../src/abi/ring';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
} from '../src/abi/virtio_net';
import {
  C_OUT_BYTES,
  C_OUT_FRAMES,
  C_OUT_GSO,
  C_OUT_WAITS,
  DROP_FENCED,
  DROP_NO_SG,
  DROP_OVERSIZE,
  DROP_PEER_ERROR,
  FENCE_BAD_ID,
  FENCE_RING_OVERFLOW,
} from './counters';
import { fragOf, frameLinearize } from './frame';
import {
  F_COOKIE,
  F_HDR_LEN,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_SINCE,
  F_VERDICT,
  G_ADDR,
  PAGE_SIZE,
  V_CSUM_OFFSET,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
  VERDICT_DROP,
} from './layout';
import { count } from './memory';
import { multicastAnswered } from './netfront_multicast';
import { fenceBackend, grefOf } from './netfront_ring';
import {
  BE_CSUM4,
  BE_CSUM6,
  BE_GSO4,
  BE_GSO6,
  BE_SG,
  NF_COUNTERS,
  NF_FEATURES,
  NF_FENCED,
  NF_FREE_IDS,
  NF_POOL,
  NF_RAM,
  NF_RAM_PAGES,
  NF_TX_CONS,
  NF_TX_PUBLISHED,
  NF_TX_REQ,
  NF_TX_RING,
  NF_TX_TABLE,
  NF_WAITING,
  PUSH_CSUM,
  PUSH_DONE,
  PUSH_FULL,
  PUSH_SEGMENT,
  STACK_COUNT,
  TX_BUFFER,
  TX_HEAD,
  TX_LEFT,
} from './netif_layout';
import { offloadCsumFamily } from './offload';
import { rspProd, txEntry } from './ring';
import { stackPop, stackPush } from './stack';

const ETH_HLEN: u32 = 14;
const ID_NONE: u32 = 0xffffffff;

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
      if (!(features & (gso == VIRTIO_NET_HDR_GSO_TCPV4 ? BE_GSO4 : BE_GSO6)))
        return i | (PUSH_SEGMENT << 16);
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
  const inPlace =
    load<u32>(frame + F_HDR_LEN) == 0 &&
    load<u32>(frame + F_NFRAGS) == 1 &&
    owned != 0 &&
    isGranted(nf, data, length);
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
    fenceBackend(nf, FENCE_BAD_ID);
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
  let flags: u32 =
    vflags & VIRTIO_NET_HDR_F_NEEDS_CSUM
      ? NETTXF_csum_blank | NETTXF_data_validated
      : vflags & VIRTIO_NET_HDR_F_DATA_VALID
        ? NETTXF_data_validated
        : 0;
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
    store<u32>(entry, grefOf(nf, at), TXREQ_GREF);
    store<u16>(entry, <u16>offset, TXREQ_OFFSET);
    store<u16>(entry, <u16>(flags | (s + 1 < slots ? NETTXF_more_data : 0)), TXREQ_FLAGS);
    store<u16>(entry, <u16>id, TXREQ_ID);
    store<u16>(entry, <u16>(s == 0 ? length : size), TXREQ_SIZE);
    if (s == 0 && gso != 0) {
      const kind = gso == VIRTIO_NET_HDR_GSO_TCPV4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
      const extra = txEntry(ring, req++);
      store<u64>(
        extra,
        <u64>XEN_NETIF_EXTRA_TYPE_GSO | ((<u64>load<u16>(frame, V_GSO_SIZE)) << 16) | ((<u64>kind) << 32),
      );
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
    fenceBackend(nf, FENCE_RING_OVERFLOW);
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
      fenceBackend(nf, FENCE_BAD_ID);
      break;
    }
    store<u32>(table + (id << 2), 0, TX_HEAD);
    stackPush(load<u32>(nf + NF_FREE_IDS), id + 1);
    const chief = table + ((head - 1) << 2);
    const left = load<u32>(chief, TX_LEFT) - 1;
    store<u32>(chief, left, TX_LEFT);
    if (load<u32>(chief, TX_BUFFER) == 0) {
      multicastAnswered(nf, status); // a request that carried no frame
      continue;
    }
    if (status != NETIF_RSP_OKAY && id + 1 == head) count(counters, DROP_PEER_ERROR, 1);
    if (left == 0) stackPush(load<u32>(nf + NF_POOL), load<u32>(chief, TX_BUFFER));
  }
  store<u32>(nf + NF_TX_CONS, cons);
  return taken;
}
