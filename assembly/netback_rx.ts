// The receive half of netback: frames go into pages that the guest posted. A frame is laid out over RX
// requests as copy segments (netbackPush), a transfer moves them, netbackCommit makes the responses, each for
// the slot of its own request (netfront ignores the id), netbackPublishRx (netback_show) shows them.
import {
  NETIF_RSP_ERROR,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  RXREQ_GREF,
  RXREQ_ID,
  RXRSP_STATUS,
  XEN_NETIF_EXTRA_TYPE_GSO,
} from '../src/abi/netif';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
} from '../src/abi/virtio_net';
import { cacheBegin, cacheBound, cachedPage, cacheEndRx, cacheMayMap, cacheMisses } from './cache';
import { CT_ALGORITHM, CT_HEADROOM, CT_MCAST_ON } from './control_layout';
import {
  C_COPIED_BYTES,
  C_COPIES,
  C_OUT_BYTES,
  C_OUT_FRAMES,
  C_OUT_GSO,
  DROP_BAD_GRANT,
  DROP_FENCED,
  DROP_MULTICAST,
  DROP_NO_SG,
} from './counters';
import { fragOf } from './frame';
import {
  F_COOKIE,
  F_HDR_LEN,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_VERDICT,
  G_ADDR,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_OFF,
  S_SOURCE_REFUSED,
  S_SRC_ADDR,
  S_STATUS,
  S_TAG,
  V_FLAGS,
  V_GSO_TYPE,
  VERDICT_DROP,
  VERDICT_GROUP,
} from './layout';
import { copyBytes, count } from './memory';
import { multicastAllows } from './multicast';
import { extraInfos, metaOf } from './netback_extras';
import { available, dropGroups, dropRx, netbackWait, unstall } from './netback_room';
import { rxAnswer } from './netback_show';
import {
  FE_CSUM4,
  FE_CSUM6,
  FE_GSO4,
  FE_GSO6,
  FE_SG,
  META_EXTRA,
  META_FRAME,
  META_HEAD,
  META_HEAD_FAILED,
  META_HEAD_LOST,
  META_KIND,
  META_REST,
  NB_CACHE,
  NB_CONTROL,
  NB_COUNTERS,
  NB_DOMID,
  NB_FEATURES,
  NB_FENCED,
  NB_FULL_SINCE,
  NB_RX_CONS,
  NB_RX_RING,
  NB_RX_RSP,
  NB_SEGS,
  NB_SEGS_MAX,
  NB_STALLED,
  PUSH_CSUM,
  PUSH_DONE,
  PUSH_FLUSH,
  PUSH_FULL,
  PUSH_SEGMENT,
  SEGS_PER_FRAME,
} from './netif_layout';
import { offloadCsumFamily } from './offload';
import { rxEntry } from './ring';
import { segAt, segFinish, segSource, segTarget } from './segment_list';
import { hashFrame } from './toeplitz';

/** Segments prepared and not yet moved, of this thread. */
let prepared: u32 = 0;
/** Laid out frames whose responses are not written yet. */
let uncommitted: u32 = 0;
/** Copies made in place since the last commit. */
let copied: u32 = 0;
let copiedBytes: u64 = 0;

export function netbackPrepared(): u32 {
  return prepared;
}

/** Frames laid out since the last commit. */
export function netbackUncommitted(): u32 {
  return uncommitted;
}

/**
 * Lays out list[from … n) over posted requests until something stops it. Frames laid out are settled, and so
 * are dropped ones; group frames never wait. Returns the index of the first frame not handled in the low half
 * and PUSH_* in the high half. `now`: a wrapping clock in ms, never 0.
 */
export function netbackPush(nb: u32, list: u32, from: u32, n: u32, now: u32): u32 {
  const cache = load<u32>(nb + NB_CACHE);
  if (cache == 0) return pushList(nb, list, from, n, now);
  cacheBegin(cache);
  const result = pushList(nb, list, from, n, now);
  cacheEndRx(cache);
  return result;
}

