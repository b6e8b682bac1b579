// Who a frame says it is from, above the MAC, of a port that has addresses. The rules are those of the hook's programs
// for kernel ports (src/hook/programs/sender.ts):
//
//   IPv4, IPv6   the source is one of the port's, or none yet (0.0.0.0 of DHCP, :: of duplicate detection)
//   ARP          Ethernet and IPv4; sender MAC is the frame's source; sender IP is one of the port's, or 0 of a probe
//   ND           source and target link-layer options are the frame's source; an advertisement's target is one of the
//                port's; router advertisements and redirects are no guest's to send (RFC 4861)
//
// Behind three VLAN tags (the kernel has the first one apart, and the hook looks behind two more); IPv6 extension headers
// are walked, since a receiver would (RFC 8200, 4.1). Everything is read out of the private header copy: what lies behind
// it cannot be followed, and what cannot be followed is dropped.
import {
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_PROTO,
  VLAN_HLEN,
} from '../src/abi/if_ether';
import {
  IPHDR_SADDR,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ICMPV6,
  IPPROTO_ROUTING,
  IPV6HDR_NEXTHDR,
  IPV6HDR_SADDR,
  IPV6HDR_SIZE,
} from '../src/abi/inet';
import { DROP_SPOOFED_ARP, DROP_SPOOFED_IP, DROP_SPOOFED_ND } from './counters';
import { be16, headerBytes } from './headers';
import { F_HEADER, F_LEN } from './layout';
import {
  SENDER_V4_SIZE,
  SENDER_V6_SIZE,
  SENDERS_V4,
  SENDERS_V4_FIRST,
  SENDERS_V6,
  SENDERS_V6_FIRST,
} from './senders_layout';

const TAGS_MAX: u32 = 3;
const HEADERS_MAX: u32 = 8;
const OPTIONS_MAX: u32 = 8;
const SOURCE_MAC: u32 = 6;
const MAC: u64 = 0xffffffffffff;

/** linux/if_arp.h struct arphdr and what follows it for Ethernet and IPv4. */
const ARP_PROTOCOL: u32 = 2;
const ARP_LENGTHS: u32 = 4;
const ARP_SENDER_MAC: u32 = 8;
const ARP_SENDER_IP: u32 = 14;
const ARP_END: u32 = 28;
const ARP_ETHERNET_IPV4: u32 = 0x0604;

/** linux/icmpv6.h, net/ndisc.h: types, and where what is looked at begins. */
const ND_ROUTER_SOLICIT: u32 = 133;
const ND_ROUTER_ADVERT: u32 = 134;
const ND_SOLICIT: u32 = 135;
const ND_ADVERT: u32 = 136;
const ND_REDIRECT: u32 = 137;
const ND_TARGET: u32 = 8;
const ND_OPTIONS: u32 = 24;
const RS_OPTIONS: u32 = 8;
const ND_SOURCE_LLA: u32 = 1;
const ND_TARGET_LLA: u32 = 2;

/** Why a frame may not be sent (DROP_SPOOFED_*); 0: it may. `senders`: SENDERS_SIZE octets. */
export function senderRefusal(senders: u32, frame: u32): u32 {
  const header = frame + F_HEADER;
  const end = headerBytes(frame);
  let at: u32 = ETH_PROTO;
  let type: u32 = 0;
  for (let tag: u32 = 0; ; tag++) {
    if (at + 2 > end) return DROP_SPOOFED_IP;
    type = be16(header + at);
    at += 2;
    if (type != ETH_P_8021Q && type != ETH_P_8021AD) break;
    if (tag == TAGS_MAX) return DROP_SPOOFED_IP;
    at += VLAN_HLEN - 2;
  }
  if (type == ETH_P_IP) {
    if (at + IPHDR_SADDR + 4 > end) return DROP_SPOOFED_IP;
    return mayBeV4(senders, load<u32>(header + at + IPHDR_SADDR)) ? 0 : DROP_SPOOFED_IP;
  }
  if (type == ETH_P_IPV6) return ipv6(senders, frame, at, end);
  if (type == ETH_P_ARP) return arp(senders, header, at, end);
  return 0;
}

/** One of the port's, or none at all. */
function mayBeV4(senders: u32, address: u32): bool {
  if (address == 0) return true;
  const n = load<u32>(senders, SENDERS_V4);
  for (let i: u32 = 0; i < n; i++) {
    const entry = senders + SENDERS_V4_FIRST + i * SENDER_V4_SIZE;
    if (((address ^ load<u32>(entry)) & load<u32>(entry, 4)) == 0) return true;
  }
  return false;
}

