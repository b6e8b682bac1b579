// Software TSO, for receivers that cannot take a frame longer than their MTU. No payload is copied: each
// segment is a descriptor with headers of its own whose fragments are sub-ranges of the source's. So the
// source descriptor, and whatever its fragments point to, must live until its last segment is settled.

import {
  IPHDR_CHECK,
  IPHDR_ID,
  IPHDR_TOT_LEN,
  IPV6HDR_PAYLOAD_LEN,
  IPV6HDR_SIZE,
  TCP_FLAG_CWR,
  TCP_FLAG_FIN,
  TCP_FLAG_PSH,
  TCPHDR_CHECK,
  TCPHDR_FLAGS,
  TCPHDR_SEQ,
} from '../src/abi/inet';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE } from '../src/abi/virtio_net';
import { csumFold, csumPartial } from './checksum';
import { be16, family, headerBytes, l3, l3HeaderEnd, l4, parseHeaders, payload } from './headers';
import {
  F_COOKIE,
  F_COOKIE2,
  F_COOKIE3,
  F_FRAGS,
  F_HDR_LEN,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_SINCE,
  F_SRC,
  F_VERDICT,
  FRAG_SIZE,
  FRAGS_MAX,
  G_ADDR,
  G_COOKIE,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  V_CSUM_OFFSET,
  V_CSUM_START,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
  V_HDR_LEN,
  V_NUM_BUFFERS,
} from './layout';
import { copyBytes } from './memory';
import { gsoAgrees, offloadGsoKind, pseudoSum } from './offload';
import { OFFLOAD_BAD_GSO, OFFLOAD_MALFORMED, OFFLOAD_TOO_MANY } from './offload_layout';

function storeBe16(addr: u32, value: u32): void {
  store<u16>(addr, bswap<u16>(u16(value)));
}

/** How many segments the frame makes, 1 … SEGMENTS_MAX; 0 = it is no GSO frame, or not a sound one. */
export function segmentCount(frame: u32): u32 {
  if (offloadGsoKind(frame) == VIRTIO_NET_HDR_GSO_NONE || parseHeaders(frame) < 0 || !gsoAgrees(frame))
    return 0;
  const size: u32 = load<u16>(frame, V_GSO_SIZE);
  return max<u32>((load<u32>(frame, F_LEN) - payload + size - 1) / size, 1);
}

/**
 * Builds segment `index` (0 … segmentCount - 1) of `frame` in the descriptor `out`, which must be another
 * one. Its checksum is left blank (NEEDS_CSUM, pseudo-header sum in place); its cookies are zero. Returns 0
 * or OFFLOAD_*; `out` is then not to be used.
 */
export function segmentInto(frame: u32, index: u32, out: u32): i32 {
  const count = segmentCount(frame);
  if (index >= count) return OFFLOAD_BAD_GSO;
  const size: u32 = load<u16>(frame, V_GSO_SIZE);
  const skip = index * size;
  const length = min(size, load<u32>(frame, F_LEN) - payload - skip);
  const fragments = cutFragments(frame, skip, length, out);
  if (fragments < 0) return fragments;

  copyBytes(out + F_HEADER, frame + F_HEADER, payload);
  adjustHeaders(out + F_HEADER, index, skip, length, index + 1 == count);
  store<u32>(out, payload + length, F_LEN);
  store<u32>(out, payload, F_HDR_LEN);
  store<u32>(out, fragments, F_NFRAGS);
  store<u32>(out, 0, F_SETTLED);
  store<u32>(out, load<u32>(frame, F_VERDICT), F_VERDICT);
  store<u32>(out, 0, F_SINCE);
  store<u32>(out, 0, F_COOKIE);
  store<u32>(out, 0, F_COOKIE2);
  store<u32>(out, 0, F_COOKIE3);
  store<u32>(out, load<u32>(frame, F_SRC), F_SRC);
  store<u8>(out, VIRTIO_NET_HDR_F_NEEDS_CSUM, V_FLAGS);
  store<u8>(out, VIRTIO_NET_HDR_GSO_NONE, V_GSO_TYPE);
  store<u16>(out, payload, V_HDR_LEN);
  store<u16>(out, 0, V_GSO_SIZE);
  store<u16>(out, l4, V_CSUM_START);
  store<u16>(out, TCPHDR_CHECK, V_CSUM_OFFSET);
  store<u16>(out, 1, V_NUM_BUFFERS);
  return 0;
}

