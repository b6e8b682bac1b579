// Checksum and segmentation state on its way between netif's flags, virtio_net_hdr and software.
//
// netif says "the checksum is blank" and leaves the back end to find it; virtio_net_hdr says where it is.
// A descriptor carries the second form. Whatever a peer claimed is checked here once against the headers,
// so that no consumer need doubt it: a tap, a guest, the software fallback below, or segment.ts.

import { ETH_HLEN, ETH_ZLEN, VLAN_HLEN } from '../src/abi/if_ether';
import { IPPROTO_TCP, TCPHDR_CHECK, UDPHDR_CHECK } from '../src/abi/inet';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../src/abi/virtio_net';
import { csumBlockAdd, csumFold, csumFold16, csumPartial, csumPseudo4, csumPseudo6 } from './checksum';
import {
  family,
  headerBytes,
  l3,
  l3End,
  l3HeaderEnd,
  l4,
  parseHeaders,
  payload,
  proto,
  vlanTags,
} from './headers';
import {
  F_FRAGS,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  FRAG_SIZE,
  FRAGS_MAX,
  G_ADDR,
  G_LEN,
  V_CSUM_OFFSET,
  V_CSUM_START,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
  V_HDR_LEN,
  V_NUM_BUFFERS,
} from './layout';
import {
  OFFLOAD_BAD_CSUM,
  OFFLOAD_BAD_GSO,
  OFFLOAD_MALFORMED,
  OFFLOAD_UNREADABLE,
  SEGMENTS_MAX,
} from './offload_layout';

export {
  OFFLOAD_BAD_CSUM,
  OFFLOAD_BAD_GSO,
  OFFLOAD_MALFORMED,
  OFFLOAD_NO_L4,
  OFFLOAD_RUNT,
  OFFLOAD_TOO_MANY,
  OFFLOAD_UNREADABLE,
} from './offload_layout';

function checkOffset(): u32 {
  return proto == IPPROTO_TCP ? TCPHDR_CHECK : UDPHDR_CHECK;
}

/** Pseudo-header sum of the parsed frame for `length` bytes of layer 4, as a blank checksum field holds it. */
export function pseudoSum(header: u32, length: u32): u16 {
  const ip = header + l3;
  return csumFold16(family == 4 ? csumPseudo4(ip, length, proto) : csumPseudo6(ip, length, proto));
}

/** Segmentation kind, VIRTIO_NET_HDR_GSO_* without the ECN bit; 0 = an ordinary frame. */
export function offloadGsoKind(frame: u32): u32 {
  return u32(load<u8>(frame, V_GSO_TYPE)) & ~VIRTIO_NET_HDR_GSO_ECN;
}

/** Whether the GSO request fits the headers just parsed: TCP, the right family, no padding, a sane size. */
export function gsoAgrees(frame: u32): bool {
  const kind = family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  const size: u32 = load<u16>(frame, V_GSO_SIZE);
  const len = load<u32>(frame, F_LEN);
  return (
    proto == IPPROTO_TCP &&
    offloadGsoKind(frame) == kind &&
    size != 0 &&
    l3End == len &&
    len - payload <= size * u32(SEGMENTS_MAX)
  );
}

/** A frame whose payload fits one segment is no GSO frame; the kernel treats it so too (virtio_net.h). */
function dropNeedlessGso(frame: u32): void {
  if (load<u32>(frame, F_LEN) - payload > u32(load<u16>(frame, V_GSO_SIZE))) return;
  store<u8>(frame, VIRTIO_NET_HDR_GSO_NONE, V_GSO_TYPE);
  store<u16>(frame, 0, V_GSO_SIZE);
}

/**
 * For a frame that came with NETTXF_csum_blank, or with a netif GSO extra (a peer that forgets the flag
 * there is forgiven, as Linux's netback does): finds the checksum and describes it in F_VNET. The caller
 * has written V_GSO_TYPE and V_GSO_SIZE (0 without GSO). Of a GSO frame the checksum field is rewritten:
 * frontends disagree about the length it should hold. Returns 0 or OFFLOAD_*, then the frame is to be dropped.
 */
export function offloadFromBlank(frame: u32): i32 {
  const refused = parseHeaders(frame);
  if (refused < 0) return refused;
  const len = load<u32>(frame, F_LEN);
  const gso = load<u8>(frame, V_GSO_TYPE) != VIRTIO_NET_HDR_GSO_NONE;
  if (gso) {
    if (!gsoAgrees(frame)) return OFFLOAD_BAD_GSO;
    const header = frame + F_HEADER;
    store<u16>(header + l4 + checkOffset(), pseudoSum(header, len - l4));
    dropNeedlessGso(frame);
  } else {
    // The sum runs to the frame's end: what follows the packet may only be Ethernet padding.
    if (l3End != len && len > u32(ETH_ZLEN) + vlanTags * VLAN_HLEN) return OFFLOAD_BAD_CSUM;
    store<u16>(frame, 0, V_GSO_SIZE);
  }
  store<u8>(frame, VIRTIO_NET_HDR_F_NEEDS_CSUM, V_FLAGS);
  store<u16>(frame, payload, V_HDR_LEN);
  store<u16>(frame, l4, V_CSUM_START);
  store<u16>(frame, checkOffset(), V_CSUM_OFFSET);
  store<u16>(frame, 1, V_NUM_BUFFERS);
  return 0;
}