function mayBeV6(senders: u32, at: u32, none: bool): bool {
  const high = load<u64>(at);
  const low = load<u64>(at, 8);
  if (none && (high | low) == 0) return true;
  const n = load<u32>(senders, SENDERS_V6);
  for (let i: u32 = 0; i < n; i++) {
    const entry = senders + SENDERS_V6_FIRST + i * SENDER_V6_SIZE;
    const differs = (high ^ load<u64>(entry)) & load<u64>(entry, 16);
    if ((differs | ((low ^ load<u64>(entry, 8)) & load<u64>(entry, 24))) == 0) return true;
  }
  return false;
}

/** The six octets at `at` are the frame's source. */
function isSource(header: u32, at: u32): bool {
  const mac = <u64>load<u32>(at) | ((<u64>load<u16>(at + 4)) << 32);
  return mac == (load<u64>(header + SOURCE_MAC) & MAC);
}

function arp(senders: u32, header: u32, from: u32, end: u32): u32 {
  if (from + ARP_END > end) return DROP_SPOOFED_ARP;
  const at = header + from;
  if (be16(at + ARP_PROTOCOL) != ETH_P_IP || be16(at + ARP_LENGTHS) != ARP_ETHERNET_IPV4)
    return DROP_SPOOFED_ARP;
  if (!isSource(header, at + ARP_SENDER_MAC)) return DROP_SPOOFED_ARP;
  return mayBeV4(senders, load<u32>(at + ARP_SENDER_IP)) ? 0 : DROP_SPOOFED_ARP;
}

function ipv6(senders: u32, frame: u32, from: u32, end: u32): u32 {
  const header = frame + F_HEADER;
  if (from + IPV6HDR_SADDR + 16 > end) return DROP_SPOOFED_IP;
  if (!mayBeV6(senders, header + from + IPV6HDR_SADDR, true)) return DROP_SPOOFED_IP;
  let next = <u32>load<u8>(header + from + IPV6HDR_NEXTHDR);
  let at = from + IPV6HDR_SIZE;
  for (let walked: u32 = 0; walked < HEADERS_MAX; walked++) {
    if (next == IPPROTO_ICMPV6) return neighbourDiscovery(senders, frame, at, end);
    const options = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
    if (!options && next != IPPROTO_AH && next != IPPROTO_FRAGMENT) return 0;
    if (at + (next == IPPROTO_FRAGMENT ? 8 : 2) > end) return DROP_SPOOFED_ND;
    const place = header + at;
    if (next == IPPROTO_FRAGMENT) {
      if (be16(place + 2) & 0xfff8) return 0; // not the first fragment: no header in it
      at += 8;
    } else {
      const length = <u32>load<u8>(place, 1);
      at += options ? (length + 1) << 3 : (length + 2) << 2;
    }
    next = load<u8>(place);
  }
  // More headers than anybody sends: nothing says that no neighbour discovery is behind them.
  return DROP_SPOOFED_ND;
}

function neighbourDiscovery(senders: u32, frame: u32, from: u32, end: u32): u32 {
  const header = frame + F_HEADER;
  if (from + 1 > end) return DROP_SPOOFED_ND;
  const type = <u32>load<u8>(header + from);
  if (type < ND_ROUTER_SOLICIT || type > ND_REDIRECT) return 0;
  if (type == ND_ROUTER_ADVERT || type == ND_REDIRECT) return DROP_SPOOFED_ND;
  const advert = type == ND_ADVERT;
  if (advert) {
    if (from + ND_TARGET + 16 > end) return DROP_SPOOFED_ND;
    if (!mayBeV6(senders, header + from + ND_TARGET, false)) return DROP_SPOOFED_ND;
  }
  const own = advert ? ND_TARGET_LLA : ND_SOURCE_LLA;
  let at = from + (type == ND_ROUTER_SOLICIT ? RS_OPTIONS : ND_OPTIONS);
  for (let option: u32 = 0; option < OPTIONS_MAX; option++) {
    if (at + 2 > load<u32>(frame + F_LEN)) return 0; // the message ends
    if (at + 2 > end) return DROP_SPOOFED_ND;
    if (<u32>load<u8>(header + at) == own) {
      if (at + 8 > end || !isSource(header, header + at + 2)) return DROP_SPOOFED_ND;
    }
    const length = <u32>load<u8>(header + at + 1);
    if (length == 0) return DROP_SPOOFED_ND; // RFC 4861, 4.6: never 0
    at += length << 3;
  }
  return DROP_SPOOFED_ND;
}