/** The copied headers of one segment: what differs from the whole frame's. */
function adjustHeaders(header: u32, index: u32, skip: u32, length: u32, last: bool): void {
  const ip = header + l3;
  if (family == 4) {
    storeBe16(ip + IPHDR_TOT_LEN, payload - l3 + length);
    storeBe16(ip + IPHDR_ID, be16(ip + IPHDR_ID) + index);
    store<u16>(ip + IPHDR_CHECK, 0);
    store<u16>(ip + IPHDR_CHECK, csumFold(csumPartial(ip, l3HeaderEnd - l3, 0)));
  } else {
    storeBe16(ip + IPV6HDR_PAYLOAD_LEN, payload - l3 - IPV6HDR_SIZE + length);
  }
  const tcp = header + l4;
  store<u32>(tcp + TCPHDR_SEQ, bswap<u32>(bswap<u32>(load<u32>(tcp + TCPHDR_SEQ)) + skip));
  let flags = u32(load<u8>(tcp + TCPHDR_FLAGS));
  if (!last) flags &= ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
  // "Congestion window reduced" is said once (RFC 3168 6.1.2), as Linux's tcp_gso_segment does.
  if (index != 0) flags &= ~TCP_FLAG_CWR;
  store<u8>(tcp + TCPHDR_FLAGS, flags);
  store<u16>(tcp + TCPHDR_CHECK, pseudoSum(header, payload - l4 + length));
}

/**
 * Fills the fragments of `out` with payload bytes [skip, skip + length) of `frame`: those of its header copy
 * by their address, the rest as sub-ranges of its fragments. Returns their number or OFFLOAD_*.
 */
function cutFragments(frame: u32, skip: u32, length: u32, out: u32): i32 {
  const count = load<u32>(frame, F_NFRAGS);
  if (count > u32(FRAGS_MAX)) return OFFLOAD_MALFORMED;
  const stop = frame + F_FRAGS + count * FRAG_SIZE;
  let made: u32 = 0;
  const inHeader = headerBytes(frame) - payload;
  if (skip < inHeader) {
    const take = min(length, inHeader - skip);
    putFragment(out, 0, frame + F_HEADER + payload + skip, 0, 0, take, 0);
    made = u32(take != 0);
    length -= take;
    skip = 0;
  } else {
    skip -= inHeader;
  }
  for (let source = frame + F_FRAGS; length != 0 && source != stop; source += FRAG_SIZE) {
    const size: u32 = load<u16>(source, G_LEN);
    if (skip >= size) {
      skip -= size;
      continue;
    }
    if (made == FRAGS_MAX) return OFFLOAD_TOO_MANY;
    const take = min(length, size - skip);
    // A fragment may have an address and a grant: the sub-range is the same of both.
    const addr = load<u32>(source, G_ADDR);
    const at = addr == 0 ? 0 : addr + skip;
    const off = u32(load<u16>(source, G_OFF)) + skip;
    putFragment(out, made, at, load<u32>(source, G_GREF), off, take, load<u16>(source, G_DOM));
    made++;
    length -= take;
    skip = 0;
  }
  return length == 0 ? i32(made) : OFFLOAD_MALFORMED;
}

function putFragment(out: u32, index: u32, addr: u32, gref: u32, off: u32, len: u32, dom: u32): void {
  const fragment = out + F_FRAGS + index * FRAG_SIZE;
  store<u32>(fragment, addr, G_ADDR);
  store<u32>(fragment, gref, G_GREF);
  store<u16>(fragment, off, G_OFF);
  store<u16>(fragment, len, G_LEN);
  store<u16>(fragment, dom, G_DOM);
  store<u16>(fragment, 0, G_COOKIE);
}