function pushList(nb: u32, list: u32, from: u32, n: u32, now: u32): u32 {
  const counters = load<u32>(nb + NB_COUNTERS);
  const features = load<u32>(nb + NB_FEATURES);
  const segsMax = load<u32>(nb + NB_SEGS_MAX);
  const control = load<u32>(nb + NB_CONTROL);
  const filters = atomic.load<u32>(control + CT_MCAST_ON) != 0;
  const hashes = load<u32>(control + CT_ALGORITHM) != 0;
  const headroom = atomic.load<u32>(control + CT_HEADROOM);
  const room: u32 = PAGE_SIZE - headroom;
  const cache = load<u32>(nb + NB_CACHE);
  const mayMap: i32 = cache == 0 ? 1 : cacheMayMap(cache);
  let free = available(nb);
  if (load<u32>(nb + NB_STALLED) || load<u32>(nb + NB_FULL_SINCE)) unstall(nb, free, now);
  for (let i = from; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) >= <u32>VERDICT_DROP) continue; // refused since it was dispatched
    if (load<u32>(nb + NB_FENCED)) {
      dropRx(counters, frame, DROP_FENCED);
      continue;
    }
    if (filters && !multicastAllows(control, frame)) {
      dropRx(counters, frame, DROP_MULTICAST);
      continue;
    }
    const gso = <u32>load<u8>(frame, V_GSO_TYPE);
    if (gso != 0) {
      const wanted = gso == VIRTIO_NET_HDR_GSO_TCPV4 ? FE_GSO4 : FE_GSO6;
      // Who wants headroom runs XDP, which Linux netfront does on frames of one slot; it drops the others.
      const several = headroom != 0 && load<u32>(frame + F_LEN) > room;
      // Family 0: behind VLAN tags, where Linux netfront does not look for a blank checksum.
      if (!(features & wanted) || !(features & FE_SG) || several || offloadCsumFamily(frame) == 0)
        return i | (PUSH_SEGMENT << 16);
    } else if (load<u8>(frame, V_FLAGS) & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
      const family = offloadCsumFamily(frame); // 0: not a checksum that NETRXF_csum_blank can describe
      const able = (family == 4 && features & FE_CSUM4) || (family == 6 && features & FE_CSUM6);
      if (!able) return i | (PUSH_CSUM << 16);
    }
    const length = load<u32>(frame + F_LEN);
    const pages = headroom == 0 ? (length + PAGE_SIZE - 1) / PAGE_SIZE : (length + room - 1) / room;
    if (pages > 1 && !(features & FE_SG)) {
      dropRx(counters, frame, DROP_NO_SG);
      continue;
    }
    const hash: u32 = hashes ? hashFrame(control, frame) : 0;
    const need = pages + (gso != 0 ? 1 : 0) + (hash != 0 ? 1 : 0) + (headroom != 0 ? 1 : 0);
    if (need > free) free = available(nb);
    // Each mapping is a system call: who posts another page each time gets them by turns with the others. A group frame
    // would be lost by that, and is copied by grant where a page is not mapped.
    const spent = cache != 0 && <i32>cacheMisses() >= mayMap;
    const group = load<u32>(frame + F_VERDICT) == <u32>VERDICT_GROUP;
    if (need > free || (spent && !group)) {
      if (load<u32>(nb + NB_FENCED)) {
        dropRx(counters, frame, DROP_FENCED);
        continue;
      }
      if (netbackWait(nb, frame, need, now)) continue;
      dropGroups(counters, list, i + 1, n);
      return i | (PUSH_FULL << 16);
    }
    if (prepared + SEGS_PER_FRAME > segsMax) return i | (PUSH_FLUSH << 16);
    if (cache != 0) cacheBound(group ? mayMap : i32.MAX_VALUE);
    layOut(nb, frame, gso, hash, headroom);
    uncommitted++;
    free -= need;
    store<u32>(frame + F_SETTLED, 1);
  }
  return n | (PUSH_DONE << 16);
}

/** Takes as many requests as the frame needs (there are as many) and prepares segments and responses of one frame. */
function layOut(nb: u32, frame: u32, gso: u32, hash: u32, headroom: u32): void {
  const ring = load<u32>(nb + NB_RX_RING);
  const domid = load<u32>(nb + NB_DOMID);
  const cache = load<u32>(nb + NB_CACHE);
  const head = load<u32>(nb + NB_RX_CONS);
  let segs = segAt(load<u32>(nb + NB_SEGS), prepared);
  const first = segs;
  let slot = head;
  let entry = rxEntry(ring, slot);
  let id = load<u16>(entry, RXREQ_ID);
  let gref = load<u32>(entry, RXREQ_GREF);
  let filled = headroom; // of the page, as far as it is taken

  const vflags = <u32>load<u8>(frame, V_FLAGS);
  let flags: u32 =
    vflags & VIRTIO_NET_HDR_F_NEEDS_CSUM
      ? NETRXF_csum_blank | NETRXF_data_validated
      : vflags & VIRTIO_NET_HDR_F_DATA_VALID
        ? NETRXF_data_validated
        : 0;
  const extras = (gso | hash | headroom) != 0;
  if (extras) flags |= NETRXF_extra_info;

  const n = load<u32>(frame + F_NFRAGS);
  let frag: u32 = 0;
  let address = frame + F_HEADER;
  let offset: u32 = 0;
  let sourceGref: u32 = 0;
  let sourceDom: u32 = 0;
  let size = load<u32>(frame + F_HDR_LEN);
  let k: u32 = 0; // next fragment
  while (true) {
    while (size == 0 && k < n) {
      frag = fragOf(frame, k++);
      size = load<u16>(frag, G_LEN);
      address = load<u32>(frag, G_ADDR);
      sourceGref = load<u32>(frag, G_GREF);
      offset = load<u16>(frag, G_OFF);
      sourceDom = load<u16>(frag, G_DOM);
    }
    if (size == 0) break;
    if (filled == PAGE_SIZE) {
      respond(nb, slot, head, id, flags | NETRXF_more_data, headroom, filled);
      flags = 0;
      if (slot == head && extras) slot = extraInfos(nb, slot, frame, gso, hash, headroom);
      slot++;
      entry = rxEntry(ring, slot);
      id = load<u16>(entry, RXREQ_ID);
      gref = load<u32>(entry, RXREQ_GREF);
      filled = headroom;
    }
    const take = min(size, PAGE_SIZE - filled);
    const page = cache == 0 ? 0 : cachedPage(cache, gref, true);
    if (page != 0 && address != 0) {
      copyBytes(page + filled, address, take);
      copied++;
      copiedBytes += take;
    } else {
      // Both ends granted, or a grant that the cache refused: then the transfer says why.
      segSource(segs, address, sourceGref, offset, sourceDom);
      segTarget(segs, page == 0 ? 0 : page + filled, gref, filled, domid);
      segFinish(segs, take, head);
      segs = segAt(segs, 1);
    }
    filled += take;
    size -= take;
    offset += take;
    if (address != 0) address += take;
  }
  respond(nb, slot, head, id, flags, headroom, filled);
  if (slot == head && extras) slot = extraInfos(nb, slot, frame, gso, hash, headroom);
  store<u32>(metaOf(nb, head), frame, META_FRAME);
  store<u32>(nb + NB_RX_CONS, slot + 1);
  prepared += (segs - first) >> 5;
}