/**
 * Checks and tidies the virtio_net_hdr that a vhost-user peer or the kernel put into F_VNET. Afterwards a
 * checksum request lies within the header copy and behind the network header (CVE-2024-11614; nor can it
 * rewrite a MAC, a tag or an address that was looked at), a GSO request fits the headers, hdr_len is our
 * own finding and unknown flags are gone. DATA_VALID stays: a port with an untrusted peer clears it first.
 * Returns 0 or OFFLOAD_*, then the frame is to be dropped.
 */
export function offloadCheckVnet(frame: u32): i32 {
  const parsed = parseHeaders(frame);
  let flags = u32(load<u8>(frame, V_FLAGS)) & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
  let start: u32 = 0;
  let offset: u32 = 0;
  let headers = payload;
  if (flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
    flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    start = load<u16>(frame, V_CSUM_START);
    offset = load<u16>(frame, V_CSUM_OFFSET);
    const fieldEnd = start + offset + 2;
    if (start < l3HeaderEnd || fieldEnd > headerBytes(frame)) return OFFLOAD_BAD_CSUM;
    headers = max(headers, fieldEnd);
  }
  if (load<u8>(frame, V_GSO_TYPE) != VIRTIO_NET_HDR_GSO_NONE) {
    if (parsed < 0 || !(flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return OFFLOAD_BAD_GSO;
    if (start != l4 || offset != TCPHDR_CHECK || !gsoAgrees(frame)) return OFFLOAD_BAD_GSO;
    dropNeedlessGso(frame);
  } else {
    store<u16>(frame, 0, V_GSO_SIZE);
  }
  store<u8>(frame, flags, V_FLAGS);
  store<u16>(frame, headers, V_HDR_LEN);
  store<u16>(frame, start, V_CSUM_START);
  store<u16>(frame, offset, V_CSUM_OFFSET);
  store<u16>(frame, 1, V_NUM_BUFFERS);
  return 0;
}

/**
 * 4 or 6 when the frame's NEEDS_CSUM is plain TCP or UDP over that IP, where a netif frontend will look
 * for it, so that NETRXF_csum_blank can carry it; else 0. Linux's frontend does not look behind VLAN tags
 * and drops a tagged frame with a blank checksum, so tagged frames answer 0.
 */
export function offloadCsumFamily(frame: u32): u32 {
  if (!(u32(load<u8>(frame, V_FLAGS)) & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return 0;
  if (parseHeaders(frame) < 0 || vlanTags != 0) return 0;
  if (u32(load<u16>(frame, V_CSUM_START)) != l4) return 0;
  return u32(load<u16>(frame, V_CSUM_OFFSET)) == checkOffset() ? family : 0;
}

/** Whether NETRXF_csum_blank can say what NEEDS_CSUM says; offloadCsumFamily tells v4 from v6. */
export function isTcpUdpCsum(frame: u32): bool {
  return offloadCsumFamily(frame) != 0;
}

/**
 * Completes a NEEDS_CSUM checksum in software, for receivers that want it whole: sums from csum_start to
 * the frame's end and writes the field in the private header copy. Then DATA_VALID. Every non-empty
 * fragment must have its address. Nothing to do counts as done. Returns 0 or OFFLOAD_*.
 */
export function frameFillCsum(frame: u32): i32 {
  const flags = u32(load<u8>(frame, V_FLAGS));
  if (!(flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return 0;
  if (load<u8>(frame, V_GSO_TYPE) != VIRTIO_NET_HDR_GSO_NONE) return OFFLOAD_BAD_GSO;
  const headerLen = headerBytes(frame);
  const start: u32 = load<u16>(frame, V_CSUM_START);
  const field = start + u32(load<u16>(frame, V_CSUM_OFFSET));
  if (start < u32(ETH_HLEN) || field + 2 > headerLen) return OFFLOAD_BAD_CSUM;
  let at = headerLen - start;
  let sum = csumPartial(frame + F_HEADER + start, at, 0);
  const count = load<u32>(frame, F_NFRAGS);
  if (count > u32(FRAGS_MAX)) return OFFLOAD_MALFORMED;
  const stop = frame + F_FRAGS + count * FRAG_SIZE;
  for (let fragment = frame + F_FRAGS; fragment != stop; fragment += FRAG_SIZE) {
    const len: u32 = load<u16>(fragment, G_LEN);
    if (len == 0) continue;
    const addr = load<u32>(fragment, G_ADDR);
    if (addr == 0) return OFFLOAD_UNREADABLE;
    sum = csumBlockAdd(sum, csumPartial(addr, len, 0), at);
    at += len;
  }
  if (start + at != load<u32>(frame, F_LEN)) return OFFLOAD_MALFORMED;
  // Zero means "no checksum" in UDP; 0xffff is the same number. For TCP either will do (as skb_checksum_help).
  const check = csumFold(sum);
  store<u16>(frame + F_HEADER + field, check == 0 ? 0xffff : check);
  store<u8>(frame, (flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) | VIRTIO_NET_HDR_F_DATA_VALID, V_FLAGS);
  store<u16>(frame, 0, V_CSUM_START);
  store<u16>(frame, 0, V_CSUM_OFFSET);
  return 0;
}
