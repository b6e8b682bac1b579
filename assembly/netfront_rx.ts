// netfront, receive: responses of the back end become frames whose fragments are the granted pages themselves.
import {
  EXTRA_FLAGS,
  EXTRA_GSO_SIZE,
  EXTRA_GSO_TYPE,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  RXREQ_GREF,
  RXREQ_ID,
  RXREQ_PAD,
  RXRSP_FLAGS,
  RXRSP_OFFSET,
  RXRSP_STATUS,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_MAX_TX_SIZE,
} from '../src/abi/netif';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../src/abi/virtio_net';
import {
  C_HASHED,
  C_IN_BYTES,
  C_IN_FRAMES,
  C_IN_GSO,
  DROP_BAD_CSUM,
  DROP_BAD_GSO,
  DROP_BAD_SLOT,
  DROP_OVERSIZE,
  DROP_PEER_ERROR,
  DROP_RUNT,
  FENCE_MISSING_SLOT,
  FENCE_RING_OVERFLOW,
} from './counters';
import { fragOf, frameClear } from './frame';
import {
  F_HDR_LEN,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  FRAGS_MAX,
  G_ADDR,
  G_GREF,
  G_LEN,
  PAGE_SIZE,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
} from './layout';
import { copyBytes, count } from './memory';
import { fenceBackend, grefOf } from './netfront_ring';
import {
  NF_COUNTERS,
  NF_FENCED,
  NF_PAGES,
  NF_PORT,
  NF_RAM,
  NF_RX_CONS,
  NF_RX_PUBLISHED,
  NF_RX_REQ,
  NF_RX_RING,
  NF_RX_TABLE,
  NF_RX_TARGET,
} from './netif_layout';
import { offloadFromBlank } from './offload';
import { RING_MASK, rspProd, rxEntry } from './ring';
import { stackPop, stackPush } from './stack';

const ETH_HLEN: u32 = 14;

/** Reads received frames into list[0 … max). Returns how many. Their fragments are the granted pages themselves. */
export function netfrontPull(nf: u32, list: u32, max: u32): u32 {
  if (load<u32>(nf + NF_FENCED)) return 0;
  const ring = load<u32>(nf + NF_RX_RING);
  const prod = rspProd(ring);
  let cons = load<u32>(nf + NF_RX_CONS);
  if (prod == cons) return 0;
  if (prod - cons > load<u32>(nf + NF_RX_PUBLISHED) - cons) {
    fenceBackend(nf, FENCE_RING_OVERFLOW);
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
      fenceBackend(nf, FENCE_MISSING_SLOT);
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
          fenceBackend(nf, FENCE_MISSING_SLOT);
          return cons;
        }
        const extra = load<u64>(rxEntry(ring, cons));
        // Its page has nothing in it, and keeps its place among the frame's, so that neighbours are posted as neighbours again.
        const spare = load<u32>(table + ((cons & RING_MASK) << 2));
        if (n < <u32>FRAGS_MAX) empty(fragOf(frame, n++), spare);
        else stackPush(load<u32>(nf + NF_PAGES), spare);
        cons++;
        if ((<u32>extra & 0xff) == XEN_NETIF_EXTRA_TYPE_GSO) {
          const kind = <u32>(extra >> (EXTRA_GSO_TYPE * 8)) & 0xff;
          store<u16>(frame, <u16>(extra >> (EXTRA_GSO_SIZE * 8)), V_GSO_SIZE);
          store<u8>(
            frame,
            <u8>(kind == XEN_NETIF_GSO_TYPE_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6),
            V_GSO_TYPE,
          );
        } else if ((<u32>extra & 0xff) == XEN_NETIF_EXTRA_TYPE_HASH) {
          count(counters, C_HASHED, 1); // a tap has no place for the value
        }
        more = (<u32>(extra >> (EXTRA_FLAGS * 8)) & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
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

function empty(frag: u32, page: u32): void {
  store<u32>(frag, page, G_ADDR);
  store<u32>(frag, page, G_GREF);
  store<u16>(frag, 0, G_LEN);
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

/**
 * The pages of settled frames go back to the stack, the last one first: they are posted again in the order they had, and pages
 * side by side stay so (one iovec for the tap). Waiting frames move to the front. Returns how many wait.
 */
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
  }
  for (let i = freed; i-- > 0; ) {
    const frame = load<u32>(scratch + (i << 2));
    store<u32>(list + ((kept + i) << 2), frame);
    for (let k = load<u32>(frame + F_NFRAGS); k-- > 0; ) {
      const page = load<u32>(fragOf(frame, k), G_GREF);
      if (page != 0) stackPush(pages, page); // 0: netfrontCopyOut gave it back
    }
  }
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
    store<u32>(entry, grefOf(nf, page), RXREQ_GREF);
    req++;
  }
  store<u32>(nf + NF_RX_REQ, req);
}