/** A response that says that the bytes of its page from `offset` to `end` are a frame's. */
function respond(nb: u32, slot: u32, head: u32, id: u16, flags: u32, offset: u32, end: u32): void {
  // u16 id, u16 offset, u16 flags, s16 status: no octet of the slot keeps what was there (XSA-216).
  const response = <u64>id | ((<u64>offset) << 16) | ((<u64>flags) << 32) | ((<u64>(end - offset)) << 48);
  store<u64>(rxAnswer(nb, slot), response);
  store<u32>(metaOf(nb, slot), slot == head ? META_HEAD : META_REST, META_KIND);
}

/** After the move: the responses of everything laid out since stand; those of frames with a failed segment become errors. */
export function netbackCommit(nb: u32): void {
  const segs = load<u32>(nb + NB_SEGS);
  for (let i: u32 = 0; i < prepared; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) == 0) continue;
    const meta = metaOf(nb, load<u32>(seg, S_TAG));
    if (load<u32>(meta, META_KIND) != META_HEAD) continue; // one segment's failure is the frame's, counted once
    // The receiver's page was at hand and the sender's was not: the sender is answered with an error, and it counts.
    // (A group frame is lost to each receiver by itself.)
    const frame = load<u32>(meta, META_FRAME);
    const bare =
      load<u32>(seg, S_SRC_ADDR) == 0 &&
      (load<u32>(seg, S_DST_ADDR) != 0 || (load<u16>(seg, S_DST_OFF) & S_SOURCE_REFUSED) != 0);
    const lost = bare && load<u32>(frame + F_VERDICT) != VERDICT_GROUP;
    if (lost) store<u32>(frame + F_COOKIE, 1);
    store<u32>(meta, lost ? META_HEAD_LOST : META_HEAD_FAILED, META_KIND);
  }
  prepared = 0;
  uncommitted = 0;
  const counters = load<u32>(nb + NB_COUNTERS);
  const end = load<u32>(nb + NB_RX_CONS);
  let failed = false;
  let frames: u32 = 0;
  let gso: u32 = 0;
  let bytes: u64 = 0;
  for (let slot = load<u32>(nb + NB_RX_RSP); slot != end; slot++) {
    const meta = metaOf(nb, slot);
    const kind = load<u32>(meta, META_KIND);
    const response = load<u64>(rxAnswer(nb, slot));
    if (kind >= <u32>META_HEAD) {
      failed = kind != META_HEAD;
      if (!failed) frames++;
      else if (kind == META_HEAD_FAILED) count(counters, DROP_BAD_GRANT, 1);
    }
    if (kind == META_EXTRA) {
      if (!failed && <u32>(response & 0xff) == XEN_NETIF_EXTRA_TYPE_GSO) gso++;
    } else if (failed) {
      store<u16>(rxAnswer(nb, slot), <u16>NETIF_RSP_ERROR, RXRSP_STATUS);
    } else {
      bytes += response >> 48;
    }
  }
  store<u32>(nb + NB_RX_RSP, end);
  if (copied) {
    count(counters, C_COPIES, copied);
    count(counters, C_COPIED_BYTES, copiedBytes);
    copied = 0;
    copiedBytes = 0;
  }
  count(counters, C_OUT_FRAMES, frames);
  count(counters, C_OUT_BYTES, bytes);
  if (gso) count(counters, C_OUT_GSO, gso);
}
