// Where a frame's headers are: Ethernet, up to two VLAN tags, IPv4 or IPv6, TCP or UDP. Reads nothing but
// the private header copy, and of it only the bytes that are there: the sender may have written anything.
//
// The findings are WebAssembly globals: each thread's instance has its own, and they hold until the next
// call. Offsets are bytes from the frame's start (the destination MAC).

import {
  ETH_HLEN,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_PROTO,
  VLAN_HLEN,
} from '../src/abi/if_ether';
import {
  IPHDR_FRAG_OFF,
  IPHDR_PROTOCOL,
  IPHDR_SIZE,
  IPHDR_TOT_LEN,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6HDR_NEXTHDR,
  IPV6HDR_PAYLOAD_LEN,
  IPV6HDR_SIZE,
  TCPHDR_DOFF,
  TCPHDR_SIZE,
  UDPHDR_SIZE,
} from '../src/abi/inet';
import { F_HDR_LEN, F_HEADER, F_LEN, HEADER_MAX } from './layout';
import { OFFLOAD_MALFORMED, OFFLOAD_NO_L4, OFFLOAD_RUNT } from './offload_layout';

const VLAN_TAGS_MAX: u32 = 2;
/** ip.h: more-fragments bit and offset. */
const IP_MF_OFFSET: u32 = 0x3fff;
/** struct frag_hdr, linux/ipv6.h: offset and more-fragments bit. */
const IP6_OFFSET_MF: u32 = 0xfff9;

/** VLAN tags in front of the network header: 0, 1 or 2. */
export let vlanTags: u32 = 0;
/** Network header. */
export let l3: u32 = 0;
/** 4 or 6; 0 = no sound IP header. */
export let family: u32 = 0;
/** End of the IPv4 header with options, or of the fixed IPv6 header; without IP, the same as l3. */
export let l3HeaderEnd: u32 = 0;
/** End of the IP packet by its own length field; the frame may be padded beyond. */
export let l3End: u32 = 0;
/** IPPROTO_TCP or IPPROTO_UDP; 0 = none found. */
export let proto: u32 = 0;
/** TCP or UDP header. */
export let l4: u32 = 0;
/** First byte after the TCP or UDP header. */
export let payload: u32 = 0;

export function be16(addr: u32): u32 {
  return u32(bswap<u16>(load<u16>(addr)));
}

/** Bytes of the header copy that exist, whatever the descriptor says. */
export function headerBytes(frame: u32): u32 {
  return min<u32>(min<u32>(load<u32>(frame, F_HDR_LEN), HEADER_MAX), load<u32>(frame, F_LEN));
}

/** Finds the headers. 0 = the globals above describe a whole TCP or UDP header; else the refusal. */
export function parseHeaders(frame: u32): i32 {
  const header = frame + F_HEADER;
  const end = headerBytes(frame);
  vlanTags = 0;
  l3 = ETH_HLEN;
  family = 0;
  l3HeaderEnd = ETH_HLEN;
  l3End = 0;
  proto = 0;
  l4 = 0;
  payload = 0;
  if (end < u32(ETH_HLEN)) return OFFLOAD_RUNT;
  let type = be16(header + ETH_PROTO);
  while (type == ETH_P_8021Q || type == ETH_P_8021AD) {
    if (vlanTags == VLAN_TAGS_MAX) return OFFLOAD_NO_L4;
    if (l3 + VLAN_HLEN > end) return OFFLOAD_RUNT;
    type = be16(header + l3 + 2);
    l3 += VLAN_HLEN;
    vlanTags++;
  }
  l3HeaderEnd = l3;
  if (type == ETH_P_IP) return parse4(header, end, load<u32>(frame, F_LEN));
  if (type == ETH_P_IPV6) return parse6(header, end, load<u32>(frame, F_LEN));
  return OFFLOAD_NO_L4;
}

function parse4(header: u32, end: u32, len: u32): i32 {
  if (l3 + IPHDR_SIZE > end) return OFFLOAD_RUNT;
  const ip = header + l3;
  const size = (u32(load<u8>(ip)) & 15) << 2;
  const total = be16(ip + IPHDR_TOT_LEN);
  if (load<u8>(ip) >> 4 != 4 || size < u32(IPHDR_SIZE) || total < size || l3 + total > len)
    return OFFLOAD_MALFORMED;
  if (l3 + size > end) return OFFLOAD_RUNT;
  family = 4;
  l3HeaderEnd = l3 + size;
  l3End = l3 + total;
  if (be16(ip + IPHDR_FRAG_OFF) & IP_MF_OFFSET) return OFFLOAD_NO_L4;
  return parseL4(header, end, load<u8>(ip, IPHDR_PROTOCOL), l3HeaderEnd);
}

function parse6(header: u32, end: u32, len: u32): i32 {
  if (l3 + IPV6HDR_SIZE > end) return OFFLOAD_RUNT;
  const ip = header + l3;
  const total = be16(ip + IPV6HDR_PAYLOAD_LEN) + IPV6HDR_SIZE;
  if (load<u8>(ip) >> 4 != 6 || l3 + total > len) return OFFLOAD_MALFORMED;
  family = 6;
  l3HeaderEnd = l3 + IPV6HDR_SIZE;
  l3End = l3 + total;
  let next: u32 = load<u8>(ip, IPV6HDR_NEXTHDR);
  let at = l3HeaderEnd;
  // Every extension header takes at least eight bytes of a header copy of 192: the walk is bounded.
  while (
    next == IPPROTO_HOPOPTS ||
    next == IPPROTO_ROUTING ||
    next == IPPROTO_DSTOPTS ||
    next == IPPROTO_AH ||
    next == IPPROTO_FRAGMENT
  ) {
    if (at + 8 > l3End) return OFFLOAD_MALFORMED;
    if (at + 8 > end) return OFFLOAD_RUNT;
    const extension = header + at;
    let size: u32 = load<u8>(extension, 1);
    if (next == IPPROTO_FRAGMENT) {
      // An atomic fragment (RFC 6946) is a whole packet; Linux walks on behind it too.
      if (be16(extension + 2) & IP6_OFFSET_MF) return OFFLOAD_NO_L4;
      size = 8;
    } else if (next == IPPROTO_AH) {
      size = (size + 2) << 2;
    } else {
      size = (size + 1) << 3;
    }
    next = load<u8>(extension);
    at += size;
  }
  return parseL4(header, end, next, at);
}

function parseL4(header: u32, end: u32, next: u32, at: u32): i32 {
  if (next != IPPROTO_TCP && next != IPPROTO_UDP) return OFFLOAD_NO_L4;
  let size: u32 = UDPHDR_SIZE;
  if (next == IPPROTO_TCP) {
    if (at + TCPHDR_SIZE > l3End) return OFFLOAD_MALFORMED;
    if (at + TCPHDR_SIZE > end) return OFFLOAD_RUNT;
    size = u32(load<u8>(header + at, TCPHDR_DOFF) >> 4) << 2;
    if (size < u32(TCPHDR_SIZE)) return OFFLOAD_MALFORMED;
  }
  if (at + size > l3End) return OFFLOAD_MALFORMED;
  if (at + size > end) return OFFLOAD_RUNT;
  proto = next;
  l4 = at;
  payload = at + size;
  return 0;
}
